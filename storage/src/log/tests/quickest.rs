//! Who writes what was appended: the writer, or the thread that asks for it.

use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{small, tuning};
use crate::conformance::{batch, publish, until_durable};
use crate::disk::RealDisk;
use crate::log::LogStore;
use crate::{Lsn, MessageStore, QueueId, StoreConfig};

const A: QueueId = QueueId(1);

/// What became durable, and the threads that did it.
type Told = Arc<Mutex<Vec<(Lsn, ThreadId)>>>;

fn open(directory: &std::path::Path) -> (LogStore, Told) {
    let told = Told::default();
    let tell = told.clone();
    let on_durable = Arc::new(move |lsn: Option<Lsn>| {
        tell.lock().extend(lsn.map(|lsn| (lsn, thread::current().id())));
    });
    let cfg = StoreConfig { on_durable: Some(on_durable), ..small(directory) };
    (LogStore::open_on(&cfg, Arc::new(RealDisk), tuning()).unwrap().0, told)
}

fn append_followed(store: &LogStore, seq: u64) -> Lsn {
    let mut batch = batch([publish(A, seq, 100)]);
    batch.set_followed();
    store.append(batch).unwrap()
}

#[test]
fn it_is_durable_when_the_quickest_write_returns() {
    let held = tempfile::tempdir().unwrap();
    let (store, told) = open(held.path());
    // The store's own beginnings are out of the way, and the disk has shown how quick it is.
    append_followed(&store, 0);
    store.write(false);
    store.checkpoint().unwrap();
    // While the disk is slow, and it may be at any moment, the writer does it.
    let deadline = Instant::now() + Duration::from_secs(10);
    for seq in 1.. {
        let lsn = append_followed(&store, seq);
        store.write(true);
        until_durable(&store, lsn);
        let by = told.lock().iter().find(|(durable, _)| *durable >= lsn).map(|(_, by)| *by);
        if by == Some(thread::current().id()) {
            return;
        }
        if Instant::now() > deadline {
            assert!(!store.engine.inner.lock().quick, "always by {by:?}");
            return;
        }
    }
}

#[test]
fn the_writer_does_it_otherwise() {
    let held = tempfile::tempdir().unwrap();
    let (store, told) = open(held.path());
    let lsn = append_followed(&store, 0);
    store.write(false);
    until_durable(&store, lsn);
    assert!(told.lock().iter().all(|(_, by)| *by != thread::current().id()));
}

#[test]
fn many_threads_that_write_and_do_not_leave_nothing_behind() {
    let held = tempfile::tempdir().unwrap();
    let (store, _) = open(held.path());
    thread::scope(|scope| {
        for queue in 1..=4 {
            let store = &store;
            scope.spawn(move || {
                for seq in 0..100 {
                    let mut batch = batch([publish(QueueId(queue), seq, 100)]);
                    let follows = (seq + queue) % 3 > 0;
                    if follows {
                        batch.set_followed();
                    }
                    let lsn = store.append(batch).unwrap();
                    if follows {
                        store.write((seq + queue) % 3 == 1);
                    }
                    until_durable(store, lsn);
                }
            });
        }
    });
}
