use tempfile::TempDir;

use super::*;
use crate::conformance::{batch, publish};
use crate::{Catalog, LogStore};

const A: QueueId = QueueId(1);

fn filled<S: MessageStore>(directory: &Path) {
    let (store, _) = S::open(&StoreConfig::new(directory)).unwrap();
    store.append(batch([publish(A, 0, 10), publish(A, 1, 20)])).unwrap();
    store.close().unwrap();
}

fn messages(inspection: &Inspection) -> usize {
    let mut out = Vec::new();
    inspection.read(A, Seq(0), AT_ONCE, &mut out).unwrap();
    out.len()
}

#[test]
fn both_engines_are_read() {
    for kind in [StoreKind::Log, StoreKind::Sled] {
        let held = TempDir::new().unwrap();
        match kind {
            StoreKind::Log => filled::<LogStore>(held.path()),
            StoreKind::Sled => filled::<SledStore>(held.path()),
        }
        assert_eq!(StoreKind::of(held.path()).unwrap(), kind);
        let mut inspection = Inspection::open(held.path(), kind).unwrap();
        inspection.verify().unwrap();
        assert!(inspection.report().is_sound(), "{:?}", inspection.report());
        assert_eq!(inspection.report().queues[0].1.messages, 2);
        assert_eq!(messages(&inspection), 2);
        let second = Inspection::open(held.path(), kind).map(drop);
        assert!(matches!(second, Err(StoreError::InUse(_))), "{second:?}");
    }
    let empty = TempDir::new().unwrap();
    assert!(matches!(StoreKind::of(empty.path()), Err(StoreError::Io(_))));
}

#[test]
fn a_damaged_catalog_is_told_and_moved_away() {
    let held = TempDir::new().unwrap();
    filled::<LogStore>(held.path());
    let (catalog, _) = Catalog::open(held.path(), None).unwrap();
    catalog.apply(1, vec![("key".into(), Some(vec![7; 500].into()))]).unwrap();
    drop(catalog);
    let sound = Inspection::open(held.path(), StoreKind::Log).unwrap();
    assert_eq!((sound.report().is_sound(), sound.report().meta.version), (true, 1));
    drop(sound);
    for name in ["db", "conf"] {
        let file = catalog::folder(held.path()).join(name);
        let len = std::fs::metadata(&file).unwrap().len() as usize;
        std::fs::write(&file, vec![0xA5; len]).unwrap();
    }
    let (report, aside) = repair(held.path()).unwrap();
    assert_eq!((report.faults.len(), report.lost.len()), (1, 0));
    assert!(aside.unwrap().join("meta").join("db").is_file());
    let (report, aside) = repair(held.path()).unwrap();
    assert!(report.is_sound() && aside.is_none(), "{report:?}");
}
