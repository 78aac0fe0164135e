//! The broker's process: started, waited for, signalled, and never left behind.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How long a broker may take to say `ready`, and to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// The wrapper ends the broker, and removes its directory (`$0`), when this process ends, however
/// it ends: its standard input closes. A line with a signal's name passes that signal on; then the
/// directory stays, so that a broker can be started on it again.
const WRAPPER: &str = r#"
    [ -z "$DESCRIPTORS" ] || ulimit -n "$DESCRIPTORS"
    exec 3<&0
    env $BROKER_ENV "$@" </dev/null 3<&- &
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
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    lines: Vec<String>,
}

impl Process {
    /// Starts the broker in `dir`, where its data directory is by default, and waits until it serves.
    /// `descriptors` is how many files and sockets it may have open.
    ///
    /// The error is what it said instead of `ready`.
    pub fn start(
        dir: &Path,
        args: &[String],
        descriptors: Option<u32>,
        env: &[(String, String)],
    ) -> Result<Process, String> {
        let log = dir.join("stderr");
        // Appended to: the log of a broker that was killed is worth having after its restart.
        let stderr = File::options().create(true).append(true).open(&log);
        let mut child = Command::new("sh")
            .args(["-c", WRAPPER])
            .arg(dir)
            .arg(binary())
            .args(["--http-port", "0", "--metrics-port", "0"])
            .args(args)
            .env("DESCRIPTORS", descriptors.map_or_else(String::new, |most| most.to_string()))
            .env(
                "BROKER_ENV",
                env.iter().map(|(name, value)| format!("{name}={value} ")).collect::<String>(),
            )
            .current_dir(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr.expect("open the log file"))
            .spawn()
            .expect("start the broker");
        let stdout = read_lines(child.stdout.take().expect("a piped stdout"));
        let mut process = Process { child, log, lines: Vec::new() };
        process.wait_until_ready(&stdout)?;
        Ok(process)
    }

    /// What it printed up to `ready`.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// What it has logged so far, and those before it in the same directory.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends it a signal that it lives on after.
    pub fn signal(&mut self, signal: &str) {
        let stdin = self.child.stdin.as_mut().expect("a piped stdin");
        writeln!(stdin, "{signal}").expect("tell the wrapper");
    }

    /// Has it stand still (SIGSTOP), and waits until it does.
    pub fn stop_still(&mut self) {
        self.signal("STOP");
        let deadline = Instant::now() + PATIENCE;
        while !self.stands_still() {
            assert!(Instant::now() < deadline, "it goes on after SIGSTOP");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Whether the broker, the wrapper's first child, is stopped.
    fn stands_still(&self) -> bool {
        let wrapper = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{wrapper}/task/{wrapper}/children"));
        let children = children.expect("the wrapper's children");
        let broker = children.split(' ').next().expect("a child");
        let status = std::fs::read_to_string(format!("/proc/{broker}/status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("State:") && line.contains("stopped"))
    }

    /// Sends it a signal (`TERM`, `INT`, `KILL`) and waits for its end.
    pub fn end(mut self, signal: &str) -> ExitStatus {
        self.signal(signal);
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("wait for the broker") {
                return status;
            }
            let log = || self.log();
            assert!(Instant::now() < deadline, "it did not end at {signal}; its log:\n{}", log());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn wait_until_ready(&mut self, stdout: &Receiver<String>) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while self.lines.last().is_none_or(|line| line != "ready") {
            let left = deadline.saturating_duration_since(Instant::now());
            match stdout.recv_timeout(left) {
                Ok(line) => self.lines.push(line),
                Err(why) => {
                    let (lines, log) = (&self.lines, self.log());
                    return Err(format!("no `ready` ({why}); printed {lines:?}; its log:\n{log}"));
                }
            }
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the broker's log:\n{}", self.log());
        }
        drop(self.child.stdin.take());
        let _ = self.child.wait();
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

/// The broker's program.
#[must_use]
pub fn binary() -> &'static Path {
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
