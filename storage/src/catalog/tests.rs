use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tempfile::TempDir;

use super::*;

type Change = (Bytes, Option<Bytes>);

fn change(key: &str, value: Option<&[u8]>) -> Change {
    (Bytes::copy_from_slice(key.as_bytes()), value.map(Bytes::copy_from_slice))
}

fn wait_for(catalog: &Catalog, version: u64) {
    let (durable, begin) = (catalog.durable(), Instant::now());
    while *durable.borrow() < version {
        assert!(begin.elapsed() < Duration::from_secs(20), "{version} does not become durable");
        std::thread::yield_now();
    }
}

fn entries(meta: &Meta) -> BTreeMap<&[u8], &[u8]> {
    meta.entries.iter().map(|(key, value)| (&key[..], &value[..])).collect()
}

#[test]
fn keeps_what_was_applied() {
    let directory = TempDir::new().unwrap();
    let (catalog, found) = Catalog::open(directory.path(), None).unwrap();
    assert_eq!(found, FoundCatalog::default());
    assert_eq!(*catalog.durable().borrow(), 0);
    catalog.apply(1, vec![change("a", Some(b"1")), change("b", Some(b""))]).unwrap();
    catalog.apply(3, vec![change("", Some(b"2")), change("a", None), change("c", None)]).unwrap();
    wait_for(&catalog, 3);
    drop(catalog);
    let (catalog, found) = Catalog::open(directory.path(), None).unwrap();
    assert_eq!((found.meta.version, found.notes), (3, vec![]));
    assert_eq!(entries(&found.meta), BTreeMap::from([(&b""[..], &b"2"[..]), (b"b", b"")]));
    assert_eq!(*catalog.durable().borrow(), 3);
    // Going writes what has gathered.
    catalog.replace(found.meta).unwrap();
    catalog.apply(4, vec![change("d", Some(b"4"))]).unwrap();
    drop(catalog);
    let (catalog, found) = Catalog::open(directory.path(), None).unwrap();
    assert_eq!((found.meta.version, found.meta.entries.len()), (4, 3));
    let meta = Meta { version: 9, entries: BTreeMap::from([(Bytes::new(), Bytes::new())]) };
    catalog.apply(5, vec![change("e", Some(b"5"))]).unwrap();
    catalog.replace(meta.clone()).unwrap();
    drop(catalog);
    let (_, found) = Catalog::open(directory.path(), None).unwrap();
    assert_eq!(found.meta, meta);
}

#[test]
fn large_values_are_cut_and_put_together() {
    let directory = TempDir::new().unwrap();
    let folder = directory.path().join("meta");
    let (mut records, _) = Records::open_or_replace(&folder).unwrap();
    let piece = crate::embedded::pieces::PIECE_BYTES;
    let keys = |len: usize| if len == 0 { 0 } else { 2 + (len - 1) / piece };
    let sizes = [1, 3 * piece, 3 * piece + 1, piece + 1, piece, 300_000, 0, 2 * piece];
    for (version, len) in (1..).zip(sizes) {
        let value = (0..len).map(|i| (i % 251) as u8).collect::<Vec<u8>>();
        let new = (len > 0).then_some(&value[..]);
        let changes = BTreeMap::from([change("key", new)]);
        records.write(&Work { version, replace: false, changes }).unwrap();
        // Nothing of the earlier value is left behind.
        assert_eq!(records.keys(), keys(len).max(1));
    }
    drop(records);
    let (_, found) = Catalog::open(directory.path(), None).unwrap();
    let value = (0..2 * piece).map(|i| (i % 251) as u8).collect::<Vec<u8>>();
    assert_eq!(entries(&found.meta), BTreeMap::from([(&b"key"[..], &value[..])]));
}

