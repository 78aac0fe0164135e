//! What the service manager hears of the process (`Type=notify` of systemd, or whoever sets
//! `NOTIFY_SOCKET`). Without one nothing happens.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sd_notify::NotifyState::{self, ExtendTimeoutUsec, Ready, Status, Stopping};

/// How often a start that takes long is said to go on.
const PERIOD: Duration = Duration::from_secs(10);

/// How long the manager is to wait for the next word.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that starts: as long as this lives, the manager hears that it goes on.
#[derive(Debug)]
pub struct Starting(Option<(Sender<()>, JoinHandle<()>)>);

impl Starting {
    /// The process has begun to read what is stored.
    pub fn begin() -> Self {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return Self(None);
        }
        go_on();
        let (alive, gone) = channel();
        let named = thread::Builder::new().name("lepus-starting".to_owned());
        Self(named.spawn(move || tell_until(&gone)).ok().map(|teller| (alive, teller)))
    }

    /// All that was to come before the first client is done.
    pub fn ready(self) {
        if let Some((alive, teller)) = self.0 {
            drop(alive);
            let _ = teller.join();
        }
        tell(&[Ready, Status("ready")]);
    }
}

/// The process begins to end.
pub fn stopping() {
    tell(&[Stopping, Status("closing connections")]);
}

fn tell_until(gone: &Receiver<()>) {
    while gone.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
        go_on();
    }
}

fn go_on() {
    tell(&[ExtendTimeoutUsec(micros(PATIENCE)), Status("reading what is stored")]);
}

fn tell(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        tracing::warn!("the service manager cannot be told: {error}");
    }
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}
