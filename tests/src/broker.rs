//! The broker under test: a process started here, or one that runs already.

use std::path::PathBuf;
use std::process::{Command, ExitStatus, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::conn::{Conn, DEADLINE, Login};
use crate::process::{Process, binary};

/// A running broker.
#[derive(Debug)]
pub struct Broker {
    address: String,
    process: Option<Process>,
    /// How to start it again; none for a broker that runs already.
    setup: Option<Setup>,
}

/// The directory of a broker, removed at the end, and its arguments.
#[derive(Debug)]
struct Setup {
    dir: PathBuf,
    args: Vec<String>,
    /// How many files and sockets it may have open.
    descriptors: Option<u32>,
    env: Vec<(String, String)>,
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
            Some(address) => Broker { address, process: None, setup: None },
            None => Broker::spawn("127.0.0.1", config, None),
        }
    }

    /// Starts a broker that may have only so many files and sockets open.
    #[must_use]
    pub fn with_descriptors(most: u32, config: &str) -> Broker {
        Broker::spawn("127.0.0.1", config, Some(most))
    }

    /// Starts a broker with more arguments, and more of an environment.
    #[must_use]
    pub fn with_surroundings(args: &[&str], env: &[(&str, &str)], config: &str) -> Broker {
        let args = [&["--bind", "127.0.0.1", "--amqp-port", "0"], args].concat();
        let mut broker = Broker::prepare(&args, config, None);
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        broker.setup.iter_mut().for_each(|setup| setup.env = env.clone().collect());
        broker.try_launch().unwrap_or_else(|why| panic!("{why}"))
    }

    /// Starts a broker that listens on all addresses.
    #[must_use]
    pub fn on_all_addresses(config: &str) -> Broker {
        Broker::spawn("0.0.0.0", config, None)
    }

    /// Starts a broker that listens where its configuration says.
    #[must_use]
    pub fn with_listeners(config: &str) -> Broker {
        Broker::as_configured(config).unwrap_or_else(|why| panic!("{why}"))
    }

    /// Starts a broker that listens as its configuration says, and nowhere else.
    ///
    /// # Errors
    /// What it said instead of `ready`.
    pub fn as_configured(config: &str) -> Result<Broker, String> {
        Broker::prepare(&[], config, None).try_launch()
    }

    fn spawn(bind: &str, config: &str, descriptors: Option<u32>) -> Broker {
        let args = ["--bind", bind, "--amqp-port", "0"];
        let broker = Broker::prepare(&args, config, descriptors).try_launch();
        broker.unwrap_or_else(|why| panic!("{why}"))
    }

    fn prepare(args: &[&str], config: &str, descriptors: Option<u32>) -> Broker {
        let dir = std::env::temp_dir().join(unique("broker"));
        std::fs::create_dir_all(&dir).expect("a temporary directory");
        let mut args: Vec<String> = args.iter().map(ToString::to_string).collect();
        if !config.is_empty() {
            std::fs::write(dir.join("rabbitmq.conf"), config).expect("write the configuration");
            args.extend(["--config".into(), dir.join("rabbitmq.conf").display().to_string()]);
        }
        let setup = Some(Setup { dir, args, descriptors, env: Vec::new() });
        Broker { address: String::new(), process: None, setup }
    }

    fn launch(&mut self) {
        let Broker { setup, .. } = self;
        let broker = Broker { address: String::new(), process: None, setup: setup.take() };
        *self = broker.try_launch().unwrap_or_else(|why| panic!("{why}"));
    }

    /// Each start takes a free port: one that was free before may be taken by now.
    fn try_launch(mut self) -> Result<Broker, String> {
        let setup = self.setup.as_ref().expect("a broker started here");
        let Setup { dir, args, descriptors, env } = setup;
        self.process = Some(Process::start(dir, args, *descriptors, env)?);
        self.address = self.listener("amqp").or(self.listener("amqps")).unwrap_or_default();
        Ok(self)
    }

    fn listener(&self, protocol: &str) -> Option<String> {
        let start = format!("listening {protocol} ");
        self.lines().iter().find_map(|line| line.strip_prefix(&start)).map(str::to_owned)
    }

    /// Where it listens for AMQP over TLS.
    #[must_use]
    pub fn tls_address(&self) -> String {
        self.listener("amqps").expect("a line `listening amqps ADDRESS`")
    }

    /// Where its HTTP API is.
    #[must_use]
    pub fn http_address(&self) -> String {
        self.listener("http").expect("a line `listening http ADDRESS`")
    }

    /// Where it listens for a protocol, as it printed it.
    #[must_use]
    pub fn address_of(&self, protocol: &str) -> String {
        let missing = || panic!("no line `listening {protocol} ADDRESS`");
        self.listener(protocol).unwrap_or_else(missing)
    }

    /// Where it listens, `host:port`; another port after each restart.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What it printed up to `ready`.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        self.process.as_ref().map_or(&[], Process::lines)
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
        self.process.take().expect("a broker started here").end(name)
    }

    /// Sends it a signal (`HUP`) that it lives on after.
    pub fn tell(&mut self, name: &str) {
        self.process.as_mut().expect("a broker started here").signal(name);
    }

    /// Has it stand still, until it is told `CONT`.
    pub fn stop_still(&mut self) {
        self.process.as_mut().expect("a broker started here").stop_still();
    }

    /// Waits until it has logged this, so many times.
    #[track_caller]
    pub fn wait_for_log(&self, text: &str, times: usize) {
        let deadline = Instant::now() + DEADLINE;
        while self.log().matches(text).count() < times {
            assert!(
                Instant::now() < deadline,
                "no {text:?}, {times} times, in its log:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Where its configuration is, if it was given one.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.setup.as_ref().expect("a broker started here").dir.join("rabbitmq.conf")
    }

    /// Ends it at once (SIGKILL) and starts it again on its directory.
    pub fn crash(&mut self) {
        self.kill();
        self.restart();
    }

    /// Ends it at once (SIGKILL); its directory stays.
    pub fn kill(&mut self) {
        match self.process.take() {
            Some(process) => {
                let _ = process.end("KILL");
            }
            None => control("kill"),
        }
    }

    /// Asks it to end (SIGTERM), which it must do with success; its directory stays.
    pub fn stop(&mut self) {
        match self.process.take() {
            Some(process) => {
                let status = process.end("TERM");
                assert!(status.success(), "it stopped with {status}");
            }
            None => control("stop"),
        }
    }

    /// Starts it again on its directory after [`kill`](Self::kill) or [`stop`](Self::stop).
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "it runs");
        match &self.setup {
            Some(_) => self.launch(),
            None => control("start"),
        }
    }

    /// Asks it to end (SIGTERM) and starts it again on its directory.
    pub fn restart_by_stop(&mut self) {
        self.stop();
        self.restart();
    }

    /// Where it keeps its data.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.setup.as_ref().expect("a broker started here").dir.join("lepus-data")
    }

    /// Runs `lepus store COMMAND DIR` on its data, with more arguments.
    #[must_use]
    pub fn store(&self, command: &str, args: &[&str]) -> Output {
        let directory = self.data_dir();
        let mut store = Command::new(binary());
        store.args(["store", command]).arg(directory).args(args);
        store.output().expect("run lepus store")
    }

    /// Tries to start another broker on the data of this one: what it says when it cannot.
    ///
    /// # Errors
    /// What it printed and logged.
    pub fn start_beside(&self) -> Result<(), String> {
        let setup = self.setup.as_ref().expect("a broker started here");
        let data = setup.dir.join("lepus-data").display().to_string();
        let args = ["--bind", "127.0.0.1", "--amqp-port", "0", "--data-dir", &data];
        // A directory of its own to run in, which goes with it.
        let dir = std::env::temp_dir().join(unique("beside"));
        std::fs::create_dir_all(&dir).expect("a temporary directory");
        let started = Process::start(&dir, &args.map(String::from), None, &[]).map(drop);
        let _ = std::fs::remove_dir_all(&dir);
        started
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.process.take());
        if let Some(setup) = &self.setup {
            let _ = std::fs::remove_dir_all(&setup.dir);
        }
    }
}

/// The broker shared by the tests of one process.
#[must_use]
pub fn shared() -> &'static Broker {
    static SHARED: OnceLock<Broker> = OnceLock::new();
    SHARED.get_or_init(Broker::start)
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn target() -> Option<String> {
    env("LEPUS_TEST_TARGET")
}

/// Whether the tests run against a broker that is not Lepus' own process.
#[must_use]
pub fn on_target() -> bool {
    target().is_some()
}

/// Whether the broker can be killed and started: another one only by a command of its own.
#[must_use]
pub fn can_restart() -> bool {
    !on_target() || env("LEPUS_TEST_CONTROL").is_some()
}

/// Runs `LEPUS_TEST_CONTROL` with `kill`, `stop` or `start`; it returns when that is done.
fn control(action: &str) {
    let command = env("LEPUS_TEST_CONTROL").expect("LEPUS_TEST_CONTROL");
    let status = Command::new("sh").args(["-c", &format!("{command} {action}")]).status();
    assert!(status.expect("run LEPUS_TEST_CONTROL").success(), "{command} {action} failed");
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
