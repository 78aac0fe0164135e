//! The file system takes no writes any more, or the files are gone.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use lepus_tests::*;

use super::{durable_queue, persistent};

/// Runs a command; whether it succeeded, and what it said.
fn run(command: &str, args: &[&str]) -> Result<String, String> {
    let done = Command::new(command).args(args).output().map_err(|why| why.to_string())?;
    let said =
        String::from_utf8_lossy(if done.status.success() { &done.stdout } else { &done.stderr });
    if done.status.success() { Ok(said.trim().to_owned()) } else { Err(said.into_owned()) }
}

/// A file system of its own in a file, which can be made to fail.
struct FileSystem {
    image: PathBuf,
    device: String,
    place: PathBuf,
}

impl FileSystem {
    fn make() -> Result<Self, String> {
        let base = std::env::temp_dir().join(unique("filesystem"));
        let (image, place) = (base.with_extension("image"), base.with_extension("mounted"));
        std::fs::File::create(&image).and_then(|file| file.set_len(256 << 20)).unwrap();
        std::fs::create_dir(&place).unwrap();
        let mut made = Self { image, device: String::new(), place };
        run("mkfs.ext4", &["-q", "-e", "remount-ro", &made.image.display().to_string()])?;
        made.device = run("losetup", &["--find", "--show", &made.image.display().to_string()])?;
        made.mount()?;
        Ok(made)
    }

    fn mount(&self) -> Result<(), String> {
        run("mount", &[&self.device, &self.place.display().to_string()]).map(drop)
    }

    /// The kernel finds an error in it, and from then on lets it be read only.
    fn fail(&self) -> Result<(), String> {
        let name = Path::new(&self.device).file_name().unwrap();
        let trigger = Path::new("/sys/fs/ext4").join(name).join("trigger_fs_error");
        std::fs::write(trigger, "1").map_err(|why| why.to_string())
    }

    /// As an operator does.
    fn repair(&self) {
        run("umount", &[&self.place.display().to_string()]).unwrap();
        // It says with its exit code that it has mended something.
        let _ = run("fsck.ext4", &["-p", "-f", &self.device]);
        self.mount().unwrap();
    }
}

impl Drop for FileSystem {
    fn drop(&mut self) {
        let _ = run("umount", &["-l", &self.place.display().to_string()]);
        let _ = run("losetup", &["-d", &self.device]);
        let _ = std::fs::remove_dir(&self.place);
        let _ = std::fs::remove_file(&self.image);
    }
}

/// A broker on a file system of its own, if there can be one.
fn on_a_disk(config: &str) -> Option<(FileSystem, Broker)> {
    let made = FileSystem::make();
    let disk =
        made.map_err(|why| println!("skipped: no file system can be made here: {why}")).ok()?;
    let data = disk.place.join("data").display().to_string();
    let config = format!("storage.segment_bytes = 1MiB\n{config}");
    let broker = Broker::with_surroundings(&["--data-dir", &data], &[], &config);
    Some((disk, broker))
}

fn store(conn: &mut Conn, queue: &str, numbers: std::ops::RangeInclusive<u64>) {
    let mut ch = conn.channel_confirming(1);
    for number in numbers.clone() {
        ch.publish_with(publish("", queue), &persistent(), number.to_string());
    }
    ch.confirmed(1, numbers.end() - numbers.start() + 1);
}

/// What an operator sees of a store that has failed.
fn has_failed(broker: &Broker) {
    broker.wait_for_log("message store has failed and needs a restart", 1);
    assert_eq!(broker.metric("lepus_alarm{resource=\"store\"}"), 1.0);
    assert_eq!(broker.api("/health/checks/alarms").0, 503);
    assert!(!broker.is_ready());
}

#[test]
fn a_file_system_that_becomes_read_only() {
    lepus_only!("its disk is not ours");
    let Some((disk, mut broker)) = on_a_disk("") else { return };
    let mut conn = broker.connect();
    let queue = durable_queue_of(&mut conn);
    store(&mut conn, &queue, 1..=1000);
    if let Err(why) = disk.fail() {
        return println!("skipped: file systems do not fail here: {why}");
    }
    let mut publisher = broker.connect();
    let mut ch = publisher.channel_confirming(1);
    ch.publish_with(publish("", &queue), &persistent(), "refused");
    let refused = ch.conn.next_frame();
    let refused = refused.method().unwrap();
    // Refused, or never confirmed: the publisher is blocked with the store.
    let is_nack = basic::Nack::find(refused.clone()).is_some();
    assert!(is_nack || connection::Blocked::find(refused).is_some());
    has_failed(&broker);
    // Who consumes goes on.
    let mut consumer = broker.connect();
    let mut ch = consumer.channel(1);
    ch.consume(&queue, "t");
    for number in 1..=1000_u64 {
        assert_eq!(ch.delivery().text(), number.to_string());
    }
    drop((conn, publisher, consumer));
    broker.kill();
    disk.repair();
    broker.restart();
    let mut conn = broker.connect();
    let mut left = conn.channel(1).drain(&queue);
    left.retain(|body| body != "refused");
    let expected: Vec<String> = (1..=1000).map(|number| number.to_string()).collect();
    assert_eq!(left, expected);
    drop(conn);
    broker.kill();
}

/// The same as if it had been deleted.
#[test]
fn a_file_system_that_is_unmounted() {
    lepus_only!("its disk is not ours");
    let Some((disk, mut broker)) = on_a_disk("") else { return };
    let mut conn = broker.connect();
    let queue = durable_queue_of(&mut conn);
    store(&mut conn, &queue, 1..=10);
    run("umount", &["-l", &disk.place.display().to_string()]).unwrap();
    has_failed(&broker);
    drop(conn);
    broker.kill();
}

