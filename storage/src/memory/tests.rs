use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::*;
use crate::conformance::{self, batch, drop_queue, publish, settle};
use crate::{Op, SeqRange};

fn open(max_bytes: u64) -> MemoryStore {
    let cfg = StoreConfig { max_bytes, ..StoreConfig::new("unused") };
    let (store, recovered) = MemoryStore::open(&cfg).unwrap();
    assert_eq!(recovered, Recovered::default());
    store
}

#[test]
fn conforms() {
    conformance::conformance(open);
}

#[test]
fn becomes_durable_by_itself() {
    conformance::becomes_durable_by_itself(&open(u64::MAX));
}

#[test]
fn gives_back_what_a_message_took() {
    let store = open(1000 + 2 * MemoryStore::ENTRY_BYTES);
    let (a, b) = (QueueId(1), QueueId(2));
    store.append(batch([publish(a, 0, 500), publish(b, 0, 500)])).unwrap();
    assert_eq!(store.status().live_bytes, 1000 + 2 * MemoryStore::ENTRY_BYTES);
    let refusal = store.append(batch([publish(a, 1, 0)]));
    let needed = MemoryStore::ENTRY_BYTES;
    assert!(matches!(refusal, Err(StoreError::Full { needed: n, free: 0 }) if n == needed));
    store.append(batch([settle(a, [SeqRange::ALL], 0), drop_queue(b)])).unwrap();
    assert_eq!(store.status().live_bytes, 0);
}

#[test]
fn payloads_are_not_copied() {
    let store = open(u64::MAX);
    let payload = Bytes::from(vec![7; 500]);
    let one = |queue| Op::Publish {
        queue,
        seq: Seq(0),
        payload: payload.clone(),
        weight: 1,
        shared: true,
    };
    store.append(batch([one(QueueId(1)), one(QueueId(2))])).unwrap();
    let mut out = Vec::new();
    let max = ReadMax { messages: 1, bytes: 0 };
    store.read(QueueId(2), Seq(0), max, &mut out).unwrap();
    assert_eq!(out[0].payload.as_ptr(), payload.as_ptr());
}

#[test]
fn tells_of_each_advance_and_keeps_the_meta() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let hook = told.clone();
    let on_durable: OnDurable = Arc::new(move |lsn| hook.lock().push(lsn));
    let cfg = StoreConfig { on_durable: Some(on_durable), ..StoreConfig::new("unused") };
    let (store, _) = MemoryStore::open(&cfg).unwrap();
    let key = Bytes::from_static(b"key");
    let change = |version, value| Op::Meta { version, changes: vec![(key.clone(), value)] };
    store.append(batch([change(1, Some(Bytes::from_static(b"value")))])).unwrap();
    assert_eq!(store.meta().version, 1);
    assert_eq!(store.meta().entries.get(&key), Some(&Bytes::from_static(b"value")));
    store.append(batch([change(2, None)])).unwrap();
    assert_eq!(store.meta(), Meta { version: 2, ..Meta::default() });
    assert_eq!(*told.lock(), [Some(Lsn(1)), Some(Lsn(2))]);
}

#[test]
fn takes_nothing_after_it_was_closed() {
    let store = open(u64::MAX);
    store.append(batch([publish(QueueId(1), 0, 1)])).unwrap();
    store.close().unwrap();
    let refusal = store.append(batch([publish(QueueId(1), 1, 1)]));
    assert!(matches!(refusal, Err(StoreError::Poisoned(_))));
    assert_eq!(store.append(Batch::new()).unwrap(), Lsn(1));
}
