//! A running broker: started, waited for, paused while the other one is measured, stopped.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::scratch::Scratch;

/// How long a broker may take until it answers.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// The configuration in a broker's directory.
pub(crate) const CONFIG: &str = "rabbitmq.conf";
const START_POLL: Duration = Duration::from_millis(1);

/// A child process that does not outlive its owner.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    pub fn spawn(command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::null()).spawn();
        Ok(Self(child.with_context(|| format!("cannot run {:?}", command.get_program()))?))
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    pub fn exited(&mut self) -> Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Its files are temporary, so nothing is gained by asking it first. An error means that
        // it is gone already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A broker that answers on a port of 127.0.0.1.
#[derive(Debug)]
pub(crate) struct Peer {
    process: Process,
    /// Processes that the broker needs, ended after it.
    _helpers: Vec<Process>,
    scratch: Scratch,
    addr: SocketAddr,
    /// From the start of the process to its first answer.
    pub started_in: Duration,
}

impl Peer {
    /// Takes over a process that was started at `began`, and waits until it speaks AMQP.
    pub fn wait_for(
        mut process: Process,
        helpers: Vec<Process>,
        scratch: Scratch,
        addr: SocketAddr,
        began: Instant,
    ) -> Result<Self> {
        while !answers(addr) {
            if process.exited()? || began.elapsed() > START_TIMEOUT {
                bail!("the broker at {addr} did not start; it said:\n{}", tail(scratch.path()));
            }
            std::thread::sleep(START_POLL);
        }
        Ok(Self { process, _helpers: helpers, scratch, addr, started_in: began.elapsed() })
    }

    /// Starts Lepus on a port that it picks itself, with an empty directory.
    pub fn lepus(binary: &Path) -> Result<Self> {
        Self::lepus_in(binary, Scratch::new("lepus")?)
    }

    /// Starts Lepus with what is in a directory, its configuration too if there is one.
    pub fn lepus_in(binary: &Path, scratch: Scratch) -> Result<Self> {
        Self::lepus_at(binary, scratch, ["0", "0"])
    }

    /// The same with these ports for HTTP and for metrics.
    pub fn lepus_at(binary: &Path, scratch: Scratch, [http, metrics]: [&str; 2]) -> Result<Self> {
        let mut args = vec!["--bind", "127.0.0.1"];
        args.extend(["--amqp-port", "0", "--http-port", http, "--metrics-port", metrics]);
        if scratch.path().join(CONFIG).exists() {
            args.extend(["--config", CONFIG]);
        }
        Self::announced(binary, &args, scratch)
    }

    /// Starts the peer that only moves frames from socket to socket.
    pub fn floor(binary: &Path) -> Result<Self> {
        Self::announced(binary, &["bench", "--floor", "127.0.0.1:0"], Scratch::new("floor")?)
    }

    /// Starts a process that prints `listening amqp ADDRESS`.
    fn announced(binary: &Path, args: &[&str], scratch: Scratch) -> Result<Self> {
        let mut command = Command::new(binary);
        command.args(args).current_dir(scratch.path());
        command.stdout(Stdio::piped()).stderr(log_file(scratch.path())?);
        let began = Instant::now();
        let mut process = Process::spawn(&mut command)?;
        let stdout = BufReader::new(process.0.stdout.take().context("no stdout")?);
        let (found, announced) = mpsc::channel();
        // To its end: the broker must never block on, or be killed by, a pipe that nobody reads.
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if let Some(addr) = line.strip_prefix("listening amqp ") {
                    // Nobody waits for a second one.
                    drop(found.send(addr.to_owned()));
                }
            }
        });
        let Ok(addr) = announced.recv_timeout(START_TIMEOUT) else {
            bail!("{args:?} did not start; it said:\n{}", tail(scratch.path()));
        };
        let addr = addr.parse().with_context(|| format!("it listens on {addr:?}"))?;
        Self::wait_for(process, Vec::new(), scratch, addr, began)
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn url(&self) -> String {
        format!("amqp://guest:guest@{}/", self.addr)
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        self.scratch.path()
    }

    /// Asks it to end, waits until it has, and hands over its directory.
    pub fn stop(mut self) -> Result<Scratch> {
        self.signal("TERM")?;
        let deadline = Instant::now() + START_TIMEOUT;
        while !self.process.exited()? {
            ensure!(Instant::now() < deadline, "the broker did not stop in {START_TIMEOUT:?}");
            std::thread::sleep(START_POLL);
        }
        Ok(self.scratch)
    }

    /// Ends it at once, as `kill -9` does, and hands over its directory.
    pub fn kill(self) -> Scratch {
        drop(self.process);
        self.scratch
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Stops the process from running without ending it, so that its timers and its garbage
    /// collection take nothing from the broker that is being measured.
    pub fn pause(&self) -> Result<()> {
        self.signal("STOP")
    }

    /// The opposite of [`Self::pause`].
    pub fn resume(&self) -> Result<()> {
        self.signal("CONT")
    }

    fn signal(&self, name: &str) -> Result<()> {
        let command = format!("kill -{name} {}", self.pid());
        let status = Command::new("sh").args(["-c", &command]).status()?;
        ensure!(status.success(), "{command} failed");
        Ok(())
    }
}

/// A file for what a broker prints.
pub(super) fn log_file(scratch: &Path) -> Result<std::fs::File> {
    let path = scratch.join("output.log");
    std::fs::File::options()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("{}", path.display()))
}

/// Whether something at this address answers AMQP's first bytes with a frame.
fn answers(addr: SocketAddr) -> bool {
    const PATIENCE: Duration = Duration::from_secs(5);
    let ask = || -> std::io::Result<u8> {
        let mut stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"AMQP\x00\x00\x09\x01")?;
        let mut first = [0];
        stream.read_exact(&mut first)?;
        Ok(first[0])
    };
    const METHOD_FRAME: u8 = 1;
    ask().is_ok_and(|first| first == METHOD_FRAME)
}

fn tail(scratch: &Path) -> String {
    const LINES: usize = 30;
    let text = std::fs::read_to_string(scratch.join("output.log")).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default().join("\n")
}
