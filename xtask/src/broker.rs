//! A Lepus broker of the interop step's own: started on a free port, stopped in order.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::{certificates, tools};

/// How long it may take to say `ready`, and to stop.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running broker; dropped, it is killed.
pub(crate) struct Broker {
    child: Child,
    url: String,
    http: String,
    metrics: String,
    log: PathBuf,
}

impl Broker {
    /// Starts the binary with an empty data directory and waits until it serves.
    pub(crate) fn start(binary: &Path) -> Result<Self> {
        let dir = tools::scratch("interop")?;
        Self::launch(binary, &dir, &["--bind", "127.0.0.1", "--amqp-port", "0"])
    }

    /// The same with TLS only, for clients with a certificate. The folder of all certificates comes too.
    pub(crate) fn start_with_tls(binary: &Path) -> Result<(Self, PathBuf)> {
        let dir = tools::scratch("interop-tls")?;
        certificates::write(&dir)?;
        let path = |name: &str| dir.join(name).display().to_string();
        let lines = [
            ("listeners.tcp", "none".to_owned()),
            ("listeners.ssl.1", "127.0.0.1:0".to_owned()),
            ("ssl_options.cacertfile", path("ca.pem")),
            ("ssl_options.certfile", path("server.pem")),
            ("ssl_options.keyfile", path("server.key")),
            ("ssl_options.verify", "verify_peer".to_owned()),
            ("ssl_options.fail_if_no_peer_cert", "true".to_owned()),
        ];
        let config: String =
            lines.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        std::fs::write(dir.join("rabbitmq.conf"), config).context("cannot write the settings")?;
        let broker = Self::launch(binary, &dir, &["--config", "rabbitmq.conf"])?;
        Ok((broker, dir))
    }

    fn launch(binary: &Path, dir: &Path, args: &[&str]) -> Result<Self> {
        let log = dir.join("lepus.log");
        let data = dir.join("lepus-data");
        if data.exists() {
            std::fs::remove_dir_all(&data).context("cannot remove the last run's data")?;
        }
        let child = Command::new(binary)
            .args(args)
            .args(["--http-port", "0", "--metrics-port", "0"])
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).context("cannot create the broker's log")?)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let mut broker =
            Self { child, url: String::new(), http: String::new(), metrics: String::new(), log };
        let stdout = broker.child.stdout.take().context("the broker has no standard output")?;
        for line in listening(&read_lines(stdout)).with_context(|| broker.last_words())? {
            match line.split_once(' ') {
                Some(("amqps", address)) => {
                    // The name in the certificate.
                    let port = address.rsplit_once(':').map_or("", |(_, port)| port);
                    broker.url = format!("amqps://guest:guest@localhost:{port}");
                }
                Some(("amqp", address)) => broker.url = format!("amqp://guest:guest@{address}"),
                Some(("http", address)) => broker.http = format!("http://{address}"),
                Some(("http/prometheus", address)) => broker.metrics = format!("http://{address}"),
                _ => {}
            }
        }
        ensure!(!broker.url.is_empty(), "the broker named no `listening PROTOCOL ADDRESS`");
        Ok(broker)
    }

    /// For clients.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Where its HTTP API is.
    pub(crate) fn http(&self) -> &str {
        &self.http
    }

    /// Where its metrics are.
    pub(crate) fn metrics(&self) -> &str {
        &self.metrics
    }

    /// Fails if it ended by itself.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the broker ended by itself with {status}\n{}", self.last_words());
        }
        Ok(())
    }

    /// SIGTERM, and the clean end that must follow.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.check_alive()?;
        tools::run(Command::new("kill").args(["-TERM", &self.child.id().to_string()]))?;
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            ensure!(Instant::now() < deadline, "the broker did not stop in {PATIENCE:?}");
            thread::sleep(Duration::from_millis(10));
        };
        ensure!(status.success(), "the broker stopped with {status}\n{}", self.last_words());
        Ok(())
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.len().saturating_sub(30);
        format!("the end of its log:\n{}", lines[last..].join("\n"))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Nothing is left to do about a process that is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads to the end, so that the broker never waits for its reader.
fn read_lines(stdout: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // Nobody listens any more once the broker is ready.
            let _ = sender.send(line);
        }
    });
    receiver
}

/// Where it listens, protocol and address each, from the lines up to `ready`.
fn listening(lines: &Receiver<String>) -> Result<Vec<String>> {
    let deadline = Instant::now() + PATIENCE;
    let mut found = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match lines.recv_timeout(left) {
            Ok(line) if line == "ready" => return Ok(found),
            Ok(line) => found.extend(line.strip_prefix("listening ").map(str::to_owned)),
            Err(RecvTimeoutError::Timeout) => bail!("the broker was not ready in {PATIENCE:?}"),
            Err(RecvTimeoutError::Disconnected) => bail!("the broker ended before it was ready"),
        }
    }
}
