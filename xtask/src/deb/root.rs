//! A Debian of its own in a directory.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::bench::scratch::free_port;
use crate::tools;

/// Debian's release.
const RELEASE: &str = "bookworm";

/// Where it is.
pub(super) struct Root(PathBuf);

impl Root {
    /// A new one, copied from one that was made once.
    pub(super) fn new(scratch: &Path) -> Result<Self> {
        tools::ensure_program("debootstrap", &["--version"], &["debootstrap"])?;
        let (made, done) = (scratch.join("debian"), scratch.join("debian.made"));
        if !done.exists() {
            let _ = std::fs::remove_dir_all(&made);
            let small = ["--variant=minbase", "--include=adduser,procps", RELEASE];
            tools::run(Command::new("debootstrap").args(small).arg(&made))?;
            std::fs::write(&done, RELEASE)?;
        }
        let root = scratch.join("root");
        if root.exists() {
            std::fs::remove_dir_all(&root)?;
        }
        tools::run(Command::new("cp").args(["--archive", "--reflink=auto"]).arg(&made).arg(&root))?;
        Ok(Self(root))
    }

    pub(super) fn install(&self, package: &Path) -> Result<()> {
        let inside = "lepus.deb";
        std::fs::copy(package, self.0.join(inside))?;
        self.run(&["dpkg", "--install", "/lepus.deb"]).map(drop)
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.0.join(path.trim_start_matches('/')).symlink_metadata().is_ok()
    }

    /// What a command in it prints.
    pub(super) fn run(&self, words: &[&str]) -> Result<String> {
        let mut command = self.command("root", words);
        println!("$ {}", tools::line(&command));
        let output = command.stderr(Stdio::piped()).output()?;
        let (said, wrong) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "{} failed: {said}{wrong}", words.join(" "));
        Ok(said.trim().to_owned())
    }

    fn command(&self, user: &str, words: &[&str]) -> Command {
        let mut command = Command::new("chroot");
        command.arg(format!("--userspec={user}:{user}")).arg(&self.0).args(words);
        command
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    /// Whether systemd has something to say against the unit.
    pub(super) fn verify_unit(&self, unit: &str) -> Result<()> {
        let installed =
            ["lib/systemd/system", "usr/lib/systemd/system"].map(|at| self.0.join(at).join(unit));
        let unit = installed.iter().find(|unit| unit.exists()).context("no unit is installed")?;
        let text = std::fs::read_to_string(unit)?;
        let binary = text.lines().find_map(|line| line.strip_prefix("ExecStart="));
        let binary =
            binary.and_then(|line| line.split_whitespace().next()).context("no ExecStart")?;
        ensure!(self.has(binary), "the unit starts {binary}, which is not there");
        let mut verify = Command::new("systemd-analyze");
        verify
            .arg("verify")
            .arg("--man=no")
            .arg(format!("--root={}", self.0.display()))
            .arg(unit.file_name().unwrap_or_default());
        let output = verify.output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        // systemd itself, and so its targets, are not in there.
        let is_ours = |line: &&str| line.contains("lepus") && !line.contains("sysinit.target");
        let about_us: Vec<&str> = said.lines().filter(is_ours).collect();
        ensure!(about_us.is_empty(), "systemd-analyze says: {}", about_us.join("; "));
        Ok(())
    }

    /// As its user, with what the unit sets: it comes up, answers, and ends.
    pub(super) fn serve(&self) -> Result<()> {
        let port = free_port()?.to_string();
        let ports = ["--amqp-port", &port, "--http-port", "0", "--metrics-port", "0"];
        let settings =
            "RABBITMQ_MNESIA_DIR=/var/lib/lepus RABBITMQ_CONFIG_FILE=/etc/lepus/lepus.conf";
        let start: Vec<&str> = ["env"]
            .into_iter()
            .chain(settings.split(' '))
            .chain(["/usr/bin/lepus"])
            .chain(ports)
            .collect();
        let mut broker = self.command("lepus", &start).stdout(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(broker.stdout.take().context("no output")?).lines();
        let is_ready = lines.any(|line| line.is_ok_and(|line| line == "ready"));
        let answered = self.run(&["/usr/bin/lepus", "ping", "--amqp-port", &port]);
        tools::run(Command::new("kill").args(["-TERM", &broker.id().to_string()]))?;
        let ended = broker.wait()?;
        ensure!(is_ready && ended.success(), "the broker did not start, or ended with {ended}");
        println!("{}", answered?);
        Ok(())
    }
}
