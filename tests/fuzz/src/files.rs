//! What is on the disk: segments, indexes, checkpoints and the catalog of the log.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use bytes::Bytes;
use lepus_storage::{
    Batch, Inspection, Op, QueueId, Seq, SeqRange, StoreConfig, StoreError, StoreKind, TxPart, open,
};
use tempfile::TempDir;

use crate::bounds::{MIB, within};

/// Small, so that there are several.
const SEGMENT: u32 = 64 << 10;

/// One file of a data directory: the first octet says which. Damaged files are refused, or read as far as
/// they go; looking into them changes nothing.
pub fn data_directory(octets: &[u8]) {
    let Some((which, octets)) = octets.split_first() else { return };
    let (name, _) = &SOUND[usize::from(*which) % SOUND.len()];
    look_and_open_with(name, octets);
}

/// All files of a sound one.
pub fn seeds() -> Vec<Vec<u8>> {
    (0..)
        .zip(SOUND.iter())
        .map(|(which, (_, octets))| [&[which], octets.as_slice()].concat())
        .collect()
}

/// Octets that a case may allocate.
const MOST: u64 = 64 * MIB;

fn look_and_open_with(name: &Path, octets: &[u8]) {
    let here = directory();
    for (other, sound) in SOUND.iter() {
        let path = here.path().join(other);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, if other == name { octets } else { sound }).unwrap();
    }
    within(MOST, || look_and_open(here.path()));
}

fn look_and_open(directory: &Path) {
    if let Ok(mut inspection) = Inspection::open(directory, StoreKind::Log) {
        let _ = inspection.verify();
    }
    match open(StoreKind::Log, &config(directory)) {
        Ok((store, recovered)) => {
            for (queue, _) in recovered.queues {
                let max = lepus_storage::ReadMax { messages: 1000, bytes: 1 << 20 };
                let _ = store.read(queue, Seq(0), max, &mut Vec::new());
            }
        }
        Err(error) => assert!(!matches!(error, StoreError::Full { .. }), "there is room"),
    }
}

/// The files of a directory that a store was closed on.
static SOUND: LazyLock<Vec<(PathBuf, Vec<u8>)>> = LazyLock::new(|| {
    let dir = directory();
    let (store, _) = open(StoreKind::Log, &config(dir.path())).unwrap();
    for number in 0..60_u64 {
        let (queue, seq) = (QueueId(number % 3), Seq(number));
        let payload = Bytes::from(vec![number as u8; 2000 + 40 * number as usize]);
        let publish = Op::Publish { queue, seq, payload, weight: 1, shared: false };
        let mut batch = Batch::from(vec![publish]);
        if number % 10 == 7 {
            batch.set_part(TxPart { tx: number, last: true });
        }
        store.append(batch).unwrap();
        if number % 4 == 3 {
            let ranges = vec![SeqRange { first: Seq(number - 3), last: Seq(number - 3) }];
            let queue = QueueId((number - 3) % 3);
            store.append(vec![Op::Settle { queue, ranges, weight: 1 }].into()).unwrap();
        }
        if number == 30 {
            let changes = vec![(Bytes::from("k"), Some(Bytes::from("declared")))];
            store.append(vec![Op::Meta { version: 1, changes }].into()).unwrap();
            store.checkpoint().unwrap();
        }
    }
    drop(store);
    files(dir.path())
});

/// In memory, where there is such a file system: each case waits for the disk several times, and others may
/// keep that busy.
fn directory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn config(directory: &Path) -> StoreConfig {
    StoreConfig { segment_bytes: SEGMENT, ..StoreConfig::new(directory) }
}

/// All files below a directory, by name.
fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut found, mut folders) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let octets = std::fs::read(&path).unwrap();
                    found.push((path.strip_prefix(directory).unwrap().to_owned(), octets));
                }
            }
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::cases;
    use crate::octets::{changed, edits};

    proptest! {
        #![proptest_config(cases(8))]

        #[test]
        fn a_data_directory(file in any::<Index>(), edits in edits(6)) {
            let (name, octets) = file.get(SOUND.as_slice());
            look_and_open_with(name, &changed(octets, &edits));
        }
    }

    /// Its lengths mean something else then, those of all messages.
    #[test]
    fn a_file_that_has_lost_its_first_octet() {
        for (name, octets) in SOUND.iter() {
            look_and_open_with(name, octets.get(1..).unwrap_or_default());
        }
    }
}
