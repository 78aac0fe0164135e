//! The configuration from outside: files, the environment, flags, and what is said of faults.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use lepus_tests::*;
use serde_json::Value;

/// A directory with files, removed at the end.
struct Files(PathBuf);

impl Files {
    fn new(files: &[(&str, &str)]) -> Files {
        let dir = std::env::temp_dir().join(unique("configuration"));
        fs::create_dir_all(dir.join("conf.d")).unwrap();
        for (name, text) in files {
            fs::write(dir.join(name), text).unwrap();
        }
        Files(dir)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// Runs `lepus` in the directory to its end.
    fn lepus(&self, args: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String, String) {
        let mut command = Command::new(lepus_binary());
        command.args(args).envs(environment.iter().copied()).current_dir(&self.0);
        let Output { status, stdout, stderr } = command.output().expect("run lepus");
        let text = |octets| String::from_utf8(octets).unwrap();
        (status.code(), text(stdout), text(stderr))
    }

    /// What `lepus config show --json` says.
    fn shown(&self, args: &[&str], environment: &[(&str, &str)]) -> Value {
        let args = [&["config", "show", "--json"], args].concat();
        let (code, stdout, stderr) = self.lepus(&args, environment);
        assert_eq!(code, Some(0), "{stderr}");
        serde_json::from_str(&stdout).unwrap()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_bad_file_is_refused_with_all_its_faults() {
    let files = Files::new(&[
        ("a.conf", "heartbeat = soon\nlisteners.tcp.default = 5672\nno value\n"),
        ("conf.d/b.conf", "default_pass = encrypted:secret\ndisk_free_limit.absolute = much\n"),
    ]);
    let path = files.path("a.conf");
    let (code, stdout, stderr) = files.lepus(&["--config", &path], &[]);
    assert_eq!((code, &*stdout), (Some(1), ""));
    for part in [
        "a.conf:1: heartbeat = soon: allowed is a whole number from 0 to 65535",
        "a.conf:3: a line must be `key = value`",
        "conf.d/b.conf:1: default_pass: encrypted values cannot be read",
        "conf.d/b.conf:2: disk_free_limit.absolute = much: allowed is octets",
    ] {
        assert!(stderr.contains(part), "{part} is not in {stderr}");
    }
    assert!(!stderr.contains("secret"), "{stderr}");
    assert!(!files.0.join("lepus-data").exists(), "it made a data directory");

    let (code, _, checked) = files.lepus(&["config", "check", &path], &[]);
    assert_eq!(code, Some(1));
    assert_eq!(checked.lines().count(), 2, "only the file itself: {checked}");

    let files = Files::new(&[("b.conf", "heartbeet = 5\nheartbeat = soon\n")]);
    let (code, _, checked) = files.lepus(&["config", "check", "b.conf"], &[]);
    assert_eq!(code, Some(1));
    assert!(checked.starts_with("warning: b.conf:1: `heartbeet` is not a key"), "{checked}");
    assert!(checked.contains("error: b.conf:2: heartbeat = soon"), "{checked}");
}

#[test]
fn an_unknown_key_is_a_warning() {
    let broker = Broker::with_config("heartbeet = 5\nmqtt.vhost = /\nheartbeat = 5\n");
    broker.wait_for_log("rabbitmq.conf:1: `heartbeet` is not a key, is `heartbeat` meant?", 1);
    broker.wait_for_log("rabbitmq.conf:2: `mqtt.vhost` is ignored", 1);

    let files = Files::new(&[("a.conf", "heartbeet = 5\n")]);
    let (code, stdout, stderr) = files.lepus(&["config", "check", "a.conf"], &[]);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(stdout, "a.conf: nothing is wrong\n");
    assert!(stderr.contains("warning: a.conf:1: `heartbeet` is not a key"), "{stderr}");
}

#[test]
fn each_value_is_shown_with_its_origin() {
    let files = Files::new(&[
        ("a.conf", "heartbeat = 1\nchannel_max = 2\ndefault_pass = 'a # b'\nframe_max = 5000\n"),
        ("conf.d/10.conf", "channel_max = 3\n"),
        (
            "conf.d/20.conf",
            "channel_max = 4\nraft.data_dir = /\nauth_ldap.dn_lookup_bind.password = x\n",
        ),
    ]);
    let environment = [("RABBITMQ_NODE_PORT", "5673"), ("RABBITMQ_DEFAULT_USER", "app")];
    let shown = files.shown(&["--config", "a.conf", "--bind", "::1"], &environment);
    let row = |key: &str| {
        let row = &shown[key];
        (row["value"].as_str().unwrap_or("-"), row["origin"].as_str().unwrap_or("-"))
    };
    assert_eq!(row("heartbeat"), ("1", "a.conf:1"));
    assert_eq!(row("channel_max"), ("4", "conf.d/20.conf:1"));
    assert_eq!(row("default_pass"), ("***", "a.conf:3"));
    assert_eq!(row("amqp_port"), ("5673", "environment RABBITMQ_NODE_PORT"));
    assert_eq!(row("default_user"), ("app", "environment RABBITMQ_DEFAULT_USER"));
    assert_eq!(row("bind"), ("::1", "flag --bind"));
    assert_eq!(row("max_message_size"), ("134217728", "default"));
    assert_eq!(row("raft.data_dir"), ("/", "conf.d/20.conf:2, ignored"));
    assert_eq!(row("auth_ldap.dn_lookup_bind.password").0, "***");

    // What is shown as a file says the same as the file.
    let (_, text, _) = files.lepus(&["config", "show", "--config", "a.conf"], &environment);
    assert!(text.contains("frame_max = 5000  # a.conf:4\n"), "{text}");
    fs::write(files.path("b.conf"), text.replace("= ***", "= x")).unwrap();
    let again = files.shown(&["--config", "b.conf"], &environment);
    assert_eq!(again["frame_max"]["value"], shown["frame_max"]["value"]);
}

#[test]
fn a_file_may_come_by_the_environment() {
    let files = Files::new(&[("rabbitmq.conf", "heartbeat = 7\n")]);
    let path = files.path("rabbitmq");
    let shown = files.shown(&[], &[("RABBITMQ_CONFIG_FILE", &path)]);
    assert_eq!(shown["heartbeat"]["value"], "7");
    fs::write(files.path("other.conf"), "heartbeat = 8\n").unwrap();
    let shown = files.shown(&["--config", "other.conf"], &[("RABBITMQ_CONFIG_FILE", &path)]);
    assert_eq!(shown["heartbeat"]["value"], "8");
    let (code, _, stderr) = files.lepus(&[], &[("RABBITMQ_CONFIG_FILE", "/nowhere/a.conf")]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("/nowhere/a.conf: cannot be read"), "{stderr}");
}

#[test]
fn a_file_that_may_not_be_read_is_named() {
    let files = Files::new(&[("a.conf", "heartbeat = 7\n")]);
    fs::write(files.path("b.conf"), b"heartbeat = 7\n# \xff\n").unwrap();
    let (code, _, stderr) = files.lepus(&["config", "check", "b.conf"], &[]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("b.conf: line 2 is not UTF-8"), "{stderr}");
}

#[test]
fn listeners_of_the_file() {
    lepus_only!("its listeners are known");
    let config = "listeners.tcp.one = 127.0.0.1:0\nlisteners.tcp.two = ::1:0\n";
    let broker = Broker::with_listeners(config);
    let listening = broker.lines().iter().filter(|line| line.starts_with("listening amqp "));
    let addresses: Vec<_> = listening.collect();
    assert_eq!(addresses.len(), 2, "{addresses:?}");
    assert!(addresses.iter().any(|line| line.contains("127.0.0.1:")), "{addresses:?}");
    assert!(addresses.iter().any(|line| line.contains("[::1]:")), "{addresses:?}");
    drop(broker.connect());
}

#[test]
fn what_the_broker_keeps_is_its_own() {
    let mut broker = Broker::with_config("log.file = log/a.log\nlog.console.formatter = json\n");
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish("", &queue, vec![0; 10]);
    let directory = broker.data_dir();
    assert_eq!(mode(&directory), 0o700);
    let log = directory.parent().unwrap().join("log/a.log");
    assert_eq!(mode(&log), 0o600);
    let mut files = 0;
    walk(&directory, &mut |path| {
        files += 1;
        assert_eq!(mode(path) & 0o077, 0, "{} is open to others", path.display());
    });
    assert!(files > 3, "{files} files");
    // A directory that was made by somebody else is closed, too.
    broker.stop();
    fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
    broker.restart();
    assert_eq!(mode(&directory), 0o700);
    let lines = broker.log();
    let line: Value = serde_json::from_str(lines.lines().next().unwrap()).expect(&lines);
    assert!(line["time"].is_string() && line["level"].is_string() && line["msg"].is_string());
}

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn walk(directory: &std::path::Path, look: &mut impl FnMut(&std::path::Path)) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        look(&path);
        if path.is_dir() {
            walk(&path, look);
        }
    }
}

/// Waits until the log has a line once more than before.
fn await_log(broker: &Broker, part: &str, times: usize) {
    let deadline = Instant::now() + DEADLINE;
    while broker.log().matches(part).count() < times {
        assert!(
            Instant::now() < deadline,
            "{part} is not in the log {times} times:\n{}",
            broker.log()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

const READ_AGAIN: &str = "the configuration was read again";

#[test]
fn a_hangup_reads_the_file_again() {
    lepus_only!("the signal is Lepus' own");
    let mut broker = Broker::with_config("heartbeat = 7\nmax_message_size = 1000\n");
    let file = broker.config_file();
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    fs::write(&file, "heartbeat = 9\nmax_message_size = 10\nstorage.segment_bytes = 1MiB\n")
        .unwrap();
    broker.tell("HUP");
    await_log(&broker, READ_AGAIN, 1);
    let log = broker.log();
    assert!(log.contains("max_message_size has changed"), "{log}");
    assert!(log.contains("storage.segment_bytes has changed: needs a restart"), "{log}");
    // A connection that is open sees it as well.
    ch.publish("", &queue, vec![0; 11]);
    let text = "PRECONDITION_FAILED - message size 11 is larger than configured max size 10";
    ch.expect_close(406, text, (60, 40));
    drop(conn);

    // A faulty file changes nothing.
    fs::write(&file, "heartbeat = 3\nmax_message_size = all\n").unwrap();
    broker.tell("HUP");
    await_log(&broker, "the configuration is not changed", 1);
    assert!(broker.log().contains("rabbitmq.conf:2: max_message_size = all: allowed is"));
    assert_eq!(broker.log().matches(READ_AGAIN).count(), 1);

    // What is not said any more has its default again.
    fs::write(&file, "heartbeat = 9\n").unwrap();
    broker.tell("HUP");
    await_log(&broker, READ_AGAIN, 2);
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish("", &queue, vec![0; 2000]);
    assert_eq!(ch.get(&queue, true).unwrap().body.len(), 2000);
}

#[test]
fn levels_change_at_a_hangup() {
    lepus_only!("the signal is Lepus' own");
    let mut broker = Broker::with_config("log.default.level = info\n");
    drop(broker.connect());
    await_log(&broker, "connected", 1);
    fs::write(broker.config_file(), "log.default.level = info\nlog.connection.level = error\n")
        .unwrap();
    broker.tell("HUP");
    await_log(&broker, READ_AGAIN, 1);
    let before = broker.log().matches(" connected").count();
    drop(broker.connect());
    broker.tell("HUP");
    await_log(&broker, READ_AGAIN, 2);
    assert_eq!(broker.log().matches(" connected").count(), before);
}

#[test]
fn consumers_of_queues_without_a_timeout_have_the_brokers() {
    lepus_only!("RabbitMQ looks once a minute");
    let mut broker = Broker::with_config("consumer_timeout = 3600000\n");
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    fs::write(broker.config_file(), "consumer_timeout = 50\n").unwrap();
    broker.tell("HUP");
    await_log(&broker, READ_AGAIN, 1);
    ch.consume(&queue, "slow");
    ch.publish("", &queue, "body");
    assert!(!ch.delivery().method.redelivered);
    assert!(ch.delivery().method.redelivered);
}

#[test]
fn watermarks_change_at_a_hangup() {
    lepus_only!("the signal is Lepus' own");
    let mut broker = Broker::with_config("");
    fs::write(broker.config_file(), "vm_memory_high_watermark.absolute = 1\n").unwrap();
    broker.tell("HUP");
    // It was started without a file, so that it does not look for one.
    await_log(&broker, READ_AGAIN, 1);
    assert!(!broker.log().contains("memory alarm set"));

    let mut broker = Broker::with_config("vm_memory_high_watermark.relative = 0.4\n");
    fs::write(broker.config_file(), "vm_memory_high_watermark.absolute = 1\n").unwrap();
    broker.tell("HUP");
    await_log(&broker, "memory alarm set", 1);
    fs::write(broker.config_file(), "disk_free_limit.absolute = 1000000TB\n").unwrap();
    broker.tell("HUP");
    await_log(&broker, "memory alarm cleared", 1);
    await_log(&broker, "disk alarm set", 1);
}

#[test]
fn a_log_file_is_put_aside_when_it_is_large() {
    lepus_only!("its log is known");
    let config = "log.file = log/a.log\nlog.file.rotation.size = 1000\nlog.file.rotation.count = 2\n\
                  log.file.formatter = json\nlog.console = false\n";
    let mut broker = Broker::with_config(config);
    let directory = broker.config_file().with_file_name("log");
    let deadline = Instant::now() + DEADLINE;
    while !directory.join("a.log.2").exists() {
        drop(broker.connect());
        assert!(Instant::now() < deadline, "it was not put aside twice");
    }
    assert_eq!(broker.log(), "", "nothing goes to the console");
    // While it is being put aside there is no file of that name.
    broker.stop();
    assert!(!directory.join("a.log.3").exists());
    for name in ["a.log", "a.log.1", "a.log.2"] {
        assert_eq!(mode(&directory.join(name)), 0o600);
    }
    let text = fs::read_to_string(directory.join("a.log.1")).unwrap();
    let line: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert!(line["msg"].is_string(), "{line}");
}

#[test]
fn a_new_virtual_host_has_default_policies_and_limits() {
    lepus_only!("the policies are in its configuration");
    let mut broker = Broker::with_config(
        "default_policies.operator.short.queue_pattern = ^short\n\
         default_policies.operator.short.max_length = 2\n\
         default_policies.operator.none.vhost_pattern = ^other$\n\
         default_policies.operator.none.max_length = 1\n\
         default_limits.vhosts.one.max_queues = 2\n\
         cluster_name = here\n",
    );
    for _ in 0..2 {
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        let names = ["short", "long"].map(|name| {
            ch.declare(queue::Declare { durable: true, ..declare(name) });
            name
        });
        for name in names.iter().flat_map(|name| [name; 3]) {
            ch.publish("", name, "body");
        }
        ch.expect_counts("short", (2, 0));
        let text = "PRECONDITION_FAILED - cannot declare queue 'third': queue limit in vhost '/' (2) is reached";
        ch.refused(declare("third"), 406, text);
        drop(conn);
        broker.restart_by_stop();
    }
}
