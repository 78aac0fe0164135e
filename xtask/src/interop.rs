//! The real clients, each with its own suite in `interop-tests/`, against one broker.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::broker::Broker;
use crate::{tls_scan, tools};

/// A client's folder, and how its suite is run.
struct Client {
    name: &'static str,
    run: fn(&Client, at: &Target) -> Result<()>,
    /// It is told how to speak TLS as well.
    tls: bool,
}

/// The broker that the suites go to.
struct Target {
    url: String,
    /// For `amqps://`: where `ca.pem`, and `client.pem` with `client.key`, are.
    certificates: Option<PathBuf>,
    /// Its HTTP API, and its metrics.
    services: Option<[String; 2]>,
}

impl Target {
    fn tell(&self, command: &mut Command) {
        command.env("LEPUS_URL", &self.url);
        if let Some(folder) = &self.certificates {
            command.env("LEPUS_CERTIFICATES", folder);
        }
        if let Some([http, metrics]) = &self.services {
            command.env("LEPUS_HTTP_URL", http).env("LEPUS_METRICS_URL", metrics);
        }
    }
}

const CLIENTS: &[Client] = &[
    Client { name: "pika", run: pytest, tls: true },
    Client { name: "kombu", run: pytest, tls: false },
    Client { name: "celery", run: pytest, tls: false },
    Client { name: "dramatiq", run: pytest, tls: false },
    Client { name: "amqplib", run: node, tls: false },
    Client { name: "amqp091-go", run: go, tls: false },
    Client { name: "lapin", run: rust, tls: true },
    Client { name: "monitoring", run: tools_from_outside, tls: false },
    // What it leaves behind is in the way of others.
    Client { name: "openapi", run: pytest, tls: false },
];

/// Refuses names that are no client.
pub(crate) fn check_names(names: &[String]) -> Result<()> {
    let known: Vec<&str> = CLIENTS.iter().map(|client| client.name).collect();
    for name in names {
        let is_known = known.contains(&name.as_str());
        ensure!(is_known, "no client {name}; the clients are {}", known.join(", "));
    }
    Ok(())
}

/// Starts the binary, runs the suites, stops it.
pub(crate) fn run_against(binary: &Path, only: &[String]) -> Result<()> {
    let mut broker = Broker::start(binary)?;
    println!("lepus serves at {}", broker.url());
    let services = Some([broker.http().to_owned(), broker.metrics().to_owned()]);
    let suites =
        run_suites(&Target { url: broker.url().to_owned(), certificates: None, services }, only);
    broker.check_alive()?;
    suites?;
    broker.stop()
}

/// The same over TLS, with certificates on both sides, and a scan for what is weak.
pub(crate) fn run_with_tls(binary: &Path, only: &[String]) -> Result<()> {
    let (mut broker, folder) = Broker::start_with_tls(binary)?;
    println!("lepus serves at {}", broker.url());
    let (url, certificates) = (broker.url().to_owned(), Some(folder.clone()));
    let suites = run_suites(&Target { url, certificates, services: None }, only);
    let scanned = if only.is_empty() { tls_scan::scan(broker.url(), &folder) } else { Ok(()) };
    broker.check_alive()?;
    suites.and(scanned)?;
    broker.stop()
}

/// Runs the suites against the broker at `url`.
pub(crate) fn run(url: &str, only: &[String]) -> Result<()> {
    run_suites(&Target { url: url.to_owned(), certificates: None, services: None }, only)
}

/// All of them, whatever fails.
fn run_suites(at: &Target, only: &[String]) -> Result<()> {
    let wanted = |client: &&Client| {
        (only.is_empty() || only.iter().any(|name| name == client.name))
            && (client.tls || at.certificates.is_none())
    };
    let mut failed = Vec::new();
    for client in CLIENTS.iter().filter(wanted) {
        println!("--> {}", client.name);
        if let Err(error) = (client.run)(client, at) {
            println!("--> {}: FAILED: {error:#}", client.name);
            failed.push(client.name);
        }
    }
    if !failed.is_empty() {
        bail!("the suites of {} failed", failed.join(", "));
    }
    Ok(())
}

