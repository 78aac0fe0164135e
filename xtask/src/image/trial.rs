//! An image at work: who it runs as, what it makes of variables, what survives, how soon it is there.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::container::{Builder, Container};
use crate::bench::scratch::free_port;
use crate::{interop, tools};

/// The user of the image.
const USER: &str = "999";

/// How long the broker may take to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts that are measured, and how long the median may take as it is shipped.
const STARTS: usize = 5;
const SOON: Duration = Duration::from_millis(100);

/// Where the data is in the container.
const DATA: &str = "/var/lib/lepus";

/// Files here that containers see.
struct Volumes {
    data: PathBuf,
    settings: PathBuf,
    /// What brokers have to say.
    log: PathBuf,
    port: u16,
}

/// A broker in a container.
struct Running {
    process: Child,
    pid: String,
}

pub(super) fn run(builder: &Builder<'_>, scratch: &Path, is_release: bool) -> Result<()> {
    let volumes = Volumes::new(scratch)?;
    it_works_and_keeps_its_data(builder, &volumes)?;
    guest_stays_at_home(builder, &volumes)?;
    let mut starts = (0..STARTS).map(|_| cold_start(builder)).collect::<Result<Vec<_>>>()?;
    starts.sort();
    let median = starts[STARTS / 2];
    println!(
        "ready {} ms after its start, with no data yet (median of {STARTS})",
        median.as_millis()
    );
    ensure!(!is_release || median <= SOON, "more than {} ms", SOON.as_millis());
    Ok(())
}

/// From the start of the process in the image's root until it says that it is ready: what makes the
/// container around it takes its own time.
fn cold_start(builder: &Builder<'_>) -> Result<Duration> {
    let container = builder.container("new", &[], &[])?;
    let mut command = container.in_its_root(USER)?;
    command.args(["--amqp-port=0", "--http-port=0", "--metrics-port=0"]);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let began = Instant::now();
    let mut process = command.spawn()?;
    let mut lines = BufReader::new(process.stdout.take().context("no output")?).lines();
    let is_ready = lines.any(|line| line.is_ok_and(|line| line == "ready"));
    let took = began.elapsed();
    process.kill()?;
    process.wait()?;
    ensure!(is_ready, "the broker did not start");
    Ok(took)
}

/// RabbitMQ's variables are heeded; what one container was told is there in another with another name.
fn it_works_and_keeps_its_data(builder: &Builder<'_>, volumes: &Volumes) -> Result<()> {
    volumes.clear()?;
    let url = format!("amqp://hare:secret@127.0.0.1:{}/%2F", volumes.port);
    let login = [("RABBITMQ_DEFAULT_USER", "hare"), ("RABBITMQ_DEFAULT_PASS", "secret")];
    let first = volumes.container(builder, "one", &login)?;
    let running = Running::start(&first, volumes)?;
    running.check_user()?;
    first.check_health()?;
    interop::suite("pika", &url, &[])?;
    interop::suite("container", &url, &["-k", "before"])?;
    running.stop()?;
    let second = volumes.container(builder, "two", &[])?;
    let running = Running::start(&second, volumes)?;
    interop::suite("container", &url, &["-k", "after"])?;
    running.stop()
}

/// Guest may log in from elsewhere only if it is said.
fn guest_stays_at_home(builder: &Builder<'_>, volumes: &Volumes) -> Result<()> {
    volumes.clear()?;
    let url = format!("amqp://guest:guest@127.0.0.1:{}/%2F", volumes.port);
    for (setting, test) in [("", "refused"), ("loopback_users = none\n", "welcome")] {
        volumes.set(setting)?;
        let container = volumes.container(builder, "three", &[])?;
        let running = Running::start(&container, volumes)?;
        interop::suite("container", &url, &["-k", test])?;
        running.stop()?;
    }
    volumes.set("")
}

impl Volumes {
    fn new(scratch: &Path) -> Result<Self> {
        let volumes = Self {
            data: scratch.join("data"),
            settings: scratch.join("conf.d"),
            log: scratch.join("lepus.log"),
            port: free_port()?,
        };
        std::fs::create_dir_all(&volumes.settings)?;
        volumes.set("")?;
        Ok(volumes)
    }

    /// A file in the image's conf.d, with this in it.
    fn set(&self, settings: &str) -> Result<()> {
        let (http, metrics) = (free_port()?, free_port()?);
        let ports = format!("management.tcp.port = {http}\nprometheus.tcp.port = {metrics}\n");
        Ok(std::fs::write(self.settings.join("10-trial.conf"), ports + settings)?)
    }

    /// A new volume of the image's user.
    fn clear(&self) -> Result<()> {
        if self.data.exists() {
            std::fs::remove_dir_all(&self.data)?;
        }
        std::fs::create_dir_all(&self.data)?;
        tools::run(Command::new("chown").arg(format!("{USER}:{USER}")).arg(&self.data))
    }

    fn container<'a>(
        &self,
        builder: &'a Builder<'a>,
        host_name: &str,
        environment: &[(&str, &str)],
    ) -> Result<Container<'a>> {
        let port = self.port.to_string();
        let ours =
            [("RABBITMQ_NODE_PORT", port.as_str()), ("RABBITMQ_PID_FILE", "/var/lib/lepus/pid")];
        let volumes = [(&*self.data, DATA), (&*self.settings, "/etc/rabbitmq/conf.d")];
        builder.container(host_name, &[environment, &ours].concat(), &volumes)
    }
}

impl Running {
    /// What ENTRYPOINT names, up to `ready`.
    fn start(container: &Container<'_>, volumes: &Volumes) -> Result<Self> {
        let log = std::fs::File::create(&volumes.log)?;
        let mut process = container.broker()?.stdout(Stdio::piped()).stderr(log).spawn()?;
        let mut lines = BufReader::new(process.stdout.take().context("no output")?).lines();
        let is_ready = |line: std::io::Result<String>| line.is_ok_and(|line| line == "ready");
        ensure!(lines.any(is_ready), "the broker did not start: see {}", volumes.log.display());
        // It never waits for its reader.
        std::thread::spawn(move || lines.for_each(drop));
        let file = volumes.data.join("pid");
        let pid = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let pid = pid.trim().to_owned();
        Ok(Self { process, pid })
    }

    fn check_user(&self) -> Result<()> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        for kind in ["Uid:", "Gid:"] {
            let line =
                status.lines().find_map(|line| line.strip_prefix(kind)).context("no user")?;
            ensure!(line.split_whitespace().all(|id| id == USER), "{kind} {line}, not {USER}");
        }
        Ok(())
    }

    /// SIGTERM, and a clean end.
    fn stop(mut self) -> Result<()> {
        tools::run(Command::new("kill").args(["-TERM", &self.pid]))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait()? {
                ensure!(status.success(), "the broker ended with {status}");
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the broker does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.process.try_wait() {
            // What started it would leave it behind.
            let _ = Command::new("kill").args(["-KILL", &self.pid]).status();
            let _ = self.process.wait();
        }
    }
}
