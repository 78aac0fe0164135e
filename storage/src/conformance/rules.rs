//! The promises of the trait, one by one.

use bytes::Bytes;

use super::{
    A, B, EVERYTHING, batch, body, deliver, drop_queue, give_back, one, publish, put, range, read,
    seqs, settle,
};
use crate::{
    Batch, Health, Lsn, MessageStore, Op, QueueId, QueueStats, ReadMax, Seq, SeqRange, StoreError,
    Stored, TxPart,
};

pub(super) fn reads_in_order_within_bounds(store: &impl MessageStore) {
    put(store, A, &[1, 2, 5, 9], 100);
    let at_most = |messages, bytes| ReadMax { messages, bytes };
    assert_eq!(read(store, A, 0, EVERYTHING), (vec![1, 2, 5, 9], 10));
    assert_eq!(read(store, A, 3, EVERYTHING), (vec![5, 9], 10));
    assert_eq!(read(store, A, 10, EVERYTHING), (vec![], 10));
    assert_eq!(read(store, A, 11, EVERYTHING), (vec![], 11));
    assert_eq!(read(store, A, u64::MAX, EVERYTHING), (vec![], u64::MAX));
    assert_eq!(read(store, A, 0, at_most(2, usize::MAX)), (vec![1, 2], 3));
    assert_eq!(read(store, A, 0, at_most(0, usize::MAX)), (vec![], 0));
    assert_eq!(read(store, A, 0, at_most(9, 200)), (vec![1, 2], 3));
    assert_eq!(read(store, A, 0, at_most(9, 299)), (vec![1, 2], 3));
    // One message at least, or a reader would never get past it.
    assert_eq!(read(store, A, 0, at_most(9, 0)), (vec![1], 2));
    assert_eq!(read(store, B, 4, EVERYTHING), (vec![], 4));
    // What is there is kept.
    let mut out = vec![Stored { seq: Seq(0), payload: Bytes::new(), returns: 0 }];
    store.read(A, Seq(9), EVERYTHING, &mut out).unwrap();
    assert_eq!(out.len(), 2);
    assert_eq!(out[1], Stored { seq: Seq(9), payload: body(100), returns: 0 });
}

pub(super) fn settles_what_is_there(store: &impl MessageStore) {
    put(store, A, &[0, 1, 2, 3, 4, 5, 6, 7], 10);
    let first = settle(A, [one(3), range(5, 6), range(6, 5), range(7, 99)], 40);
    let again = settle(A, [one(3), range(3, 3)], 0);
    store.append(batch([first, again, settle(B, [SeqRange::ALL], 0)])).unwrap();
    assert_eq!(seqs(store, A), [0, 1, 2, 4]);
    let (messages, weight, delivered) = (4, 40, Seq(0));
    let stats = QueueStats { messages, weight, first: Seq(0), next: Seq(8), delivered };
    assert_eq!(store.stats(A), stats);
    assert_eq!(store.stats(B), QueueStats::default());
    // A purge takes what came before it in its batch, and nothing that comes after.
    let purge = settle(A, [SeqRange::ALL], 41);
    store.append(batch([publish(A, 8, 1), purge, publish(A, 9, 1)])).unwrap();
    assert_eq!(seqs(store, A), [9]);
    store.append(batch([settle(A, [SeqRange::ALL], 1)])).unwrap();
    let (first, next) = (Seq(10), Seq(10));
    let empty = QueueStats { first, next, ..QueueStats::default() };
    assert_eq!(store.stats(A), empty);
}

pub(super) fn sums_weights(store: &impl MessageStore) {
    let weighing = |seq, weight| Op::Publish {
        queue: A,
        seq: Seq(seq),
        payload: body(3),
        weight,
        shared: false,
    };
    store.append(batch([weighing(0, 5), weighing(1, u32::MAX), weighing(2, 0)])).unwrap();
    assert_eq!(store.stats(A).weight, 5 + u64::from(u32::MAX));
    store.append(batch([settle(A, [one(1)], u32::MAX.into())])).unwrap();
    assert_eq!(store.stats(A).weight, 5);
    // Too much is as much as there is.
    store.append(batch([settle(A, [one(2)], 6)])).unwrap();
    assert_eq!((store.stats(A).messages, store.stats(A).weight), (1, 0));
    store.append(batch([weighing(3, 7)])).unwrap();
    assert_eq!(store.stats(A).weight, 7);
    // Nothing weighs nothing.
    store.append(batch([settle(A, [SeqRange::ALL], 1)])).unwrap();
    assert_eq!(store.stats(A).weight, 0);
}