fn folder(name: &str) -> Result<PathBuf> {
    Ok(tools::root()?.join("interop-tests").join(name))
}

/// Tests of one folder against the broker at `url`.
pub(crate) fn suite(name: &str, url: &str, options: &[&str]) -> Result<()> {
    let at = Target { url: url.to_owned(), certificates: None, services: None };
    tests_of(name, &at, options)
}

fn pytest(client: &Client, at: &Target) -> Result<()> {
    tests_of(client.name, at, &[])
}

/// What asks the HTTP API and the metrics. Tests of a tool that is missing say so, and are skipped.
fn tools_from_outside(client: &Client, at: &Target) -> Result<()> {
    if tools::can_install() {
        let plugin = ["-c", "command -v check_rabbitmq_overview"];
        let installed = [
            tools::ensure_program("prometheus", &["--version"], &["prometheus"]),
            tools::ensure_program("sh", &plugin, &["nagios-plugins-rabbitmq"]),
        ];
        for error in installed.into_iter().filter_map(Result::err) {
            println!("left out: {error:#}");
        }
    }
    pytest(client, at)
}

/// The Python clients share one virtual environment.
fn tests_of(name: &str, at: &Target, options: &[&str]) -> Result<()> {
    let mut command = Command::new(python()?);
    command.args(["-m", "pytest", name]).args(options).current_dir(folder("")?);
    at.tell(&mut command);
    tools::run(&mut command)
}

/// The Python that has the clients.
pub(crate) fn python() -> Result<PathBuf> {
    let venv = folder(".venv")?;
    let requirements = folder("requirements.txt")?;
    let python = venv.join("bin").join("python");
    tools::once(&venv.join("installed.txt"), &requirements, || {
        tools::ensure_program("python3", &["-c", "import venv, ensurepip"], &["python3-venv"])?;
        tools::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        tools::run(Command::new(&python).args(pip).arg("--requirement").arg(&requirements))
    })
    .context("setting up the Python clients")?;
    Ok(python)
}

/// Gets what a folder's client needs of Node. Returns the folder.
pub(crate) fn node_modules(name: &str) -> Result<PathBuf> {
    let folder = folder(name)?;
    tools::ensure_program("npm", &["--version"], &["nodejs", "npm"])?;
    let lock = folder.join("package-lock.json");
    tools::once(&folder.join("node_modules").join("installed.json"), &lock, || {
        let npm = ["ci", "--no-audit", "--no-fund"];
        tools::run(Command::new("npm").args(npm).current_dir(&folder))
    })
    .context("setting up the Node clients")?;
    Ok(folder)
}

fn node(client: &Client, at: &Target) -> Result<()> {
    let folder = node_modules(client.name)?;
    let npm = ["test", "--silent"];
    let mut command = Command::new("npm");
    at.tell(command.args(npm).current_dir(&folder));
    tools::run(&mut command)
}

/// Where Debian has Go's libraries.
const GO_LIBRARIES: &str = "/usr/share/gocode";

/// The client is Debian's, and so is Go; where these cannot be had a line says so.
fn go(client: &Client, at: &Target) -> Result<()> {
    let library = format!("{GO_LIBRARIES}/src/github.com/rabbitmq/amqp091-go");
    let probe = ["-c", &format!("command -v go && test -d {library}")];
    let packages = ["golang-go", "golang-github-rabbitmq-amqp091-go-dev"];
    if let Err(error) = tools::ensure_program("sh", &probe, &packages) {
        println!("left out: {error:#}");
        return Ok(());
    }
    let mut command = Command::new("go");
    command.args(["test", "-count=1", "."]).current_dir(folder(client.name)?);
    command.env("GO111MODULE", "off").env("GOPATH", GO_LIBRARIES);
    command.env("GOFLAGS", "").env("GOCACHE", tools::scratch("go")?);
    at.tell(&mut command);
    tools::run(&mut command)
}

fn rust(_: &Client, at: &Target) -> Result<()> {
    let binary = tools::build(&["--package", "lepus-interop-lapin"])?;
    let mut command = Command::new(binary);
    at.tell(&mut command);
    tools::run(&mut command)
}
