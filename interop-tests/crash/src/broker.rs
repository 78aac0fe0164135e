//! The broker that is killed: started, waited for, ended in one way or the other.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::image;

/// How long it may take to say `ready`, and to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// How to start a broker, again and again on the same directory.
#[derive(Debug, Clone)]
pub enum Setup {
    /// Lepus: its binary, a directory, and more arguments.
    Own {
        /// The broker.
        binary: PathBuf,
        /// Its data goes to `data` in there, its log beside it.
        directory: PathBuf,
        /// More arguments.
        args: Vec<String>,
    },
    /// Another one: a command that is given `start`, `kill` or `stop`, and where it then serves.
    Other {
        /// The command.
        command: String,
        /// Where it serves.
        url: String,
    },
}

/// A running broker. Dropped, it is killed.
#[derive(Debug)]
pub struct Broker {
    setup: Setup,
    child: Option<Child>,
    url: String,
    http: Option<String>,
}

impl Setup {
    /// Starts it and waits until it serves.
    pub fn start(&self) -> Result<Broker> {
        match self {
            Self::Own { .. } => {
                let (child, lines) = self.spawn()?;
                let (url, http) = (String::new(), None);
                let mut broker = Broker { setup: self.clone(), child: Some(child), url, http };
                broker.wait_until_ready(&lines)?;
                Ok(broker)
            }
            Self::Other { command, url } => {
                control(command, "start")?;
                Ok(Broker { setup: self.clone(), child: None, url: url.clone(), http: None })
            }
        }
    }

    /// Keeps what the broker has left, as `data.killed` beside its data. How many files of gathered
    /// messages are among it?
    pub fn keep_image(&self) -> Result<usize> {
        let Self::Own { directory, .. } = self else { return Ok(0) };
        let data = directory.join("data");
        image::keep(&data, &directory.join("data.killed"))?;
        Ok(image::cold_segments(&data))
    }

    /// Starts it and kills it so soon that it may not serve yet.
    pub fn start_and_kill(&self, after: Duration) -> Result<()> {
        match self {
            Self::Own { .. } => {
                let (mut child, _lines) = self.spawn()?;
                thread::sleep(after);
                let early = child.try_wait()?;
                ensure!(early.is_none(), "it ended by itself ({early:?}); {}", self.last_words());
                child.kill()?;
                child.wait()?;
            }
            Self::Other { command, .. } => {
                control(command, "start")?;
                control(command, "kill")?;
            }
        }
        Ok(())
    }

    fn spawn(&self) -> Result<(Child, std::sync::mpsc::Receiver<String>)> {
        let Self::Own { binary, directory, args } = self else { bail!("it runs elsewhere") };
        let log = File::options().create(true).append(true).open(directory.join("lepus.log"));
        let mut child = Command::new(binary)
            .args(["--bind", "127.0.0.1", "--amqp-port", "0"])
            .args(["--http-port", "0", "--metrics-port", "0", "--data-dir"])
            .arg(directory.join("data"))
            .args(args)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.context("cannot open the broker's log")?)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let stdout = child.stdout.take().context("the broker has no standard output")?;
        let (sender, lines) = channel();
        // To its end, so that the broker never waits for its reader.
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                drop(sender.send(line));
            }
        });
        Ok((child, lines))
    }

    /// Fails if a thread of it has panicked, which need not have ended it.
    fn check_log(&self) -> Result<()> {
        let Self::Own { directory, .. } = self else { return Ok(()) };
        let log = std::fs::read_to_string(directory.join("lepus.log")).context("its log")?;
        let panic = log.lines().find(|line| line.contains("panicked at"));
        ensure!(panic.is_none(), "it panicked: {}", panic.unwrap_or_default());
        Ok(())
    }

    fn last_words(&self) -> String {
        let Self::Own { directory, .. } = self else { return String::new() };
        let log = std::fs::read_to_string(directory.join("lepus.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.get(lines.len().saturating_sub(20)..).unwrap_or_default();
        format!("the end of its log:\n{}", last.join("\n"))
    }
}

impl Broker {
    /// For clients.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// For requests over HTTP, if it is known.
    pub fn http(&self) -> Option<&str> {
        self.http.as_deref()
    }

    /// Its process, unless it runs elsewhere.
    pub fn process(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// SIGKILL. Returns the moment just before it.
    pub fn kill(mut self) -> Result<Instant> {
        let now = Instant::now();
        match (&mut self.child, &self.setup) {
            (Some(child), _) => {
                let early = child.try_wait()?;
                ensure!(
                    early.is_none(),
                    "it had ended by itself with {early:?}; {}",
                    self.setup.last_words()
                );
                child.kill()?;
                child.wait()?;
            }
            (None, Setup::Other { command, .. }) => control(command, "kill")?,
            (None, Setup::Own { .. }) => {}
        }
        self.child = None;
        self.setup.check_log()?;
        Ok(now)
    }

    /// SIGTERM, and the clean end that must follow. Returns the moment just before it.
    pub fn stop(mut self) -> Result<Instant> {
        let now = Instant::now();
        match (self.child.take(), &self.setup) {
            (Some(child), _) => terminate(child).with_context(|| self.setup.last_words())?,
            (None, Setup::Other { command, .. }) => control(command, "stop")?,
            (None, Setup::Own { .. }) => {}
        }
        self.setup.check_log()?;
        Ok(now)
    }

    fn wait_until_ready(&mut self, lines: &std::sync::mpsc::Receiver<String>) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut address = None;
        loop {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line == "ready" => {
                    let address: String = address.context("no line `listening amqp ADDRESS`")?;
                    self.url = format!("amqp://guest:guest@{address}");
                    return Ok(());
                }
                Ok(line) => {
                    let http = line.strip_prefix("listening http ").map(str::to_owned);
                    self.http = http.or(self.http.take());
                    address = line.strip_prefix("listening amqp ").map(str::to_owned).or(address);
                }
                Err(RecvTimeoutError::Timeout) => {
                    bail!("it was not ready in {PATIENCE:?}; {}", self.setup.last_words())
                }
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("it ended before it was ready; {}", self.setup.last_words())
                }
            }
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Nothing is left to do about a process that is gone already.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn terminate(mut child: Child) -> Result<()> {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status().context("cannot run kill")?;
    ensure!(sent.success(), "kill -TERM failed");
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            drop(child.kill());
            bail!("it did not stop in {PATIENCE:?}");
        }
        thread::sleep(Duration::from_millis(5));
    };
    ensure!(status.success(), "it stopped with {status}");
    Ok(())
}

fn control(command: &str, action: &str) -> Result<()> {
    let status = Command::new("sh").args(["-c", &format!("{command} {action}")]).status()?;
    ensure!(status.success(), "{command} {action} ended with {status}");
    Ok(())
}
