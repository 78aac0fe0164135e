//! Damaged files: what is refused, what is served all the same, and what a repair says is lost.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Instant;

use serde_json::Value;

use super::*;

/// The files of the log with that extension, sorted.
fn files(broker: &Broker, extension: &str) -> Vec<PathBuf> {
    let log = broker.data_dir().join("log");
    let entries = std::fs::read_dir(log).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
    files.sort();
    files
}

/// Changes an octet of a file.
fn damage(path: &Path, at: usize) {
    let mut octets = std::fs::read(path).unwrap();
    octets[at] ^= 0x55;
    std::fs::write(path, octets).unwrap();
}

/// Changes an octet of a message's body; returns the name of the file that has it.
fn damage_body(broker: &Broker, body: &str) -> String {
    for path in files(broker, "seg") {
        let octets = std::fs::read(&path).unwrap();
        if let Some(at) = octets.windows(body.len()).position(|window| window == body.as_bytes()) {
            damage(&path, at);
            return path.display().to_string();
        }
    }
    panic!("{body:?} is in no segment");
}

#[track_caller]
fn expect_code(output: &Output, code: i32) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}{errors}");
    text + &errors
}

#[track_caller]
fn json(broker: &Broker, command: &str, code: i32) -> Value {
    let output = broker.store(command, &["--json"]);
    expect_code(&output, code);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What a repair says of the only loss: queue, first and last position, whether it is certain.
#[track_caller]
fn only_loss(report: &Value) -> (String, u64, u64, bool) {
    let lost = report["lost"].as_array().unwrap();
    assert_eq!(lost.len(), 1, "{report}");
    let number = |name: &str| lost[0][name].as_u64().unwrap();
    let queue = lost[0]["queue"]["name"].as_str().unwrap().to_owned();
    (queue, number("first"), number("last"), lost[0]["certain"].as_bool().unwrap())
}

#[test]
fn damage_before_later_commits_is_refused_and_repaired() {
    lepus_only!("files of its own");
    let mut broker = Broker::start();
    let (queue, other) = (new_queue(&broker, "damaged"), new_queue(&broker, "sound"));
    for number in 0..5 {
        put(&broker, &queue, [&*format!("damaged number {number}")]);
        put(&broker, &other, [&*format!("sound number {number}")]);
    }
    broker.kill();
    let file = damage_body(&broker, "damaged number 3");

    let why = broker.start_beside().expect_err("a damaged log");
    for part in [file.as_str(), " at ", queue.as_str(), "vhost '/'", "lepus store repair"] {
        assert!(why.contains(part), "{part:?} is not in: {why}");
    }
    let text = expect_code(&broker.store("check", &[]), 1);
    assert!(text.contains(&file) && text.contains(&queue), "{text}");
    // Looking changes nothing.
    assert_eq!(json(&broker, "check", 1), json(&broker, "check", 1));

    let report = json(&broker, "repair", 1);
    assert_eq!(only_loss(&report), (queue.clone(), 3, 3, false), "{report}");
    let aside = PathBuf::from(report["aside"].as_str().unwrap());
    assert!(aside.join(Path::new(&file).file_name().unwrap()).is_file());
    assert!(aside.join("report.txt").is_file());
    expect_code(&broker.store("check", &[]), 0);
    assert!(expect_code(&broker.store("repair", &[]), 0).contains("nothing is damaged"));

    broker.restart();
    let kept = [0, 1, 2, 4].map(|number| format!("damaged number {number}"));
    assert_eq!(drained(&broker, &queue), kept);
    let kept: Vec<String> = (0..5).map(|number| format!("sound number {number}")).collect();
    assert_eq!(drained(&broker, &other), kept);
}

#[test]
fn message_that_cannot_be_read_is_passed_over_until_it_is_repaired() {
    lepus_only!("files of its own");
    let mut broker = Broker::start();
    let queue = new_queue(&broker, "sector");
    let bodies: Vec<String> = (0..5).map(|number| format!("body number {number}")).collect();
    put(&broker, &queue, bodies.iter().map(String::as_str));
    broker.stop();
    let file = damage_body(&broker, "body number 2");
    let file = Path::new(&file).file_name().unwrap().to_str().unwrap().to_owned();
    // Nothing of this is read at the start.
    broker.restart();
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    ch.expect_counts(&queue, (5, 0));
    ch.consume(&queue, "t");
    ch.deliveries(["body number 0", "body number 1", "body number 3", "body number 4"]);
    ch.send(ack_up_to(2));
    ch.expect_counts(&queue, (0, 1));
    drop(conn);
    let begin = Instant::now();
    while !broker.log().contains("cannot be read") {
        assert!(begin.elapsed() < DEADLINE, "{}", broker.log());
        std::thread::yield_now();
    }
    let log = broker.log();
    let line = log.lines().find(|line| line.contains("cannot be read")).unwrap();
    for part in [file.as_str(), " at ", queue.as_str(), "vhost=\"/\"", "position=2"] {
        assert!(line.contains(part), "{part:?} is not in: {line}");
    }
    broker.stop();

    let report = json(&broker, "repair", 1);
    assert_eq!(only_loss(&report), (queue.clone(), 2, 2, true), "{report}");
    assert!(report["lost"][0]["offset"].as_u64().is_some(), "{report}");
    broker.restart();
    broker.connect().channel(1).expect_counts(&queue, (2, 0));
    assert_eq!(drained(&broker, &queue), ["body number 3", "body number 4"]);
}

#[test]
fn damaged_index_costs_nothing() {
    lepus_only!("files of its own");
    let mut broker = Broker::start();
    let queue = new_queue(&broker, "index");
    let bodies: Vec<String> = (0..200).map(|number| format!("body number {number}")).collect();
    put(&broker, &queue, bodies.iter().map(String::as_str));
    broker.stop();
    let index = files(&broker, "idx").pop().unwrap();
    // Behind the header: an entry.
    damage(&index, 64 + 4 * 50);
    let text = expect_code(&broker.store("check", &[]), 1);
    assert!(text.contains("index"), "{text}");
    broker.restart();
    assert_eq!(flags(&broker, &queue).len(), 200);
    broker.stop();
    expect_code(&broker.store("check", &[]), 0);
    broker.restart();
    assert_eq!(drained(&broker, &queue), bodies);
}

#[test]
fn log_without_a_checkpoint_is_read_as_a_whole() {
    lepus_only!("files of its own");
    let mut broker = Broker::start();
    let queue = new_queue(&broker, "checkpoints");
    put(&broker, &queue, ["1", "2", "3"]);
    broker.restart_by_stop();
    put(&broker, &queue, ["4"]);
    broker.stop();
    let checkpoints = files(&broker, "0").into_iter().chain(files(&broker, "1"));
    for path in checkpoints.filter(|path| path.file_stem().is_some_and(|s| s == "checkpoint")) {
        damage(&path, 40);
    }
    let why = broker.start_beside().expect_err("a log without checkpoints");
    assert!(why.contains("checkpoint"), "{why}");
    let report = json(&broker, "repair", 1);
    assert_eq!(report["lost"], Value::Array(Vec::new()));
    broker.restart();
    assert_eq!(drained(&broker, &queue), ["1", "2", "3", "4"]);
}

#[test]
fn copy_of_the_catalog_is_taken_from_the_catalog_and_the_reverse() {
    lepus_only!("files of its own");
    let mut broker = Broker::start();
    let queue = new_queue(&broker, "catalog");
    put(&broker, &queue, ["1"]);
    broker.stop();
    let copies: Vec<PathBuf> = files(&broker, "0").into_iter().chain(files(&broker, "1")).collect();
    for path in copies.iter().filter(|path| path.file_stem().is_some_and(|stem| stem == "meta")) {
        std::fs::remove_file(path).unwrap();
    }
    let why = broker.start_beside().expect_err("no copy of the catalog");
    assert!(why.contains("meta."), "{why}");
    expect_code(&broker.store("repair", &[]), 1);
    broker.restart();
    broker.stop();
    let database = broker.data_dir().join("meta").join("db");
    let octets = std::fs::metadata(&database).unwrap().len() as usize;
    std::fs::write(&database, vec![0xA5; octets]).unwrap();
    let text = expect_code(&broker.store("repair", &[]), 1);
    assert!(text.contains("catalog"), "{text}");
    assert!(expect_code(&broker.store("repair", &[]), 0).contains("nothing is damaged"));
    broker.restart();
    assert_eq!(drained(&broker, &queue), ["1"]);
}

#[test]
fn log_that_is_not_there_is_missed() {
    lepus_only!("files of its own");
    let mut broker = Broker::start();
    let queue = new_queue(&broker, "gone");
    put(&broker, &queue, ["1", "2"]);
    broker.kill();
    let (log, elsewhere) = (broker.data_dir().join("log"), broker.data_dir().join("elsewhere"));
    std::fs::rename(&log, &elsewhere).unwrap();
    for is_gone in [true, false] {
        let why = broker.start_beside().expect_err("a log that is gone");
        for part in [log.to_str().unwrap(), "mount", "lepus store repair"] {
            assert!(why.contains(part), "{part:?} is not in: {why}");
        }
        let text = expect_code(&broker.store("check", &[]), 1);
        assert!(text.contains("are not there"), "{text}");
        if is_gone {
            // Where something should be mounted there is an empty folder.
            std::fs::create_dir(&log).unwrap();
        }
    }
    std::fs::remove_dir(&log).unwrap();
    std::fs::rename(&elsewhere, &log).unwrap();
    broker.restart();
    assert_eq!(drained(&broker, &queue), ["1", "2"]);
}

#[test]
fn messages_of_another_engine_are_not_passed_over() {
    lepus_only!("files of its own");
    let mut broker = Broker::with_config("storage.engine = sled");
    let queue = new_queue(&broker, "engine");
    put(&broker, &queue, ["1", "2"]);
    broker.stop();
    let why = broker.start_beside().expect_err("another engine");
    assert!(why.contains("storage.engine = sled"), "{why}");
    assert!(!broker.data_dir().join("log").exists());
    expect_code(&broker.store("check", &[]), 0);
    broker.restart();
    assert_eq!(drained(&broker, &queue), ["1", "2"]);
}

#[test]
fn newer_format_and_a_directory_in_use_are_refused() {
    lepus_only!("files of its own");
    let mut broker = Broker::start();
    let queue = new_queue(&broker, "newer");
    put(&broker, &queue, ["1"]);
    for command in ["check", "dump", "repair"] {
        let text = expect_code(&broker.store(command, &[]), 2);
        assert!(text.contains("in use"), "{text}");
    }
    broker.stop();
    let segment = files(&broker, "seg").pop().unwrap();
    let mut octets = std::fs::read(&segment).unwrap();
    octets[8] = 9;
    std::fs::write(&segment, octets).unwrap();
    let why = broker.start_beside().expect_err("a newer format");
    assert!(why.contains("has format 9; this version reads up to 1"), "{why}");
    for command in ["check", "dump", "repair"] {
        let text = expect_code(&broker.store(command, &[]), 2);
        assert!(text.contains("has format 9"), "{text}");
    }
}
