use std::sync::Arc;

use parking_lot::Mutex;
use tempfile::TempDir;

use super::*;
use crate::conformance::{self, batch, publish, settle};
use crate::disk::embedded::copy_directory;
use crate::{OnDurable, SeqRange, TxPart};

fn open(directory: &Path) -> (SledStore, Recovered) {
    SledStore::open(&StoreConfig::new(directory)).unwrap()
}

#[test]
fn conforms() {
    let directories = Mutex::new(Vec::new());
    conformance::conformance(|max_bytes| {
        let directory = TempDir::new().unwrap();
        let cfg = StoreConfig { max_bytes, ..StoreConfig::new(directory.path()) };
        directories.lock().push(directory);
        SledStore::open(&cfg).unwrap().0
    });
}

#[test]
fn survives() {
    conformance::reopening(open);
}

#[test]
fn becomes_durable_by_itself() {
    let directory = TempDir::new().unwrap();
    conformance::becomes_durable_by_itself(&open(directory.path()).0);
}

#[test]
fn what_is_durable_is_in_the_files() {
    let directory = TempDir::new().unwrap();
    let (store, _) = open(directory.path());
    for seq in 0..200 {
        store.append(batch([publish(QueueId(1), seq, 3000)])).unwrap();
    }
    let mut part = batch([settle(QueueId(1), [SeqRange::ALL], 600_000)]);
    part.set_part(TxPart { tx: 1, last: false });
    store.append(part).unwrap();
    let latest = store.checkpoint().unwrap();
    // As it would be found if the process ended here, without a chance to close anything.
    let copy = TempDir::new().unwrap();
    copy_directory(&directory.path().join(FOLDER), &copy.path().join(FOLDER)).unwrap();
    let (copied, recovered) = open(copy.path());
    assert_eq!(recovered.lsn, latest);
    let stats = copied.stats(QueueId(1));
    assert_eq!((stats.messages, stats.weight), (200, 600_000));
    assert_eq!(store.stats(QueueId(1)).messages, 0);
}

#[test]
fn a_failure_ends_it() {
    let directory = TempDir::new().unwrap();
    let place = directory.path().join(FOLDER);
    let mut store = Embedded::open(&place).unwrap();
    let (state, recovered) = recovery::recover(&store, &place, u64::MAX).unwrap();
    store.fail(std::io::ErrorKind::Other);
    let told = Arc::new(Mutex::new(Vec::new()));
    let hook = told.clone();
    let on_durable: OnDurable = Arc::new(move |lsn| hook.lock().push(lsn));
    let store = SledStore::start(place, store, state, recovered.lsn, Some(on_durable)).unwrap();
    store.append(batch([publish(QueueId(1), 0, 5)])).unwrap();
    assert!(matches!(store.checkpoint(), Err(StoreError::Poisoned(_))));
    assert!(matches!(store.status().health, Health::Poisoned(_)));
    assert_eq!(*store.durable().borrow(), Lsn(0));
    assert!(store.durable().has_changed().is_err(), "the channel is open");
    let refusal = store.append(batch([settle(QueueId(1), [SeqRange::ALL], 5)]));
    assert!(matches!(refusal, Err(StoreError::Poisoned(_))));
    // What is there can be read.
    let mut out = Vec::new();
    let max = ReadMax { messages: 9, bytes: 9 };
    assert_eq!(store.read(QueueId(1), Seq(0), max, &mut out).unwrap(), Seq(1));
    assert!(store.close().is_err());
    assert_eq!(*told.lock(), [None]);
}

#[test]
fn a_damaged_message_is_named_and_ends_a_reading() {
    let directory = TempDir::new().unwrap();
    let (store, _) = open(directory.path());
    store.append(batch((0..3).map(|seq| publish(QueueId(1), seq, 20_000)))).unwrap();
    store.close().unwrap();
    drop(store);
    let damaged = Embedded::open(&directory.path().join(FOLDER)).unwrap();
    let key = damaged.db().scan_prefix([message::MESSAGE.piece]).keys().nth(3).unwrap().unwrap();
    damaged.db().remove(key).unwrap();
    drop(damaged);
    let (store, _) = open(directory.path());
    let max = ReadMax { messages: 9, bytes: usize::MAX };
    let mut out = Vec::new();
    assert_eq!(store.read(QueueId(1), Seq(0), max, &mut out).unwrap(), Seq(1));
    let refusal = store.read(QueueId(1), Seq(1), max, &mut out);
    assert!(matches!(refusal, Err(StoreError::Unreadable { seq: Seq(1), .. })), "{refusal:?}");
    assert_eq!(store.read(QueueId(1), Seq(2), max, &mut out).unwrap(), Seq(3));
    assert_eq!(out.iter().map(|stored| stored.seq.0).collect::<Vec<_>>(), [0, 2]);
}