pub(super) fn remembers_what_was_delivered(store: &impl MessageStore) {
    put(store, A, &[0, 1, 2], 1);
    store.append(batch([deliver(A, 1)])).unwrap();
    assert_eq!((store.stats(A).delivered, store.stats(A).next), (Seq(2), Seq(3)));
    // Never back.
    store.append(batch([deliver(A, 0), settle(A, [SeqRange::ALL], 3)])).unwrap();
    assert_eq!(store.stats(A).delivered, Seq(2));
    // Messages that are not in the store are delivered too: their positions are used.
    store.append(batch([deliver(A, 7), deliver(B, 0)])).unwrap();
    let used = |up_to| {
        let next = Seq(up_to);
        QueueStats { first: next, next, delivered: next, ..QueueStats::default() }
    };
    assert_eq!(store.stats(A), used(8));
    assert_eq!(store.stats(B), used(1));
    let refusal = store.append(batch([publish(A, 7, 1)]));
    assert!(matches!(refusal, Err(StoreError::OutOfOrder { next: Seq(8), .. })));
    let refusal = store.append(batch([deliver(A, 9), publish(A, 9, 1)]));
    assert!(matches!(refusal, Err(StoreError::OutOfOrder { next: Seq(10), .. })));
    assert_eq!(store.stats(A), used(8));
    store.append(batch([publish(A, 8, 1), drop_queue(B)])).unwrap();
    assert_eq!(store.stats(A).delivered, Seq(8));
    assert_eq!(store.stats(B), QueueStats::default());
    store.append(batch([deliver(B, u64::MAX)])).unwrap();
    assert_eq!(store.stats(B), used(u64::MAX));
}

pub(super) fn counts_returns(store: &impl MessageStore) {
    let returns = |queue| {
        let mut out = Vec::new();
        store.read(queue, Seq(0), EVERYTHING, &mut out).unwrap();
        out.iter().map(|stored| (stored.seq.0, stored.returns)).collect::<Vec<_>>()
    };
    put(store, A, &[0, 1, 2, 5], 1);
    store
        .append(batch([deliver(A, 5), give_back(A, [one(1), range(2, 99), range(1, 0)])]))
        .unwrap();
    assert_eq!(returns(A), [(0, 0), (1, 1), (2, 1), (5, 1)]);
    let settled = settle(A, [one(2)], 1);
    store
        .append(batch([give_back(A, [range(2, 4)]), settled, give_back(A, [range(0, 2)])]))
        .unwrap();
    assert_eq!(returns(A), [(0, 1), (1, 2), (5, 1)]);
    // Only what is there comes back.
    store.append(batch([give_back(B, [SeqRange::ALL])])).unwrap();
    assert_eq!(store.stats(B), QueueStats::default());
    store.append(batch([give_back(A, [SeqRange::ALL]), publish(A, 6, 1)])).unwrap();
    assert_eq!(returns(A), [(0, 2), (1, 3), (5, 2), (6, 0)]);
    // A queue that is dropped forgets them.
    let ops = [drop_queue(A), publish(A, 0, 1), publish(A, 1, 1)];
    store.append(batch(ops)).unwrap();
    assert_eq!(returns(A), [(0, 0), (1, 0)]);
}

pub(super) fn keeps_what_is_shared_in_each_queue(store: &impl MessageStore) {
    let shared = body(5000);
    let share = |queue, seq| Op::Publish {
        queue,
        seq: Seq(seq),
        payload: shared.clone(),
        weight: 7,
        shared: true,
    };
    store.append(batch([share(A, 0), share(B, 3)])).unwrap();
    // Another batch, a part of the same memory, and other octets.
    let part =
        Op::Publish { queue: B, seq: Seq(4), payload: shared.slice(1..), weight: 7, shared: true };
    let head = Op::Publish {
        queue: B,
        seq: Seq(5),
        payload: shared.slice(..4000),
        weight: 7,
        shared: true,
    };
    store.append(batch([share(QueueId(3), 0), part, head, publish(B, 6, 30)])).unwrap();
    // It stays with one when it goes from the other.
    store.append(batch([settle(A, [one(0)], 7), drop_queue(QueueId(3))])).unwrap();
    assert_eq!((store.stats(A).messages, store.stats(B).weight), (0, 51));
    let mut out = Vec::new();
    store.read(B, Seq(0), EVERYTHING, &mut out).unwrap();
    let payloads: Vec<&[u8]> = out.iter().map(|stored| &stored.payload[..]).collect();
    assert_eq!(payloads, [&shared[..], &shared[1..], &shared[..4000], &body(30)[..]]);
}

