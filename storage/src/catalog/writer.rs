//! The catalog's thread: all changes that have gathered become one commit.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::watch;

use super::OnVersion;
use super::pending::Pending;
use super::records::Records;

pub(super) fn start(
    mut records: Records,
    pending: Arc<Pending>,
    durable: watch::Sender<u64>,
    on_version: Option<OnVersion>,
) -> io::Result<JoinHandle<()>> {
    let tell = move |version| {
        if let Some(on_version) = &on_version {
            on_version(version);
        }
    };
    thread::Builder::new().name("catalog".to_owned()).spawn(move || {
        // A panic is a failure like others: nobody must wait for what does not come.
        let run = || commit_until_stopped(&mut records, &pending, &durable, &tell);
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        let why = match ended {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the embedded store gave up".to_owned(),
        };
        pending.poison(why);
        drop(durable);
        tell(None);
    })
}

fn commit_until_stopped(
    records: &mut Records,
    pending: &Pending,
    durable: &watch::Sender<u64>,
    tell: &impl Fn(Option<u64>),
) -> Result<(), crate::StoreError> {
    while let Some(work) = pending.take() {
        records.write(&work)?;
        durable.send_replace(work.version);
        tell(Some(work.version));
    }
    Ok(())
}
