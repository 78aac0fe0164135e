//! `cargo xtask image`: the last stage of the Dockerfile around a binary that is built here, started and asked.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::tools;

/// Octets of an image that people pull without thinking about it.
const MOST: u64 = 30 << 20;

/// How long the broker may take to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// Options of `cargo xtask image`.
#[derive(Debug, clap::Args)]
pub(crate) struct ImageArgs {
    /// As it is shipped: optimised, which takes longer, and of a bounded size
    #[arg(long)]
    release: bool,
}

/// What buildah keeps its images and containers in.
struct Builder<'a>(&'a Path);

pub(crate) fn run(args: &ImageArgs) -> Result<()> {
    tools::ensure_program("buildah", &["--version"], &["buildah"])?;
    let scratch = tools::scratch("image")?;
    let binary = build(args.release)?;
    let root = tools::root()?;
    let staged = scratch.join("context/image");
    if staged.exists() {
        std::fs::remove_dir_all(&staged)?;
    }
    tools::run(Command::new(root.join("packaging/stage.sh")).arg(&binary).arg(&staged))?;
    let octets = std::fs::metadata(staged.join("system/usr/bin/lepus"))?.len();
    println!("the binary has {:.1} MiB", octets as f64 / f64::from(1 << 20));
    ensure!(!args.release || octets <= MOST, "that is more than an image may have");
    let builder = Builder(&scratch);
    let context = scratch.join("context");
    let named = format!("build={}", context.display());
    let build = ["bud", "--format=docker", "--target=lepus", "--tag=lepus", "--build-context"];
    let file = root.join("Dockerfile");
    tools::run(builder.command(&build).arg(named).arg("--file").arg(file).arg(&context))?;
    let container = builder.ask(&["from", "lepus"])?;
    let tried = try_out(&builder, &container);
    builder.ask(&["rm", &container])?;
    tried
}

/// A static binary.
fn build(release: bool) -> Result<std::path::PathBuf> {
    tools::ensure_program("musl-gcc", &["--version"], &["musl-tools"])?;
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    tools::run(Command::new("rustup").args(["target", "add", &target]))?;
    let profile: &[&str] = if release { &["--release"] } else { &[] };
    let what = ["--package", "lepus", "--bin", "lepus", "--target", &target];
    tools::build(&[profile, &what].concat())
}

/// The broker answers, and ends when it is told to.
fn try_out(builder: &Builder<'_>, container: &str) -> Result<()> {
    let begin = Instant::now();
    let (mut broker, address) = start(builder, container)?;
    println!("ready after {} ms", begin.elapsed().as_millis());
    let ping = ["run", container, "--", "/usr/bin/lepus", "ping", "--address", &address];
    let answered = builder.ask(&ping);
    let mounted = builder.ask(&["mount", container])?;
    let process = std::fs::read_to_string(Path::new(&mounted).join("var/lib/lepus/pid"))?;
    tools::run(Command::new("kill").args(["-TERM", process.trim()]))?;
    let deadline = Instant::now() + PATIENCE;
    while broker.try_wait()?.is_none() {
        ensure!(Instant::now() < deadline, "the broker does not stop");
        std::thread::sleep(Duration::from_millis(20));
    }
    println!("{}", answered?);
    Ok(())
}

/// Starts the container's own command on free ports; where it listens for AMQP.
fn start(builder: &Builder<'_>, container: &str) -> Result<(Child, String)> {
    let ports = ["--amqp-port=0", "--http-port=0", "--metrics-port=0"];
    let command =
        ["run", "--env=RABBITMQ_PID_FILE=/var/lib/lepus/pid", container, "--", "/usr/bin/lepus"];
    let mut broker = builder.command(&[&command[..], &ports].concat());
    let mut broker = broker.stdout(Stdio::piped()).spawn()?;
    let printed = BufReader::new(broker.stdout.take().context("no output")?);
    let mut address = None;
    for line in printed.lines() {
        let line = line?;
        if let Some(amqp) = line.strip_prefix("listening amqp ") {
            address = Some(amqp.replace("0.0.0.0", "127.0.0.1"));
        }
        if line == "ready" {
            break;
        }
    }
    Ok((broker, address.context("the broker did not start")?))
}

impl Builder<'_> {
    /// Without daemon, registry or namespaces.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("buildah");
        command.arg("--root").arg(self.0.join("images"));
        command.arg("--runroot").arg(self.0.join("run")).args(args);
        command.env("STORAGE_DRIVER", "vfs").env("BUILDAH_ISOLATION", "chroot");
        command
    }

    /// What a command prints.
    fn ask(&self, args: &[&str]) -> Result<String> {
        let output = self.command(args).stderr(Stdio::inherit()).output()?;
        ensure!(output.status.success(), "buildah {} failed", args.join(" "));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}
