//! The clients: processes that publish or consume, and say on their standard output what they did.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

use crate::ledger::{Ledger, Speaker};
use crate::topology::{DEAD, QUEUES};

/// How long one may take to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is the same for all.
pub struct Surroundings {
    pub url: String,
    pub rate: f64,
    pub directory: std::path::PathBuf,
    pub ledger: Arc<Mutex<Ledger>>,
}

/// What a client is told.
#[derive(Clone, Debug)]
pub struct Role {
    /// The client's name, what it does, and whether it is slow.
    pub name: String,
    pub command: String,
    pub publishes: bool,
    pub slow: bool,
}

/// A running client; dropped, it is killed.
pub struct Client {
    pub role: Role,
    child: Child,
    /// When it last got something done.
    last: Arc<Mutex<Instant>>,
    /// Who notes what it says.
    listener: Option<JoinHandle<()>>,
}

impl Client {
    /// Starts one under a number that no other has had.
    pub fn start(role: &Role, id: u32, around: &Surroundings) -> Result<Self> {
        let log = around.directory.join(format!("{}.log", role.name));
        let log = File::options().create(true).append(true).open(log)?;
        let work = if role.publishes { "publish" } else { "consume" };
        let pause = if role.slow { "0.02" } else { "0" };
        let mut child = Command::new("sh")
            .args(["-c", &format!("exec {} {work}", role.command)])
            .env("SOAK_URL", &around.url)
            .env("SOAK_ID", id.to_string())
            .env("SOAK_RATE", around.rate.to_string())
            .env("SOAK_PAUSE", pause)
            .env("SOAK_QUEUES", QUEUES.join(","))
            .env("SOAK_DEAD", DEAD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", role.command))?;
        let stdout = child.stdout.take().context("a client without an output")?;
        let last = Arc::new(Mutex::new(Instant::now()));
        let (ledger, done) = (around.ledger.clone(), last.clone());
        let speaker = Speaker { id, slow: role.slow };
        let listen = move || listen(BufReader::new(stdout), speaker, &ledger, &done);
        let listener = Some(std::thread::spawn(listen));
        Ok(Self { role: role.clone(), child, last, listener })
    }

    /// Whether it has got something done since then.
    pub fn has_worked_since(&self, then: Instant) -> bool {
        *self.last.lock() > then
    }

    /// Whether it has ended, which it was not told to.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        signal_process(self.child.id(), signal)
    }

    /// SIGKILL; all that it had said is noted.
    pub fn kill(mut self) -> Result<Role> {
        self.child.kill()?;
        self.child.wait()?;
        self.hear_the_rest();
        Ok(self.role.clone())
    }

    /// Tells it to finish what it has begun, and to end.
    pub fn tell_to_end(&mut self) -> Result<()> {
        drop(self.child.stdin.take());
        // A worker of Celery reads no input.
        if self.role.name.starts_with("celery") && !self.role.publishes {
            self.signal(Signal::TERM)?;
        }
        Ok(())
    }

    /// What it has said last may still be on its way when it has ended.
    fn hear_the_rest(&mut self) {
        if let Some(listener) = self.listener.take() {
            // Its own fault is in the ledger.
            drop(listener.join());
        }
    }

    /// Waits until it has ended, and all that it had said is noted. True if it did so by itself.
    pub async fn ended(&mut self) -> Result<bool> {
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                self.child.kill()?;
                self.child.wait()?;
                return Ok(false);
            }
            sleep(Duration::from_millis(50)).await;
        }
        self.hear_the_rest();
        Ok(true)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Nothing is left to do about a process that is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Sends a process a signal.
pub fn signal_process(id: u32, signal: Signal) -> Result<()> {
    let id = Pid::from_raw(id.try_into()?).context("no process")?;
    kill_process(id, signal).context("sending a signal")
}

fn listen(lines: impl BufRead, speaker: Speaker, ledger: &Mutex<Ledger>, last: &Mutex<Instant>) {
    for line in lines.lines().map_while(Result::ok) {
        // What else a client's libraries print is nobody's business.
        let Some(line) = line.strip_prefix('@') else { continue };
        let mut ledger = ledger.lock();
        if let Err(error) = ledger.note(speaker, line) {
            ledger.violation(format!("client {} says {line:?}: {error:#}", speaker.id));
        }
        drop(ledger);
        if line.starts_with(['c', 'd']) {
            *last.lock() = Instant::now();
        }
    }
}
