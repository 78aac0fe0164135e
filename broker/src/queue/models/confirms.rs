//! A publisher hands its messages to a queue whose effects another thread carries out, and waits for
//! its confirm; either of them, or the store's own thread, writes. Found: a session that leaves the
//! writing to others without asking the store; a thread that appends for a session which has just left
//! it, and does not look again; news told before they are true; none from a write that was the last to
//! reach the store and durable by then.

use std::sync::Arc;

use bytes::Bytes;
use lepus_storage::disk::sim::SimDisk;
use lepus_storage::log::Tuning;
use lepus_storage::{LogStore, MessageStore, Op, QueueId, Seq, StoreConfig};
use lepus_sync::{check, thread};

use super::super::receipt::{Fate, Receipt};
use super::super::state::Dropped;
use super::super::writes::{Write, Writes};
use crate::durability::Durability;
use crate::mailbox::Mailbox;
use crate::mailbox::models::collect;

fn open(durability: &Arc<Durability>) -> Arc<LogStore> {
    let cfg = StoreConfig {
        segment_bytes: 16 << 10,
        on_durable: Some(durability.clone().on_durable()),
        ..StoreConfig::new("log")
    };
    let tuning = Tuning { seed: Some(7), traffic: u64::MAX, ..Tuning::default() };
    Arc::new(LogStore::open_on(&cfg, Arc::new(SimDisk::new(1)), tuning).unwrap().0)
}

fn write(queue: u64, receipt: &Arc<Receipt>) -> Write {
    let (queue, seq, payload) = (QueueId(queue), Seq(0), Bytes::from_static(&[0; 100]));
    let mut ops = vec![Op::Publish { queue, seq, payload, weight: 1, shared: false }];
    let mut writes = Writes::default();
    writes.add(&mut ops, Some(receipt), None, Dropped::default());
    writes.take().remove(0)
}

/// As a session does: asks to be told, then looks again.
fn wait(receipt: &Receipt, durability: &Durability, mailbox: &Arc<Mailbox>) -> Fate {
    loop {
        durability.tell(mailbox);
        match receipt.fate(durability) {
            Fate::Open => collect(mailbox, 1),
            fate => return fate,
        };
    }
}

/// Some publishers, each with two queues of its own that other threads work for.
fn publish_and_wait(followed: bool) {
    let durability = Arc::<Durability>::default();
    let store = open(&durability);
    let publishers: Vec<_> = (1..=2)
        .map(|number| {
            let (store, durability) = (store.clone(), durability.clone());
            thread::spawn(move || {
                let mailbox = Arc::new(Mailbox::default());
                let receipt = Receipt::new(&mailbox);
                let queues: Vec<_> = (0..number)
                    .map(|queue| {
                        receipt.set_followed(followed);
                        receipt.await_one();
                        let write = write(10 * number + queue, &receipt);
                        let (store, durability) = (store.clone(), durability.clone());
                        thread::spawn(move || write.carry_out(&*store, &durability).unwrap())
                    })
                    .collect();
                receipt.complete();
                if followed {
                    receipt.write(&*store);
                }
                assert_eq!(wait(&receipt, &durability, &mailbox), Fate::Durable);
                queues.into_iter().for_each(|thread| thread.join().unwrap());
            })
        })
        .collect();
    publishers.into_iter().for_each(|thread| thread.join().unwrap());
    store.close().unwrap();
}

#[test]
fn every_confirm_comes() {
    check(|| publish_and_wait(false));
}

#[test]
fn every_confirm_comes_of_what_sessions_write_themselves() {
    check(|| publish_and_wait(true));
}

#[test]
fn a_store_that_fails_is_an_answer_too() {
    check(|| {
        let (durability, mailbox) = (Arc::<Durability>::default(), Arc::<Mailbox>::default());
        let receipt = Receipt::new(&mailbox);
        receipt.await_one();
        receipt.complete();
        let failing = thread::spawn({
            let durability = durability.clone();
            move || durability.advance(None)
        });
        let writing = thread::spawn({
            let (receipt, durability) = (receipt.clone(), durability.clone());
            move || receipt.written(Some(lepus_storage::Lsn(1)), &durability)
        });
        assert_eq!(wait(&receipt, &durability, &mailbox), Fate::Refused);
        failing.join().unwrap();
        writing.join().unwrap();
    });
}
