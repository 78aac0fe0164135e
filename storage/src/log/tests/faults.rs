//! Disks that crash, fail and lie.

use std::path::Path;
use std::sync::Arc;

use super::{small, tuning};
use crate::conformance::{batch, publish, settle};
use crate::disk::sim::{Fault, SimDisk};
use crate::log::LogStore;
use crate::{
    Batch, Health, Lsn, MessageStore, Op, QueueId, ReadMax, Recovered, Seq, SeqRange, StoreConfig,
    StoreError, TxPart,
};

const A: QueueId = QueueId(1);
const EVERYTHING: ReadMax = ReadMax { messages: usize::MAX, bytes: usize::MAX };

fn cfg() -> StoreConfig {
    small(Path::new("/store"))
}

fn open(disk: &SimDisk) -> Result<(LogStore, Recovered), StoreError> {
    LogStore::open_stepped(&cfg(), Arc::new(disk.clone()), tuning())
}

fn run(store: &LogStore) {
    let steps = (0..10_000).take_while(|_| store.step()).count();
    assert!(steps < 10_000, "it never rests: {:?}", store.status());
}

fn durable(store: &LogStore) -> Lsn {
    *store.durable().borrow()
}

fn seqs(store: &LogStore) -> Vec<u64> {
    let mut out = Vec::new();
    store.read(A, Seq(0), EVERYTHING, &mut out).unwrap();
    out.iter().map(|stored| stored.seq.0).collect()
}

#[test]
fn what_was_durable_survives_a_crash_at_every_step() {
    for crash in 1..60 {
        let disk = SimDisk::new(crash);
        let (store, _) = open(&disk).unwrap();
        disk.crash_after(crash);
        for seq in 0..40 {
            let _ = store.append(batch([publish(A, seq, 9000)]));
            store.step();
        }
        let confirmed = durable(&store);
        drop(store);
        for seed in 0..4 {
            let (store, recovered) = open(&disk.image_after_crash(seed)).unwrap();
            assert!(recovered.lsn >= confirmed, "crash {crash}, seed {seed}");
            assert!(seqs(&store).into_iter().eq(0..recovered.lsn.0), "crash {crash}, seed {seed}");
        }
    }
}

#[test]
fn damage_before_a_later_commit_is_refused_by_name() {
    let disk = SimDisk::new(1);
    let (store, _) = open(&disk).unwrap();
    for seq in 0..3 {
        store.append(batch([publish(A, seq, 100)])).unwrap();
        run(&store);
    }
    drop(store);
    let segment = Path::new("/store/log/0000000000000000.seg");
    disk.flip_byte(segment, 1024 + 100).unwrap();
    let Err(StoreError::Corrupt { place, detail }) = open(&disk) else { panic!("opened") };
    assert!(place.contains("0000000000000000.seg at 1024"), "{place}");
    assert!(detail.contains("queues 1"), "{detail}");
    // The same in the last commit is a torn write.
    disk.flip_byte(segment, 1024 + 100).unwrap();
    disk.flip_byte(segment, 1536 + 100).unwrap();
    let (store, recovered) = open(&disk).unwrap();
    assert_eq!((recovered.lsn, recovered.notes.len()), (Lsn(2), 1), "{:?}", recovered.notes);
    assert_eq!(seqs(&store), [0, 1]);
}

#[test]
fn one_damaged_message_does_not_hide_the_others() {
    let disk = SimDisk::new(2);
    let (store, _) = open(&disk).unwrap();
    store.append(batch([publish(A, 0, 100), publish(A, 1, 100), publish(A, 2, 100)])).unwrap();
    run(&store);
    // In the second record.
    disk.flip_byte(Path::new("/store/log/0000000000000000.seg"), 512 + 40 + 130 + 60).unwrap();
    let mut out = Vec::new();
    assert_eq!(store.read(A, Seq(0), EVERYTHING, &mut out).unwrap(), Seq(1));
    let refusal = store.read(A, Seq(1), EVERYTHING, &mut out).unwrap_err();
    assert!(matches!(refusal, StoreError::Unreadable { seq: Seq(1), .. }), "{refusal}");
    assert_eq!(store.read(A, Seq(2), EVERYTHING, &mut out).unwrap(), Seq(3));
}

