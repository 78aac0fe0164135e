//! Running commands, and getting the ones that are missing.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// The root of the workspace.
pub(crate) fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask is not in a workspace")
}

/// Where the build puts its files; ours go beside them.
pub(crate) fn scratch(name: &str) -> Result<PathBuf> {
    let target = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root()?.join(dir),
        None => root()?.join("target"),
    };
    let dir = target.join(name);
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir)
}

/// The cargo that runs this, in the root of the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    if let Ok(root) = root() {
        command.current_dir(root);
    }
    command
}

/// A command as a developer would type it.
pub(crate) fn line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Runs a command to its end, showing what it prints.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    println!("$ {}", line(command));
    let status = command.status().with_context(|| format!("cannot run {}", line(command)))?;
    ensure!(status.success(), "`{}` ended with {status}", line(command));
    Ok(())
}

/// Whether a command can be run and succeeds; `cargo-…` programs are asked through cargo.
pub(crate) fn answers(program: &str, args: &[&str]) -> bool {
    let mut command = if program.starts_with("cargo-") { cargo() } else { Command::new(program) };
    let quiet = command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Builds one binary and says where it is.
pub(crate) fn build(what: &[&str]) -> Result<PathBuf> {
    let mut command = cargo();
    command.arg("build").args(what).arg("--message-format=json-render-diagnostics");
    println!("$ {}", line(&command));
    let output = command.stderr(Stdio::inherit()).output().context("cannot run cargo")?;
    ensure!(output.status.success(), "cargo build failed");
    // Cargo says where the binary is: the target directory may be anywhere.
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let executable = messages
        .filter_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
        .next_back();
    executable.context("cargo named no executable")
}

/// Makes sure that a program works, from Debian's packages where that is possible.
pub(crate) fn ensure_program(program: &str, probe: &[&str], packages: &[&str]) -> Result<()> {
    if answers(program, probe) {
        return Ok(());
    }
    install(packages).with_context(|| format!("{program} is missing"))?;
    ensure!(answers(program, probe), "{program} does not work although {packages:?} is installed");
    Ok(())
}

/// Whether Debian packages can be installed: by root, on Debian.
pub(crate) fn can_install() -> bool {
    is_root() && answers("apt-get", &["--version"])
}

/// Whether this is the superuser's.
pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Installs Debian packages, or names the command that does.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let command = format!("apt-get install --yes {}", packages.join(" "));
    if !can_install() {
        bail!("run `sudo {command}`, or get it another way, and try again");
    }
    let apt_get = |args: &[&str]| {
        run(Command::new("apt-get").args(args).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt_get(&["update"])?;
    apt_get(&[&["install", "--yes", "--no-install-recommends"], packages].concat())
}

/// Whether cargo has this verb.
pub(crate) fn cargo_can(verb: &str) -> bool {
    answers(&format!("cargo-{verb}"), &[verb, "--version"])
}

/// Makes sure that cargo has this verb, from the program of that name.
pub(crate) fn ensure_cargo_can(verb: &str) -> Result<()> {
    if cargo_can(verb) {
        return Ok(());
    }
    let program = format!("cargo-{verb}");
    println!("{program} is not installed; building it takes some minutes");
    run(cargo().args(["install", &program, "--locked"]))
        .with_context(|| format!("run `cargo install {program} --locked`, and try again"))
}

/// Runs `work` unless it already ran with this same `input`.
pub(crate) fn once(stamp: &Path, input: &Path, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let wanted =
        std::fs::read(input).with_context(|| format!("cannot read {}", input.display()))?;
    if std::fs::read(stamp).is_ok_and(|done| done == wanted) {
        return Ok(());
    }
    work()?;
    std::fs::write(stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}

/// When the last commit was made, in seconds since 1970: what is built from it says that it is from
/// then.
pub(crate) fn commit_time() -> Result<String> {
    let mut git = Command::new("git");
    git.args(["log", "-1", "--format=%ct"]).current_dir(root()?);
    let output = git.output().context("cannot run git")?;
    ensure!(output.status.success(), "git knows no last commit");
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A seed by the clock, short enough to be typed.
pub(crate) fn seed() -> u64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    since.as_millis() as u64 % 1_000_000_000
}
