//! What the simulated disk promises.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::disk::{Disk, DiskFile};

fn disk() -> SimDisk {
    let disk = SimDisk::new(1);
    disk.create_dir(Path::new("/d/e")).unwrap();
    disk
}

fn path(name: &str) -> PathBuf {
    Path::new("/d").join(name)
}

fn created(disk: &SimDisk, name: &str) -> Arc<dyn DiskFile> {
    let file = disk.create(&path(name)).unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    file
}

fn kind<T>(result: io::Result<T>) -> io::ErrorKind {
    result.err().unwrap().kind()
}

/// What many images have in common, or in which they differ.
fn images<T: Ord>(disk: &SimDisk, look: impl Fn(&SimDisk) -> T) -> Vec<T> {
    let mut found: Vec<T> = (0..400).map(|seed| look(&disk.image_after_crash(seed))).collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn it_behaves_as_a_file_system() {
    let disk = disk();
    let file = disk.create(&path("x")).unwrap();
    assert_eq!(kind(disk.create(&path("x"))), io::ErrorKind::AlreadyExists);
    assert_eq!(kind(disk.open(&path("y"))), io::ErrorKind::NotFound);
    assert_eq!(kind(disk.create(Path::new("/no/x"))), io::ErrorKind::NotFound);
    file.write_at(b"end", 5).unwrap();
    let mut buffer = [1; 10];
    assert_eq!(file.read_at(&mut buffer, 1).unwrap(), 7);
    assert_eq!(&buffer, b"\0\0\0\0end\x01\x01\x01");
    file.set_len(6).unwrap();
    file.allocate(3).unwrap();
    assert_eq!(file.len().unwrap(), 6);
    disk.create(&path("y")).unwrap();
    disk.rename(&path("x"), &path("y")).unwrap();
    assert_eq!(disk.list(Path::new("/d")).unwrap(), ["e", "y"]);
    disk.remove(&path("y")).unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    assert_eq!(file.len().unwrap(), 6, "who has it open can still use it");
    assert_eq!(disk.steps(), 9);
}

#[test]
fn synced_data_survive_and_others_may() {
    let disk = disk();
    let file = created(&disk, "x");
    file.write_at(&[1; 1024], 0).unwrap();
    assert!(images(&disk, |image| image.contents(&path("x"))).len() > 4);
    file.sync_data().unwrap();
    assert_eq!(images(&disk, |image| image.contents(&path("x"))), [Some(vec![1; 1024])]);
    disk.set_tearing(Tearing::Fresh);
    file.write_at(&[2; 1024], 0).unwrap();
    let found = images(&disk, |image| image.contents(&path("x")));
    assert_eq!(found.len(), 4, "each of two sectors is old or new");
    disk.set_tearing(Tearing::Any);
    assert!(images(&disk, |image| image.contents(&path("x"))).len() > 4);
}

#[test]
fn writes_are_reordered_but_not_within_a_sector() {
    let disk = disk();
    let file = created(&disk, "x");
    file.write_at(&[1; 1024], 0).unwrap();
    file.sync_data().unwrap();
    for number in 2..5 {
        file.write_at(&[number], 0).unwrap();
        file.write_at(&[number], 512).unwrap();
    }
    file.write_at(&[9], 1).unwrap();
    let found = images(&disk, |image| {
        let contents = image.contents(&path("x")).unwrap();
        (contents[0], contents[1], contents[512])
    });
    assert!(found.iter().all(|(first, second, _)| *second == 1 || *first == 4), "{found:?}");
    assert!(found.iter().any(|(first, _, other)| first > other));
    assert!(found.iter().any(|(first, _, other)| first < other));
}

#[test]
fn an_unsynced_length_comes_without_its_data() {
    let disk = disk();
    let garbage = created(&disk, "old");
    garbage.write_at(&[7; 2048], 0).unwrap();
    disk.remove(&path("old")).unwrap();
    let file = created(&disk, "x");
    file.write_at(&[1; 512], 0).unwrap();
    let found = images(&disk, |image| image.contents(&path("x")).unwrap());
    for wanted in [vec![], vec![0; 512], vec![7; 512], vec![1; 512]] {
        assert!(found.contains(&wanted), "{:?}", wanted.first());
    }
    file.sync_data().unwrap();
    file.set_len(0).unwrap();
    let lengths = images(&disk, |image| image.contents(&path("x")).unwrap().len());
    assert_eq!(lengths, [0, 512]);
}

#[test]
fn names_survive_a_sync_of_their_directory() {
    let disk = disk();
    created(&disk, "x");
    let file = disk.create(&path("new")).unwrap();
    file.write_at(b"1", 0).unwrap();
    file.sync_data().unwrap();
    assert_eq!(images(&disk, |image| image.contents(&path("new"))), [None, Some(b"1".to_vec())]);
    disk.rename(&path("new"), &path("x")).unwrap();
    disk.create(&path("y")).unwrap();
    let found = images(&disk, |image| (image.paths(), image.contents(&path("x"))));
    let names: Vec<usize> = found.iter().map(|(paths, _)| paths.len()).collect();
    assert_eq!(names, [2, 3, 1, 1, 2, 2], "{found:?}");
    disk.sync_dir(Path::new("/d")).unwrap();
    let found = images(&disk, |image| (image.paths(), image.contents(&path("x"))));
    assert_eq!(found, [(vec![path("x"), path("y")], Some(b"1".to_vec()))]);
    disk.remove(&path("x")).unwrap();
    assert_eq!(images(&disk, |image| image.paths().len()), [1, 2]);
}

#[test]
fn a_move_between_directories_needs_both() {
    let disk = disk();
    created(&disk, "x");
    disk.rename(&path("x"), &path("e/x")).unwrap();
    for directory in ["/d", "/d/e"] {
        let found = images(&disk, SimDisk::paths);
        assert_eq!(found, [vec![path("e/x")], vec![path("x")]]);
        disk.sync_dir(Path::new(directory)).unwrap();
    }
    assert_eq!(images(&disk, SimDisk::paths), [vec![path("e/x")]]);
    // What rests upon a move makes it durable too.
    disk.rename(&path("e/x"), &path("x")).unwrap();
    disk.rename(&path("x"), &path("y")).unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    assert_eq!(images(&disk, SimDisk::paths), [vec![path("y")]]);
}

#[test]
fn it_crashes_in_the_middle_of_a_step() {
    let disk = disk();
    let file = created(&disk, "x");
    let lock = disk.lock(&path("lock")).unwrap();
    disk.crash_after(2);
    file.write_at(&[1; 512], 0).unwrap();
    file.sync_data().unwrap_err();
    disk.open(&path("x")).unwrap_err();
    file.len().unwrap_err();
    let found = images(&disk, |image| image.contents(&path("x")).unwrap());
    assert!(found.len() > 2, "the sync has not happened");
    let image = disk.image_after_crash(3);
    image.lock(&path("lock")).unwrap();
    image.open(&path("x")).unwrap().write_at(b"x", 0).unwrap();
    drop(lock);
}

#[test]
fn each_step_can_be_observed() {
    let disk = disk();
    let file = created(&disk, "x");
    let seen: Arc<Mutex<Vec<usize>>> = Arc::default();
    let (observed, log) = (disk.clone(), Arc::clone(&seen));
    disk.on_step(Some(Arc::new(move |_| {
        let found = images(&observed, |image| image.contents(&path("x")));
        log.lock().push(found.len());
    })));
    file.write_at(&[1; 10], 0).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    let seen = seen.lock();
    assert!(seen[0] > 2 && seen[1] == seen[0] && seen[2] == 1, "{seen:?}");
}

#[test]
fn a_kill_leaves_all_but_syncs_nothing() {
    let disk = disk();
    let file = created(&disk, "x");
    let lock = disk.lock(&path("lock")).unwrap();
    file.write_at(&[1; 512], 0).unwrap();
    let image = disk.image_after_kill(1);
    assert_eq!(image.contents(&path("x")), Some(vec![1; 512]));
    assert!(images(&image, |image| image.contents(&path("x"))).len() > 2);
    image.lock(&path("lock")).unwrap();
    disk.lock(&path("lock")).unwrap_err();
    drop(lock);
    disk.lock(&path("lock")).unwrap();
}

#[test]
fn a_full_disk_refuses_until_there_is_room() {
    let disk = disk();
    let file = created(&disk, "x");
    disk.set_capacity(Some(4096));
    file.allocate(2048).unwrap();
    let other = created(&disk, "y");
    assert_eq!(kind(other.allocate(4096)), io::ErrorKind::StorageFull);
    assert_eq!(other.len().unwrap(), 0);
    assert_eq!(kind(other.write_at(&[1; 4096], 0)), io::ErrorKind::StorageFull);
    assert_eq!(other.len().unwrap(), 2048, "what fits is written");
    file.write_at(&[1; 2048], 0).unwrap();
    assert_eq!(disk.free_bytes(Path::new("/d")).unwrap(), 0);
    disk.remove(&path("x")).unwrap();
    assert_eq!(disk.free_bytes(Path::new("/d")).unwrap(), 0, "it is still open");
    drop(file);
    other.write_at(&[1; 4096], 0).unwrap();
    other.set_len(100).unwrap();
    assert_eq!(disk.used_bytes(), 512);
}

#[test]
fn a_failed_sync_is_never_made_good() {
    let disk = disk();
    let file = created(&disk, "x");
    for number in 0..8 {
        file.write_at(&[1; 512], number * 512).unwrap();
    }
    disk.fail_sync(2, Fault::Io);
    disk.sync_dir(Path::new("/d")).unwrap();
    file.sync_data().unwrap_err();
    file.sync_data().unwrap();
    assert_eq!(disk.contents(&path("x")), Some(vec![1; 4096]));
    let found = images(&disk, |image| image.contents(&path("x")));
    assert_eq!(found.len(), 1);
    assert!(found[0] != Some(vec![1; 4096]));
}

#[test]
fn writes_names_and_reads_fail_on_demand() {
    let disk = disk();
    let file = created(&disk, "x");
    disk.fail_write(2, Fault::Io);
    file.write_at(&[1; 4096], 0).unwrap();
    file.write_at(&[2; 4096], 0).unwrap_err();
    file.write_at(&[3; 512], 0).unwrap();
    disk.fail_name(1, Fault::NoSpace);
    assert_eq!(kind(disk.create(&path("y"))), io::ErrorKind::StorageFull);
    disk.fail_reads(&path("x"), 1000..1001).unwrap();
    let mut buffer = [0; 512];
    file.read_at(&mut buffer, 0).unwrap();
    file.read_at(&mut buffer, 512).unwrap_err();
    disk.flip_byte(&path("x"), 3).unwrap();
    file.read_at(&mut buffer, 0).unwrap();
    assert_eq!(buffer[2..5], [3, 0xfc, 3]);
}

/// What may be done to one of three files.
#[derive(Clone, Debug)]
enum Doing {
    Write(usize, usize, u8),
    SetLen(usize, usize),
    Sync(usize),
    Rename(usize, usize),
    SyncDir,
}

fn doing() -> impl Strategy<Value = Doing> {
    let (file, at) = (0..3_usize, 0..3000_usize);
    prop_oneof![
        4 => (file.clone(), at.clone(), any::<u8>()).prop_map(|(f, at, b)| Doing::Write(f, at, b)),
        1 => (file.clone(), at).prop_map(|(f, len)| Doing::SetLen(f, len)),
        2 => file.clone().prop_map(Doing::Sync),
        1 => (file.clone(), file).prop_map(|(from, to)| Doing::Rename(from, to)),
        1 => Just(Doing::SyncDir),
    ]
}

fn perform(disk: &SimDisk, doing: &[Doing]) {
    let name = |number: &usize| path(&number.to_string());
    let open = |number| disk.open(&name(number)).or_else(|_| disk.create(&name(number)));
    for each in doing {
        match each {
            Doing::Write(file, at, byte) => {
                open(file).unwrap().write_at(&[*byte; 700], *at as u64).unwrap();
            }
            Doing::SetLen(file, len) => open(file).unwrap().set_len(*len as u64).unwrap(),
            Doing::Sync(file) => open(file).unwrap().sync_data().unwrap(),
            Doing::Rename(from, to) => drop(disk.rename(&name(from), &name(to))),
            Doing::SyncDir => disk.sync_dir(Path::new("/d")).unwrap(),
        }
    }
}

fn everything(disk: &SimDisk) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    disk.paths().into_iter().map(|path| (path.clone(), disk.contents(&path))).collect()
}

proptest! {
    #[test]
    fn the_same_seed_gives_the_same_image(
        doing in prop::collection::vec(doing(), 0..30),
        seed: u64,
    ) {
        let (first, second) = (disk(), disk());
        perform(&first, &doing);
        perform(&second, &doing);
        let image = first.image_after_crash(seed);
        prop_assert_eq!(everything(&image), everything(&second.image_after_crash(seed)));
        prop_assert_eq!(everything(&image), everything(&image.image_after_crash(seed + 1)));
    }

    #[test]
    fn what_is_synced_survives(
        doing in prop::collection::vec(doing(), 0..30),
        seed: u64,
    ) {
        let disk = disk();
        perform(&disk, &doing);
        perform(&disk, &[Doing::Sync(0), Doing::Sync(1), Doing::Sync(2), Doing::SyncDir]);
        prop_assert_eq!(everything(&disk), everything(&disk.image_after_crash(seed)));
        prop_assert_eq!(everything(&disk), everything(&disk.image_after_kill(seed)));
    }
}