#[test]
fn a_length_that_is_damaged_takes_no_memory() {
    let disk = SimDisk::new(2);
    let (store, _) = open(&disk).unwrap();
    store.append(batch([publish(A, 0, 100), publish(A, 1, 100), publish(A, 2, 100)])).unwrap();
    run(&store);
    // The highest octet of the second record's: the simulated disk does not read gigabytes.
    disk.flip_byte(Path::new("/store/log/0000000000000000.seg"), 512 + 40 + 130 + 7).unwrap();
    let mut out = Vec::new();
    for from in [0, 1] {
        let refusal = store.read(A, Seq(from), EVERYTHING, &mut out);
        match from {
            0 => assert_eq!(refusal.unwrap(), Seq(1)),
            _ => assert!(refusal.unwrap_err().to_string().contains("longer than any")),
        }
    }
    assert_eq!(store.read(A, Seq(2), EVERYTHING, &mut out).unwrap(), Seq(3));
}

#[test]
fn what_cannot_be_read_is_told_with_file_and_offset_and_one_reason() {
    let disk = SimDisk::new(2);
    let (store, _) = open(&disk).unwrap();
    store.append(batch([publish(A, 0, 9000)])).unwrap();
    store.append(batch((1..40).map(|seq| publish(A, seq, 9000)))).unwrap();
    run(&store);
    store.close().unwrap();
    drop(store);
    let (store, _) = open(&disk).unwrap();
    let file = Path::new("/store/log/0000000000000000.seg");
    disk.fail_reads(file, 512..1024).unwrap();
    let told = store.read(A, Seq(0), EVERYTHING, &mut Vec::new()).unwrap_err().to_string();
    assert!(told.contains(&format!("{} at 552: ", file.display())), "{told}");
    drop(store);
    let (store, _) = open(&disk).unwrap();
    let index = file.with_extension("idx");
    disk.fail_reads(&index, 0..4096).unwrap();
    let told = store.read(A, Seq(0), EVERYTHING, &mut Vec::new()).unwrap_err().to_string();
    let reason = std::io::Error::from_raw_os_error(5);
    assert!(told.ends_with(&format!("{}: {reason}", index.display())), "{told}");
}

/// Otherwise a segment takes hours in which everything is damaged.
#[test]
fn the_index_of_damaged_messages_is_read_once() {
    let disk = SimDisk::new(2);
    let cfg = StoreConfig { segment_bytes: 2 << 20, ..cfg() };
    let open = || LogStore::open_stepped(&cfg, Arc::new(disk.clone()), tuning()).unwrap().0;
    let store = open();
    store.append(batch((0..30_000).map(|seq| publish(A, seq, 10)))).unwrap();
    store.append(batch((30_000..30_200).map(|seq| publish(A, seq, 9000)))).unwrap();
    run(&store);
    store.close().unwrap();
    drop(store);
    let store = open();
    let file = Path::new("/store/log/0000000000000000.seg");
    let index = disk.contents(&file.with_extension("idx")).unwrap().len() as u64;
    (552..40_000).for_each(|at| disk.flip_byte(file, at).unwrap());
    let before = disk.read_bytes();
    for seq in 0..900 {
        let lost = store.read(A, Seq(seq), EVERYTHING, &mut Vec::new());
        assert!(matches!(lost, Err(StoreError::Unreadable { .. })), "{lost:?}");
    }
    let read = (disk.read_bytes() - before) / 900;
    assert!(read < index, "{read} octets for each message, of an index with {index}");
}

#[test]
fn missing_checkpoints_are_told_once_the_log_does_not_begin_at_its_beginning() {
    for settled in [0, 30] {
        let disk = SimDisk::new(3);
        let (store, _) = open(&disk).unwrap();
        for seq in 0..40 {
            store.append(batch([publish(A, seq, 9000)])).unwrap();
        }
        if settled > 0 {
            let all = SeqRange { first: Seq(0), last: Seq(settled - 1) };
            store.append(batch([settle(A, [all], settled * 9000)])).unwrap();
        }
        for _ in 0..3 {
            store.checkpoint().unwrap();
        }
        run(&store);
        store.close().unwrap();
        drop(store);
        for number in 0..2 {
            disk.lose(Path::new(&format!("/store/log/checkpoint.{number}"))).unwrap();
        }
        match open(&disk) {
            Ok((store, _)) => assert_eq!((settled, seqs(&store).len()), (0, 40)),
            Err(error) => {
                assert_eq!(settled, 30, "{error}");
                assert!(error.to_string().contains("both checkpoints are missing"), "{error}");
            }
        }
    }
}