pub(super) fn drops_a_queue_and_its_positions(store: &impl MessageStore) {
    store.append(batch([publish(A, 7, 9), publish(B, 7, 9)])).unwrap();
    store.append(batch([drop_queue(A), drop_queue(QueueId(3))])).unwrap();
    assert_eq!(store.stats(A), QueueStats::default());
    assert_eq!(read(store, A, 0, EVERYTHING), (vec![], 0));
    assert_eq!(seqs(store, B), [7]);
    store.append(batch([publish(B, 8, 1), drop_queue(B), publish(B, 0, 1)])).unwrap();
    assert_eq!(seqs(store, B), [0]);
    assert_eq!(store.stats(B).weight, 1);
}

pub(super) fn refuses_positions_out_of_order(store: &impl MessageStore) {
    put(store, A, &[5], 1);
    for wrong in [
        vec![publish(A, 5, 1)],
        vec![publish(A, 4, 1)],
        vec![publish(A, 6, 1), publish(A, 6, 1)],
        vec![publish(A, 7, 1), publish(B, 1, 1), publish(A, 6, 1)],
        vec![drop_queue(A), publish(A, 0, 1), publish(A, 0, 1)],
        vec![publish(A, u64::MAX, 1)],
    ] {
        // What comes with it does not happen either.
        let mut whole = batch([publish(B, 0, 1), deliver(B, 0), settle(A, [SeqRange::ALL], 1)]);
        for op in wrong {
            whole.push(op);
        }
        let refusal = store.append(whole).unwrap_err();
        assert!(matches!(refusal, StoreError::OutOfOrder { .. }));
        assert_eq!(seqs(store, A), [5]);
        assert_eq!(store.stats(B), QueueStats::default());
    }
    store.append(batch([settle(A, [SeqRange::ALL], 1)])).unwrap();
    // A position stays used when its message is gone.
    let refusal = store.append(batch([publish(A, 5, 1)])).unwrap_err();
    let StoreError::OutOfOrder { queue, seq, next } = refusal else {
        panic!("{refusal}");
    };
    assert_eq!((queue, seq, next), (A, Seq(5), Seq(6)));
}

pub(super) fn numbers_batches_and_makes_them_durable(store: &impl MessageStore) {
    let durable = store.durable();
    assert_eq!(store.append(Batch::new()).unwrap(), Lsn(0));
    put(store, A, &[0], 1);
    let second = store.append(batch([settle(A, [SeqRange::ALL], 1)])).unwrap();
    assert_eq!(second, Lsn(2));
    assert_eq!(store.append(Batch::new()).unwrap(), second);
    assert_eq!(store.checkpoint().unwrap(), second);
    // A checkpoint waits for the disk: all before it is durable by now.
    assert_eq!(*durable.borrow(), second);
    assert_eq!(*store.durable().borrow(), second);
}

pub(super) fn applies_the_parts_of_a_transaction_at_once(store: &impl MessageStore) {
    let part = |ops: Vec<Op>, tx, last| {
        let mut part = batch(ops);
        part.set_part(TxPart { tx, last });
        store.append(part)
    };
    assert_eq!(part(vec![publish(A, 0, 1)], 7, false).unwrap(), Lsn(1));
    assert_eq!(seqs(store, A), [0]);
    part(vec![publish(A, 1, 1), settle(A, [one(0)], 1)], 8, true).unwrap();
    assert_eq!(seqs(store, A), [1]);
    // Nothing is refused otherwise than without a transaction.
    let refusal = part(vec![publish(A, 1, 1)], 7, false);
    assert!(matches!(refusal, Err(StoreError::OutOfOrder { .. })));
    // The last part counts without operations too.
    assert_eq!(part(vec![], 7, true).unwrap(), Lsn(3));
    assert_eq!(store.checkpoint().unwrap(), Lsn(3));
    assert_eq!(seqs(store, A), [1]);
}

