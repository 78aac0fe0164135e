//! Segments and indexes whose crc is right and whose contents nobody has written: a mistake of another version,
//! or of malice.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use proptest::sample::Index;

use super::{small, tuning};
use crate::conformance::{batch, publish, settle};
use crate::disk::Disk;
use crate::disk::sim::SimDisk;
use crate::inspect::unreadable;
use crate::log::frame::{self, FrameHeader};
use crate::log::inspect::Examined;
use crate::log::segment::{self, SegmentHeader, mix};
use crate::log::{LogStore, record, seal};
use crate::{MessageStore, Op, QueueId, Seq, SeqRange, StoreConfig, StoreError, TxPart};

const HOME: &str = "/store";
/// Where numbers turn over.
const NUMBERS: &[u64] =
    &[0, 1, 0xff, 0xffff, 0x7fff_ffff, u32::MAX as u64, i64::MAX as u64, u64::MAX];

/// New octets: so many of a number, from a place on.
type Edit = (Index, usize, u64);

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let number = prop_oneof![prop::sample::select(NUMBERS), 0..64_u64, any::<u64>()];
    prop::collection::vec((any::<Index>(), prop::sample::select(&[1, 2, 4, 8][..]), number), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn nothing_behind_a_right_crc_is_trusted(file in any::<Index>(), edits in edits()) {
        let disk = SOUND.image_after_kill(1);
        let files: Vec<PathBuf> = disk.paths().into_iter().filter(|path| is_tried(path)).collect();
        let path = file.get(&files);
        let sound = disk.contents(path).unwrap();
        let mut bytes = sound.clone();
        for (at, len, number) in edits {
            let at = at.index(bytes.len());
            bytes.iter_mut().skip(at).zip(&number.to_le_bytes()[..len]).for_each(|(old, new)| *old = *new);
        }
        reseal(path, &mut bytes, &sound);
        disk.open(path).unwrap().write_at(&bytes, 0).unwrap();
        look(&disk);
        open(&disk);
    }
}

/// A store with several segments, closed.
static SOUND: LazyLock<SimDisk> = LazyLock::new(|| {
    let disk = SimDisk::new(1);
    let (store, _) = LogStore::open_stepped(&cfg(), Arc::new(disk.clone()), tuning()).unwrap();
    for seq in 0..80 {
        let mut all = batch([publish(QueueId(seq % 3), seq, 4000)]);
        if seq % 10 == 7 {
            all.set_part(TxPart { tx: seq, last: seq % 20 == 7 });
        }
        store.append(all).unwrap();
        if seq % 4 == 3 {
            let range = SeqRange { first: Seq(seq - 3), last: Seq(seq - 3) };
            store.append(batch([settle(QueueId((seq - 3) % 3), [range], 4000)])).unwrap();
        }
        if seq % 16 == 5 {
            let changes = vec![("k".into(), Some("declared".into()))];
            store.append(batch([Op::Meta { version: seq, changes }])).unwrap();
            store.append(batch([publish(QueueId(9), seq, 40_000)])).unwrap();
        }
        while store.step() {}
    }
    drop(store);
    disk
});

#[test]
fn what_is_sealed_again_is_what_was_written() {
    let mut kinds = 0;
    for path in SOUND.paths().into_iter().filter(|path| is_tried(path)) {
        let sound = SOUND.contents(&path).unwrap();
        let mut bytes = sound.clone();
        reseal(&path, &mut bytes, &sound);
        assert!(bytes == sound, "{}", path.display());
        kinds += 1;
    }
    assert!(kinds > 5, "{kinds} files");
}

fn cfg() -> StoreConfig {
    small(Path::new(HOME))
}

fn is_tried(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "seg" || extension == "idx")
}

/// Makes the crcs of a file right again, which was sound.
fn reseal(path: &Path, bytes: &mut [u8], sound: &[u8]) {
    if path.extension().is_some_and(|extension| extension == "seg") {
        reseal_segment(bytes, sound);
    } else {
        reseal_index(bytes);
    }
}

/// Frames stay where they were.
fn reseal_segment(bytes: &mut [u8], sound: &[u8]) {
    let header = SegmentHeader::decode(sound, "sound").unwrap();
    bytes[..segment::HEADER].copy_from_slice(&sound[..segment::HEADER]);
    let mix = mix(header.generation);
    let mut at = segment::HEADER;
    while let Some(frame) = FrameHeader::decode(&sound[at..], header.generation) {
        let (begin, end) = (at + frame::HEADER, at + frame::HEADER + frame.len as usize);
        bytes[at..at + 4].copy_from_slice(&sound[at..at + 4]);
        seal_at(bytes, at + 4, at + 8..begin, mix);
        let mut record = begin;
        while let Some(len) = bytes.get(record..end).and_then(record::length)
            && record + len <= end
        {
            seal_at(bytes, record, record + 4..record + len, mix);
            record += len;
        }
        at += frame.size() as usize;
    }
}

fn reseal_index(bytes: &mut [u8]) {
    let end = bytes.len() - 4;
    seal_at(bytes, 36, 0..36, 0);
    seal_at(bytes, end, seal::HEADER..end, 0);
}

fn seal_at(bytes: &mut [u8], at: usize, covered: std::ops::Range<usize>, mix: u32) {
    let crc = crc32c::crc32c(&bytes[covered]) ^ mix;
    bytes[at..at + 4].copy_from_slice(&crc.to_le_bytes());
}

fn look(disk: &SimDisk) {
    let examined = Examined::open(Path::new(HOME), Arc::new(disk.clone()), || Ok(None), true);
    if let Ok(mut examined) = examined {
        let _ = examined.verify();
    }
}

fn open(disk: &SimDisk) {
    match LogStore::open_stepped(&cfg(), Arc::new(disk.clone()), tuning()) {
        Ok((store, recovered)) => {
            let _ = unreadable(&store, &recovered);
            let steps = (0..10_000).take_while(|_| store.step()).count();
            assert!(steps < 10_000, "it never rests: {:?}", store.status());
            let _ = store.close();
        }
        Err(error) => assert!(!matches!(error, StoreError::Full { .. }), "there is room"),
    }
}