#[test]
fn a_failed_write_or_sync_is_the_end_of_durability() {
    for sync in [false, true] {
        let disk = SimDisk::new(3);
        let (store, _) = open(&disk).unwrap();
        store.append(batch([publish(A, 0, 1)])).unwrap();
        run(&store);
        if sync {
            disk.fail_sync(1, Fault::Io);
        } else {
            disk.fail_write(1, Fault::Io);
        }
        let watch = store.durable();
        store.append(batch([publish(A, 1, 1)])).unwrap();
        run(&store);
        assert!(watch.has_changed().is_err(), "the channel closes");
        assert_eq!(*watch.borrow(), Lsn(1));
        assert!(matches!(store.status().health, Health::Poisoned(_)));
        let refusal = store.append(batch([publish(A, 2, 1)])).unwrap_err();
        assert!(matches!(refusal, StoreError::Poisoned(_)));
        assert!(matches!(store.close(), Err(StoreError::Poisoned(_))));
        assert_eq!(seqs(&store), [0, 1]);
    }
}

#[test]
fn a_full_disk_takes_settlements_and_recovers() {
    let disk = SimDisk::new(4);
    disk.set_capacity(Some(1 << 20));
    let (store, _) = open(&disk).unwrap();
    let mut next = 0;
    let refusal = loop {
        match store.append(batch([publish(A, next, 9000)])) {
            Ok(_) => next += 1,
            Err(refusal) => break refusal,
        }
        run(&store);
        assert!(next < 1000, "no bound");
    };
    assert!(matches!(refusal, StoreError::Full { .. }), "{refusal}");
    assert_eq!(store.status().health, Health::Full);
    store.append(batch([settle(A, [SeqRange::ALL], 0)])).unwrap();
    run(&store);
    for _ in 0..3 {
        let _ = store.checkpoint();
        run(&store);
    }
    assert_eq!(store.status().health, Health::Ready);
    store.append(batch([publish(A, next, 9000)])).unwrap();
    store.checkpoint().unwrap();
    assert_eq!(seqs(&store), [next]);
}

fn part_of(tx: u64, op: Op, last: bool) -> Batch {
    let mut part = batch([op]);
    part.set_part(TxPart { tx, last });
    part
}

#[test]
fn a_full_disk_refuses_transactions_as_they_begin() {
    let disk = SimDisk::new(7);
    let (store, _) = open(&disk).unwrap();
    let part = |tx, seq, last| part_of(tx, publish(A, seq, 9000), last);
    store.append(part(1, 0, false)).unwrap();
    disk.set_capacity(Some(disk.used_bytes()));
    run(&store);
    assert_eq!(store.status().health, Health::Full);
    assert!(matches!(store.append(part(2, 1, false)), Err(StoreError::Full { .. })));
    store.append(part(1, 1, true)).unwrap();
    disk.set_capacity(None);
    run(&store);
    store.checkpoint().unwrap();
    drop(store);
    let (store, _) = open(&disk.image_after_crash(1)).unwrap();
    assert_eq!(seqs(&store), [0, 1]);
}

/// Else it would never be whole.
#[test]
fn a_transaction_that_has_begun_goes_on_though_the_disk_does_not_say_what_room_it_has() {
    let disk = SimDisk::new(7);
    let (store, _) = open(&disk).unwrap();
    let part = |tx, seq, last| part_of(tx, publish(A, seq, 90_000), last);
    store.append(part(1, 0, false)).unwrap();
    disk.set_mute(true);
    assert!(matches!(store.append(part(2, 1, false)), Err(StoreError::Io(_))));
    store.append(part(1, 1, true)).unwrap();
    assert_eq!(seqs(&store), [0, 1]);
}

#[test]
fn a_newer_format_and_a_second_process_are_refused() {
    let disk = SimDisk::new(5);
    let (store, _) = open(&disk).unwrap();
    assert!(matches!(open(&disk), Err(StoreError::InUse(_))));
    store.append(batch([publish(A, 0, 1)])).unwrap();
    run(&store);
    drop(store);
    disk.flip_byte(Path::new("/store/log/0000000000000000.seg"), 9).unwrap();
    assert!(matches!(open(&disk), Err(StoreError::Format { known: 1, .. })));
}

#[test]
fn appenders_share_a_commit() {
    let disk = SimDisk::new(6);
    let (store, _) = open(&disk).unwrap();
    std::thread::scope(|scope| {
        for queue in 0..2 {
            let store = &store;
            scope.spawn(move || store.append(batch([publish(QueueId(queue), 0, 10)])).unwrap());
        }
    });
    assert!(store.step());
    assert_eq!((store.status().commits, durable(&store)), (1, Lsn(2)));
}