#[test]
fn random_histories_equal_a_map() {
    let key = prop::collection::vec(0..3u8, 0..4);
    let value = prop::option::of(prop_oneof![4 => 0..40usize, 1 => 7000..30_000usize]);
    let changes = prop::collection::vec((key, value), 0..5);
    let step = prop_oneof![9 => changes.prop_map(Some), 1 => Just(None)];
    let history = prop::collection::vec(step, 1..40);
    let config = Config { failure_persistence: None, cases: 20, ..Config::default() };
    let run = TestRunner::new(config).run(&history, |history| {
        let directory = TempDir::new().unwrap();
        let (mut catalog, _) = Catalog::open(directory.path(), None).unwrap();
        let mut expected = Meta::default();
        for step in history.into_iter().chain([None]) {
            if let Some(changes) = step {
                let value = |len| Bytes::from(vec![b'v'; len]);
                let changes: Vec<Change> =
                    changes.into_iter().map(|(k, v)| (Bytes::from(k), v.map(value))).collect();
                expected.apply(expected.version + 1, changes.clone());
                catalog.apply(expected.version, changes).unwrap();
            } else {
                drop(catalog);
                let found;
                (catalog, found) = Catalog::open(directory.path(), None).unwrap();
                prop_assert_eq!(&found.meta, &expected);
                prop_assert_eq!(found.notes, Vec::<String>::new());
            }
        }
        Ok(())
    });
    run.unwrap();
}

#[test]
fn a_damaged_catalog_makes_way() {
    let directory = TempDir::new().unwrap();
    for round in 1..=2u64 {
        let (catalog, _) = Catalog::open(directory.path(), None).unwrap();
        let all = (0..100).map(|i| change(&format!("key {i}"), Some(&[7; 500]))).collect();
        catalog.apply(round, all).unwrap();
        drop(catalog);
        for name in ["db", "conf"] {
            let file = directory.path().join("meta").join(name);
            let len = std::fs::metadata(&file).unwrap().len() as usize;
            std::fs::write(&file, vec![0xA5; len]).unwrap();
        }
        let (catalog, found) = Catalog::open(directory.path(), None).unwrap();
        assert_eq!(found.meta, Meta::default());
        assert_eq!(found.notes.len(), 1, "{:?}", found.notes);
        let aside = format!("meta.broken-{round}");
        assert!(found.notes[0].contains(&aside), "{:?}", found.notes);
        assert!(directory.path().join(aside).join("db").exists());
        drop(catalog);
    }
}

#[test]
fn a_catalog_with_something_missing_or_other_makes_way() {
    let damages: [fn(&sled::Db); 4] = [
        |db| drop(db.remove([2, 0, 0, 0, 5, b'l', b'a', b'r', b'g', b'e', 0, 0, 0, 2]).unwrap()),
        |db| drop(db.remove(b"\x01small").unwrap()),
        |db| drop(db.insert(b"\x01small", &[0, 0, 0, 1, b'w']).unwrap()),
        |db| drop(db.remove([0]).unwrap()),
    ];
    for damage in damages {
        let directory = TempDir::new().unwrap();
        let (catalog, _) = Catalog::open(directory.path(), None).unwrap();
        let changes = vec![change("large", Some(&[7; 20_000])), change("small", Some(b"v"))];
        catalog.apply(1, changes).unwrap();
        drop(catalog);
        let db = sled::open(directory.path().join("meta")).unwrap();
        assert_eq!(db.len(), 5);
        let before = db.checksum().unwrap();
        damage(&db);
        assert_ne!(before, db.checksum().unwrap());
        drop(db);
        let (_, found) = Catalog::open(directory.path(), None).unwrap();
        assert_eq!((found.meta, found.notes.len()), (Meta::default(), 1));
    }
}