fn durable_queue_of(conn: &mut Conn) -> String {
    conn.channel(2);
    let queue = queue::Declare { durable: true, ..declare("kept") };
    conn.ch(2).declare(queue).queue.to_string()
}

/// Others fill the disk: it is like one that is short of room, and all goes on when they give some back.
#[test]
fn a_disk_without_room() {
    lepus_only!("its disk is not ours");
    let Some((disk, mut broker)) = on_a_disk("disk_free_limit.absolute = 0\n") else { return };
    let mut conn = broker.connect();
    let queue = durable_queue_of(&mut conn);
    store(&mut conn, &queue, 1..=1000);
    let others = disk.place.join("others");
    fill(&others);
    let mut publisher = broker.connect();
    publisher.channel_confirming(1);
    // More than what the log has prepared, and than sockets take when nothing is read.
    let to = queue.clone();
    let publishing = std::thread::spawn(move || {
        for _ in 0..400 {
            publisher.ch(1).publish_with(publish("", &to), &persistent(), vec![7; 50_000]);
        }
        // Each is confirmed or refused.
        verdicts(&mut publisher, 400)
    });
    broker.wait_for_log("message store: no room on the disk, set: publishers are held back", 1);
    broker.wait_for_metric("lepus_alarm{resource=\"store\"}", 1.0);
    assert_eq!(broker.api("/health/checks/alarms").0, 503);
    assert!(broker.is_ready(), "consumers help");
    let mut consumer = broker.connect();
    let mut ch = consumer.channel(1);
    for number in 1..=1000_u64 {
        assert_eq!(ch.get(&queue, false).unwrap().text(), number.to_string());
        ch.send(ack(number));
    }
    // Answered when these are taken in.
    let _: basic::QosOk = ch.call(qos(1));
    drop(consumer);
    std::fs::remove_file(others).unwrap();
    broker.wait_for_log("message store takes messages again", 1);
    assert_eq!(broker.api("/health/checks/alarms").0, 200);
    let verdicts = publishing.join().unwrap();
    let confirmed = verdicts.iter().filter(|is_confirmed| **is_confirmed).count();
    broker.crash();
    let mut conn = broker.connect();
    assert_eq!(conn.channel(1).drain(&queue).len(), confirmed);
    drop(conn);
    broker.kill();
}

/// Takes all the room that there is.
fn fill(path: &Path) {
    let mut file = std::fs::File::create(path).unwrap();
    for octets in [vec![1; 1 << 20], vec![1; 512]] {
        while file.write_all(&octets).is_ok() {}
    }
}

/// What became of the first so many messages of channel 1: whether each is confirmed.
fn verdicts(conn: &mut Conn, count: usize) -> Vec<bool> {
    let mut verdicts = vec![None; count];
    while verdicts.contains(&None) {
        let frame = conn.next_frame();
        let Some(method) = frame.method().filter(|_| frame.channel == 1) else { continue };
        let ack =
            basic::Ack::find(method.clone()).map(|ack| (ack.delivery_tag, ack.multiple, true));
        let nack =
            || basic::Nack::find(method).map(|nack| (nack.delivery_tag, nack.multiple, false));
        let (tag, multiple, is_confirmed) = ack.or_else(nack).expect("a verdict");
        let last = usize::try_from(tag).unwrap();
        let first = if multiple { 0 } else { last - 1 };
        for verdict in &mut verdicts[first..last] {
            verdict.get_or_insert(is_confirmed);
        }
    }
    verdicts.into_iter().flatten().collect()
}

/// What of it is open can be written on, but it would be missing at the next start.
#[test]
fn a_file_that_is_deleted() {
    lepus_only!("its disk is not ours");
    for (name, config) in [
        ("log/0000000000000000.seg", ""),
        ("meta/db", ""),
        ("messages/db", "storage.engine = sled\n"),
        ("log/store.json", ""),
    ] {
        let broker = Broker::with_config(config);
        let mut conn = broker.connect();
        let queue = durable_queue_of(&mut conn);
        store(&mut conn, &queue, 1..=3);
        std::fs::remove_file(broker.data_dir().join(name)).unwrap();
        broker.wait_for_log(&format!("{name} is no longer there"), 1);
        has_failed(&broker);
        // Nor is anything declared that would be gone.
        let mut other = broker.connect();
        other.channel(1).send(queue::Declare { durable: true, ..declare("lost") });
        let answer = other.next_frame().method().unwrap();
        assert!(queue::DeclareOk::find(answer.clone()).is_none(), "{answer:?}");
    }
}

/// What is open can be written on, but it would all be gone at the next start: that is told at once.
#[test]
fn a_data_directory_that_is_deleted() {
    lepus_only!("its disk is not ours");
    let broker = Broker::with_config("storage.segment_bytes = 1MiB\n");
    let mut conn = broker.connect();
    conn.channel(1);
    let queue = durable_queue(&mut conn, "deleted");
    let mut consumer = broker.connect();
    consumer.channel(1).consume_with(consume_no_ack(&queue, "t"));
    std::fs::remove_dir_all(broker.data_dir()).unwrap();
    has_failed(&broker);
    let mut publisher = broker.connect();
    let mut ch = publisher.channel_confirming(1);
    ch.publish_with(publish("", &queue), &persistent(), "not confirmed");
    let answer = ch.conn.next_frame().method().unwrap();
    assert!(basic::Ack::find(answer.clone()).is_none(), "{answer:?}");
    // What needs no disk goes on.
    let mut other = broker.connect();
    let transient = other.channel(1).temp_queue();
    assert_eq!(other.ch(1).drain(&transient), [""; 0]);
}
