//! The log's writer, whoever writes in its place, and those who wait for what they have appended.
//! Found: a writer that is not woken for the first batch of a group; one that is not woken after
//! another thread has written while more was appended; a group begun by two threads.

use std::sync::Arc;

use lepus_sync::{Condvar, Mutex, check, thread};

use crate::conformance::{batch, publish};
use crate::disk::sim::SimDisk;
use crate::log::{LogStore, Tuning};
use crate::{Lsn, MessageStore, QueueId, StoreConfig};

/// What is durable, and who waits for it.
#[derive(Default)]
struct Reached {
    lsn: Mutex<Lsn>,
    changed: Condvar,
}

impl Reached {
    fn tell(&self, lsn: Option<Lsn>) {
        let Some(lsn) = lsn else { return };
        let mut reached = self.lsn.lock();
        assert!(*reached < lsn, "{lsn:?} after {reached:?}");
        *reached = lsn;
        self.changed.notify_all();
    }

    fn wait_for(&self, lsn: Lsn) {
        let mut reached = self.lsn.lock();
        while *reached < lsn {
            self.changed.wait(&mut reached);
        }
    }
}

fn open() -> (LogStore, Arc<Reached>) {
    let reached = Arc::new(Reached::default());
    let tell = reached.clone();
    let cfg = StoreConfig {
        segment_bytes: 16 << 10,
        on_durable: Some(Arc::new(move |lsn| tell.tell(lsn))),
        ..StoreConfig::new("log")
    };
    // No files are prepared: that is work of one thread.
    let tuning = Tuning { seed: Some(7), traffic: u64::MAX, ..Tuning::default() };
    (LogStore::open_on(&cfg, Arc::new(SimDisk::new(1)), tuning).unwrap().0, reached)
}

#[test]
fn whoever_has_appended_is_told_that_it_is_durable() {
    check(|| {
        let (store, reached) = open();
        let store = Arc::new(store);
        let threads: Vec<_> = (1..=3)
            .map(|queue| {
                let (store, reached) = (store.clone(), reached.clone());
                thread::spawn(move || {
                    for seq in 0..2 {
                        let mut batch = batch([publish(QueueId(queue), seq, 100)]);
                        // One leaves it to the writer, one writes, one does one and the other.
                        let follows = queue + seq > 2;
                        if follows {
                            batch.set_followed();
                        }
                        let lsn = store.append(batch).unwrap();
                        if follows {
                            store.write(queue == 3);
                        }
                        reached.wait_for(lsn);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        store.close().unwrap();
        assert_eq!(store.status().appended, 6);
    });
}

#[test]
fn a_store_that_is_left_ends_its_threads() {
    check(|| {
        let (store, _) = open();
        store.append(batch([publish(QueueId(1), 0, 100)])).unwrap();
        drop(store);
    });
}
