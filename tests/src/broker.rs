//! The broker under test: a process started here, or one that runs already.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime};

use crate::conn::{Conn, Login};

/// How long a broker may take to say `ready`.
const START: Duration = Duration::from_secs(20);

/// The wrapper ends the broker, and removes its directory (`$0`), when this process ends, however
/// it ends: its standard input closes. A line with a signal's name passes that signal on.
const WRAPPER: &str = r#"
    exec 3<&0
    "$@" </dev/null 3<&- &
    pid=$!
    (while read -r sig <&3; do kill -"$sig" $pid; done; trap '' TERM; kill -KILL $pid; rm -rf "$0") >&- 2>&- &
    watcher=$!
    exec >&- 3<&-
    wait $pid
    code=$?
    kill $watcher 2>&-
    exit $code
"#;

/// A running broker.
#[derive(Debug)]
pub struct Broker {
    address: String,
    process: Option<Process>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    dir: PathBuf,
    lines: Vec<String>,
}

impl Broker {
    /// Starts a broker with its defaults, or names the one of `LEPUS_TEST_TARGET`.
    #[must_use]
    pub fn start() -> Broker {
        Broker::with_config("")
    }

    /// Starts a broker with a configuration in RabbitMQ's `key = value` format.
    #[must_use]
    pub fn with_config(config: &str) -> Broker {
        match target() {
            Some(address) => Broker { address, process: None },
            None => Broker::spawn("127.0.0.1", config),
        }
    }

    /// Starts a broker that listens on all addresses.
    #[must_use]
    pub fn on_all_addresses(config: &str) -> Broker {
        Broker::spawn("0.0.0.0", config)
    }

    fn spawn(bind: &str, config: &str) -> Broker {
        let dir = std::env::temp_dir().join(unique("broker"));
        std::fs::create_dir_all(&dir).expect("a temporary directory");
        let mut args = ["--bind", bind, "--amqp-port", "0"].map(String::from).to_vec();
        if !config.is_empty() {
            std::fs::write(dir.join("rabbitmq.conf"), config).expect("write the configuration");
            args.extend(["--config".into(), dir.join("rabbitmq.conf").display().to_string()]);
        }
        let stderr = std::fs::File::create(dir.join("stderr")).expect("create the log file");
        let mut child = Command::new("sh")
            .args(["-c", WRAPPER])
            .arg(&dir)
            .arg(binary())
            .args(args)
            .current_dir(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("start the broker");
        let stdout = read_lines(child.stdout.take().expect("a piped stdout"));
        let mut process = Process { child, dir, lines: Vec::new() };
        process.wait_until_ready(&stdout);
        let address = process.lines.iter().find_map(|line| line.strip_prefix("listening amqp "));
        let address = address.expect("a line `listening amqp ADDRESS`").to_string();
        Broker { address, process: Some(process) }
    }

    /// Where it listens, `host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What it printed up to `ready`.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        self.process.as_ref().map_or(&[], |process| &process.lines)
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.as_ref().map_or_else(String::new, Process::log)
    }

    /// A connection as guest to the vhost `/`, without heartbeats.
    #[must_use]
    pub fn connect(&self) -> Conn {
        self.login(&Login::default())
    }

    /// A connection with settings of its own.
    #[must_use]
    pub fn login(&self, login: &Login) -> Conn {
        Conn::login(&self.address, login)
    }

    /// A bare socket: nothing has been sent.
    #[must_use]
    pub fn dial(&self) -> Conn {
        Conn::dial(&self.address)
    }

    /// Sends it a signal (`TERM`, `INT`) and waits for its end.
    #[must_use]
    pub fn signal(mut self, name: &str) -> ExitStatus {
        let mut process = self.process.take().expect("a broker started here");
        let mut stdin = process.child.stdin.take().expect("a piped stdin");
        writeln!(stdin, "{name}").expect("tell the wrapper");
        let deadline = Instant::now() + START;
        loop {
            if let Some(status) = process.child.try_wait().expect("wait for the broker") {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "it did not stop at {name}; its log:\n{}",
                process.log()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Process {
    fn wait_until_ready(&mut self, stdout: &Receiver<String>) {
        let deadline = Instant::now() + START;
        while self.lines.last().is_none_or(|line| line != "ready") {
            let left = deadline.saturating_duration_since(Instant::now());
            match stdout.recv_timeout(left) {
                Ok(line) => self.lines.push(line),
                Err(why) => {
                    panic!("no `ready` ({why}); printed {:?}; its log:\n{}", self.lines, self.log())
                }
            }
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("stderr")).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the broker's log:\n{}", self.log());
        }
        drop(self.child.stdin.take());
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Hands over a stream's lines, and reads it to its end so that the broker never blocks on it.
fn read_lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}

/// The broker shared by the tests of one file.
#[must_use]
pub fn shared() -> &'static Broker {
    static SHARED: OnceLock<Broker> = OnceLock::new();
    SHARED.get_or_init(Broker::start)
}

fn target() -> Option<String> {
    std::env::var("LEPUS_TEST_TARGET").ok().filter(|address| !address.is_empty())
}

/// Whether the tests run against a broker that is not Lepus' own process.
#[must_use]
pub fn on_target() -> bool {
    target().is_some()
}

/// A name that no other test uses, in this run or in another one.
#[must_use]
pub fn unique(label: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    static RUN: OnceLock<u128> = OnceLock::new();
    let run = RUN.get_or_init(|| SystemTime::UNIX_EPOCH.elapsed().map_or(0, |age| age.as_micros()));
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("lepus-{}-{run:x}-{next}-{label}", std::process::id())
}

fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("LEPUS_BIN") {
            return path.into();
        }
        beside_the_test().unwrap_or_else(build)
    })
}

/// `target/PROFILE/deps/test-…` → `target/release/lepus`, else `target/debug/lepus`.
fn beside_the_test() -> Option<PathBuf> {
    let exe = std::env::current_exe().ok()?;
    let target = exe.ancestors().nth(3)?;
    let candidates = ["release", "debug"].map(|profile| target.join(profile).join("lepus"));
    candidates.into_iter().find(|path| path.is_file())
}

fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let status = Command::new(cargo).args(["build", "-p", "lepus"]).current_dir(root).status();
    assert!(status.expect("run cargo").success(), "the broker does not build");
    beside_the_test().expect("the broker that was just built")
}