pub(super) fn refuses_publishes_and_only_those_when_full(store: &impl MessageStore) {
    let mut filled = 0;
    let refusal = loop {
        match store.append(batch([publish(A, filled, 10_000)])) {
            Ok(_) => filled += 1,
            Err(refusal) => break refusal,
        }
        assert!(filled < 10_000, "no bound");
    };
    assert!(matches!(refusal, StoreError::Full { .. }), "{refusal}");
    assert_eq!(store.stats(A).messages, filled);
    assert_eq!(store.stats(A).next, Seq(filled));
    // A batch is all or nothing, so that even its settles do not happen.
    let ops = [settle(A, [one(0)], 10_000), publish(A, filled, 1 << 20)];
    assert!(matches!(store.append(batch(ops)), Err(StoreError::Full { .. })));
    assert_eq!(store.stats(A).first, Seq(0));
    takes_what_continues_a_transaction(store);
    // What publishes nothing is done.
    let returned = give_back(A, [range(0, 9)]);
    let meta = Op::Meta { version: 1, changes: vec![(body(4), Some(body(100)))] };
    store.append(batch([deliver(A, 9), returned, meta])).unwrap();
    let settled = settle(A, [range(0, filled - 2)], (filled - 1) * 10_000);
    store.append(batch([settled, drop_queue(B)])).unwrap();
    let stats = store.stats(A);
    assert_eq!((stats.messages, stats.weight, stats.first), (1, 10_000, Seq(filled - 1)));
    // There is room again, if not at once.
    for _ in 0..1000 {
        store.checkpoint().unwrap();
        match store.append(batch([publish(A, filled, 10_000), publish(A, filled + 1, 10_000)])) {
            Ok(_) => return,
            Err(refusal) => assert!(matches!(refusal, StoreError::Full { .. }), "{refusal}"),
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("no room was given back");
}

fn takes_what_continues_a_transaction(store: &impl MessageStore) {
    let part = |tx, ops: Vec<Op>, last| {
        let mut part = batch(ops);
        part.set_part(TxPart { tx, last });
        store.append(part)
    };
    part(1, vec![deliver(A, 0)], false).unwrap();
    let begins = part(2, vec![publish(B, 0, 20_000)], false);
    assert!(matches!(begins, Err(StoreError::Full { .. })), "{begins:?}");
    part(1, vec![publish(B, 0, 20_000)], true).unwrap();
    let ended = part(1, vec![publish(B, 1, 20_000)], false);
    assert!(matches!(ended, Err(StoreError::Full { .. })), "{ended:?}");
}

pub(super) fn reports_that_it_is_well(store: &impl MessageStore) {
    assert_eq!(store.status().health, Health::Ready);
    put(store, A, &[0, 1, 2], 1000);
    store.checkpoint().unwrap();
    let status = store.status();
    assert_eq!((status.health, status.pending_bytes), (Health::Ready, 0));
    assert!(status.commits > 0);
    // Closing is a checkpoint; what is there can be read still.
    let latest = store.append(batch([publish(A, 3, 1)])).unwrap();
    let durable = store.durable();
    store.close().unwrap();
    assert_eq!(*durable.borrow(), latest);
    assert_eq!(store.stats(A).messages, 4);
}

pub(super) fn serves_threads(store: &impl MessageStore) {
    const MESSAGES: u64 = 2000;
    std::thread::scope(|scope| {
        for queue in [A, B] {
            scope.spawn(move || (0..MESSAGES).for_each(|seq| put(store, queue, &[seq], 8)));
            scope.spawn(move || {
                let (mut from, mut taken) = (Seq(0), 0);
                while taken < MESSAGES {
                    let mut out = Vec::new();
                    from = store.read(queue, from, EVERYTHING, &mut out).unwrap();
                    taken += out.len() as u64;
                    let weight = 8 * out.len() as u64;
                    let ranges = out.iter().map(|stored| stored.seq.into());
                    store.append(batch([settle(queue, ranges, weight)])).unwrap();
                }
            });
        }
    });
    assert_eq!(store.stats(A), store.stats(B));
    assert_eq!(store.stats(A).messages, 0);
    let latest = store.checkpoint().unwrap();
    assert_eq!(*store.durable().borrow(), latest);
}
