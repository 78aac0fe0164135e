use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::conformance::{batch, publish};
use crate::{Catalog, Inspection, Meta, QueueId, repair};

const A: QueueId = QueueId(1);

/// A directory of a broker that kept ten messages, and has ended like this.
fn used(kind: StoreKind, end: fn(&dyn MessageStore)) -> TempDir {
    let held = TempDir::new().unwrap();
    let (store, _) = open(kind, &StoreConfig::new(held.path())).unwrap();
    let (catalog, _) = Catalog::open(held.path(), None).unwrap();
    let changes = vec![("key".into(), Some("value".into()))];
    store.append(batch([Op::Meta { version: 1, changes: changes.clone() }])).unwrap();
    catalog.apply(1, changes).unwrap();
    store.append(batch((0..10).map(|seq| publish(A, seq, 10)))).unwrap();
    while *store.durable().borrow() < Lsn(3) {
        std::thread::yield_now();
    }
    end(&*store);
    held
}

fn closed(store: &dyn MessageStore) {
    store.close().unwrap();
}

fn killed(_: &dyn MessageStore) {}

fn open_again(held: &TempDir, kind: StoreKind) -> Result<u64, StoreError> {
    let (store, _) = open(kind, &StoreConfig::new(held.path()))?;
    Ok(store.stats(A).messages)
}

fn names(held: &TempDir) -> Vec<PathBuf> {
    let mut names: Vec<PathBuf> =
        fs::read_dir(held.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names
}

fn faults(held: &TempDir) -> usize {
    let kind = StoreKind::of(held.path()).unwrap();
    Inspection::open(held.path(), kind).unwrap().report().faults.len()
}

#[test]
fn an_engine_finds_what_it_has_kept() {
    for kind in [StoreKind::Log, StoreKind::Sled] {
        for end in [closed, killed] {
            let held = used(kind, end);
            assert_eq!(open_again(&held, kind).unwrap(), 10);
            assert_eq!(StoreKind::of(held.path()).unwrap(), kind);
            assert_eq!(faults(&held), 0);
        }
    }
}

#[test]
fn another_engine_is_refused_and_changes_nothing() {
    for kind in [StoreKind::Log, StoreKind::Sled] {
        let held = used(kind, closed);
        for _ in 0..2 {
            let before = names(&held);
            let refused = open_again(&held, kind.other());
            assert!(matches!(refused, Err(StoreError::Misplaced(_))), "{refused:?}");
            assert_eq!(names(&held), before);
            // A version that named nothing has left it like this.
            let _ = fs::remove_file(held.path().join("store.json"));
            let _ = fs::remove_file(held.path().join(kind.folder()).join("store.json"));
        }
        assert_eq!(open_again(&held, kind).unwrap(), 10);
    }
}

#[test]
fn messages_that_are_gone_are_missed() {
    let losses: [fn(PathBuf); 2] = [
        |log| fs::remove_dir_all(log).unwrap(),
        |log| {
            fs::remove_dir_all(&log).unwrap();
            fs::create_dir(log).unwrap();
        },
    ];
    for kind in [StoreKind::Log, StoreKind::Sled] {
        for lose in losses {
            let held = used(kind, closed);
            lose(held.path().join(kind.folder()));
            let before = names(&held);
            let refused = open_again(&held, kind);
            assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{refused:?}");
            assert_eq!(names(&held), before);
        }
    }
    // Also by a version that named nothing.
    let held = used(StoreKind::Log, closed);
    fs::remove_dir_all(held.path().join("log")).unwrap();
    fs::remove_file(held.path().join("store.json")).unwrap();
    let refused = open_again(&held, StoreKind::Log);
    assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{refused:?}");
}

#[test]
fn a_log_without_its_segments_is_refused() {
    let held = used(StoreKind::Log, killed);
    for entry in fs::read_dir(held.path().join("log")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "seg") {
            fs::remove_file(path).unwrap();
        }
    }
    let refused = open_again(&held, StoreKind::Log);
    assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{refused:?}");
    assert!(faults(&held) > 0);
}

#[test]
fn a_log_that_is_gone_is_begun_anew_by_a_repair() {
    let held = used(StoreKind::Log, closed);
    fs::remove_dir_all(held.path().join("log")).unwrap();
    assert_eq!(faults(&held), 1);
    let (report, aside) = repair(held.path()).unwrap();
    assert_eq!((report.meta.version, aside.is_some()), (1, true));
    assert_eq!(faults(&held), 0);
    assert_eq!(open_again(&held, StoreKind::Log).unwrap(), 0);
}

#[test]
fn the_log_of_another_directory_is_refused() {
    let (held, other) = (used(StoreKind::Log, closed), used(StoreKind::Log, closed));
    fs::remove_dir_all(held.path().join("log")).unwrap();
    fs::rename(other.path().join("log"), held.path().join("log")).unwrap();
    let refused = open_again(&held, StoreKind::Log);
    assert!(matches!(refused, Err(StoreError::Misplaced(_))), "{refused:?}");
    let refused = repair(held.path()).map(drop);
    assert!(matches!(refused, Err(StoreError::Misplaced(_))), "{refused:?}");
}

#[test]
fn an_interrupted_beginning_goes_on() {
    let held = used(StoreKind::Log, closed);
    fs::remove_file(held.path().join("store.json")).unwrap();
    assert_eq!(open_again(&held, StoreKind::Log).unwrap(), 10);
    fs::remove_dir_all(held.path().join("log")).unwrap();
    let refused = open_again(&held, StoreKind::Log);
    assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{refused:?}");
}

#[test]
fn foreign_directories_stay_as_they_are() {
    for (folder, file) in [("log", "syslog"), ("meta", "data.txt"), ("messages", "mail")] {
        let held = TempDir::new().unwrap();
        fs::create_dir(held.path().join(folder)).unwrap();
        fs::write(held.path().join(folder).join(file), "text").unwrap();
        let kind = if folder == "messages" { StoreKind::Sled } else { StoreKind::Log };
        assert!(matches!(StoreKind::of(held.path()), Err(StoreError::Io(_))));
        let refused = open_again(&held, kind);
        assert!(matches!(refused, Err(StoreError::Misplaced(_))), "{refused:?}");
        assert_eq!(names(&held), [held.path().join(folder)]);
    }
    // The root of a file system that is mounted there.
    let held = TempDir::new().unwrap();
    fs::create_dir_all(held.path().join("log").join("lost+found")).unwrap();
    assert_eq!(open_again(&held, StoreKind::Log).unwrap(), 0);
}

#[test]
fn looking_makes_no_lock() {
    let held = used(StoreKind::Log, closed);
    fs::remove_file(held.path().join("lock")).unwrap();
    let before = names(&held);
    assert_eq!(faults(&held), 0);
    assert_eq!(names(&held), before);
}

#[test]
fn a_catalog_that_is_damaged_is_repaired_once() {
    let held = used(StoreKind::Log, closed);
    let conf = held.path().join("meta").join("conf");
    let len = fs::metadata(&conf).unwrap().len() as usize;
    fs::write(&conf, vec![0xA5; len]).unwrap();
    let (report, aside) = repair(held.path()).unwrap();
    assert_eq!((report.faults.len(), aside.is_some()), (1, true));
    let (report, aside) = repair(held.path()).unwrap();
    assert!(report.is_sound() && aside.is_none(), "{report:?}");
    let (_, found) = Catalog::open(held.path(), None).unwrap();
    let entries = [("key".into(), "value".into())].into();
    assert_eq!(found.meta, Meta { version: 1, entries });
    assert!(found.notes.is_empty(), "{:?}", found.notes);
}