#[test]
fn a_newer_format_and_a_second_process_are_refused() {
    let directory = TempDir::new().unwrap();
    let (catalog, _) = Catalog::open(directory.path(), None).unwrap();
    let second = Catalog::open(directory.path(), None).map(drop);
    assert!(matches!(second, Err(StoreError::InUse(_))), "{second:?}");
    catalog.apply(1, vec![]).unwrap();
    drop(catalog);
    // sled lets go of its files in a thread of its own, some time after it was dropped.
    let deadline = Instant::now() + Duration::from_secs(10);
    let db = loop {
        match sled::open(directory.path().join("meta")) {
            Ok(db) => break db,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    };
    db.insert([0], vec![9; 12]).unwrap();
    drop(db);
    let newer = loop {
        let opened = Catalog::open(directory.path(), None).map(drop);
        if !matches!(opened, Err(StoreError::InUse(_))) || Instant::now() > deadline {
            break opened;
        }
    };
    assert!(matches!(newer, Err(StoreError::Format { .. })), "{newer:?}");
}

#[test]
fn a_failure_ends_it() {
    let directory = TempDir::new().unwrap();
    let folder = directory.path().join("meta");
    let (mut records, found) = Records::open_or_replace(&folder).unwrap();
    records.fail(io::ErrorKind::Other);
    let told = Arc::new(Mutex::new(Vec::new()));
    let hook = told.clone();
    let on_version: OnVersion = Arc::new(move |version| hook.lock().push(version));
    let (catalog, _) = Catalog::start(folder, records, found, Some(on_version)).unwrap();
    catalog.apply(1, vec![change("a", Some(b"1"))]).unwrap();
    let begin = Instant::now();
    while told.lock().is_empty() {
        assert!(begin.elapsed() < Duration::from_secs(20));
        std::thread::yield_now();
    }
    assert_eq!(*told.lock(), [None]);
    assert!(catalog.durable().has_changed().is_err(), "the channel is open");
    assert_eq!(*catalog.durable().borrow(), 0);
    assert!(matches!(catalog.apply(2, vec![]), Err(StoreError::Poisoned(_))));
}

#[test]
fn on_a_full_disk_it_waits_for_room() {
    let directory = TempDir::new().unwrap();
    let folder = directory.path().join("meta");
    let (mut records, found) = Records::open_or_replace(&folder).unwrap();
    records.write(&Work { version: 1, ..Work::default() }).unwrap();
    // For the one that is open now; when it is opened again there is room.
    records.fail(io::ErrorKind::StorageFull);
    let (catalog, _) = Catalog::start(folder, records, found, None).unwrap();
    catalog.apply(2, vec![change("a", Some(b"1"))]).unwrap();
    let begin = Instant::now();
    let mut was_full = false;
    while *catalog.durable().borrow() < 2 {
        was_full |= catalog.health() == Health::Full;
        assert!(begin.elapsed() < Duration::from_secs(20));
        std::thread::yield_now();
    }
    assert!(was_full, "nothing said so");
    assert_eq!(catalog.health(), Health::Ready);
    catalog.apply(3, vec![change("b", Some(b"2"))]).unwrap();
    drop(catalog);
    let (_, found) = Catalog::open(directory.path(), None).unwrap();
    assert_eq!((found.meta.version, found.meta.entries.len()), (3, 2));
    assert!(found.notes.is_empty(), "{:?}", found.notes);
}

#[test]
fn tells_of_each_version() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let hook = |told: &Arc<Mutex<Vec<_>>>| -> OnVersion {
        let told = told.clone();
        Arc::new(move |version| told.lock().push(version))
    };
    let directory = TempDir::new().unwrap();
    let (on_disk, _) = Catalog::open(directory.path(), Some(hook(&told))).unwrap();
    for catalog in [on_disk, Catalog::in_memory(Some(hook(&told)))] {
        catalog.apply(1, vec![change("a", None)]).unwrap();
        wait_for(&catalog, 1);
        catalog.replace(Meta { version: 2, ..Meta::default() }).unwrap();
        wait_for(&catalog, 2);
        drop(catalog);
        assert_eq!(std::mem::take(&mut *told.lock()), [Some(1), Some(2)]);
    }
}

/// Single changes, each waited for, against the same by hand: as fast as the disk.
#[test]
#[ignore = "measures"]
fn measure_commits() {
    const ROUNDS: u64 = 5000;
    let directory =
        TempDir::new_in(std::env::var("LEPUS_MEASURE_DIR").unwrap_or(".".into())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for round in 0..3 {
        let file = std::fs::File::create(directory.path().join("raw")).unwrap();
        let begin = Instant::now();
        for version in 0..ROUNDS {
            use std::os::unix::fs::FileExt;
            file.write_all_at(&[7; 150], version * 150).unwrap();
            file.sync_data().unwrap();
        }
        let raw = begin.elapsed();
        let (catalog, _) = Catalog::open(directory.path(), None).unwrap();
        let mut durable = catalog.durable();
        let begin = Instant::now();
        for version in 1..=ROUNDS {
            let version = round * ROUNDS + version;
            let key = format!("queue/vhost/name of a queue {}", version % 1000);
            catalog.apply(version, vec![change(&key, Some(&[7; 150]))]).unwrap();
            runtime.block_on(durable.wait_for(|durable| *durable >= version)).unwrap();
        }
        let took = begin.elapsed();
        let rate = |took: Duration| ROUNDS as f64 / took.as_secs_f64();
        println!("catalog {:.0}/s, raw write + fdatasync {:.0}/s", rate(took), rate(raw));
    }
}
