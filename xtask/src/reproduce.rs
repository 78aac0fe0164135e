//! `cargo xtask reproduce`: the last commit built twice, in different places: the same binary.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::tools;

/// Options of `cargo xtask reproduce`.
#[derive(Debug, clap::Args)]
pub(crate) struct ReproduceArgs {
    /// `dev` is quicker
    #[arg(long, default_value = "release")]
    profile: String,
    /// For example `x86_64-unknown-linux-musl`, as in the image
    #[arg(long)]
    target: Option<String>,
}

/// Builds, compares, and says what the checksum is.
pub(crate) fn run(args: &ReproduceArgs) -> Result<()> {
    let scratch = tools::scratch("reproduce")?;
    let first = build(&scratch.join("here"), args)?;
    let second = build(&scratch.join("somewhere/else"), args)?;
    tools::run(Command::new("sha256sum").args([&first, &second]))?;
    let same = std::fs::read(&first)? == std::fs::read(&second)?;
    ensure!(same, "{} and {} differ", first.display(), second.display());
    println!("both are the same");
    std::fs::remove_dir_all(&scratch).context("cannot remove the builds")
}

/// A build that knows nothing of where and when it is made.
fn build(folder: &Path, args: &ReproduceArgs) -> Result<PathBuf> {
    let (source, target) = (folder.join("source"), folder.join("target"));
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(&source)?;
    unpack(&source)?;
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo"))).context("no home")?;
    let places = [(&source, "lepus"), (&target, "target"), (&home, "cargo")];
    let flags = |option: &str| {
        let flag = |(from, to): &(&PathBuf, &str)| format!("{option}={}={to}", from.display());
        places.iter().map(flag).collect::<Vec<_>>().join(" ")
    };
    let mut cargo = tools::cargo();
    cargo.current_dir(&source).args(["build", "--locked", "--package", "lepus", "--bin", "lepus"]);
    cargo.args(["--profile", &args.profile]);
    if let Some(target) = &args.target {
        cargo.args(["--target", target]);
    }
    cargo.env("CARGO_TARGET_DIR", &target).env("CARGO_INCREMENTAL", "0");
    cargo.env("RUSTFLAGS", flags("--remap-path-prefix"));
    cargo.env("CFLAGS", flags("-ffile-prefix-map")).env("SOURCE_DATE_EPOCH", tools::commit_time()?);
    tools::run(&mut cargo)?;
    let profile = if args.profile == "dev" { "debug" } else { &args.profile };
    let target = args.target.as_ref().map_or(target.clone(), |triple| target.join(triple));
    Ok(target.join(profile).join("lepus"))
}

/// The last commit: what is not in it is not built.
fn unpack(folder: &Path) -> Result<()> {
    let mut archive = Command::new("git");
    archive.args(["archive", "HEAD"]).current_dir(tools::root()?).stdout(Stdio::piped());
    let mut archive = archive.spawn().context("cannot run git")?;
    let tar = archive.stdout.take().context("git has no output")?;
    tools::run(Command::new("tar").args(["-x", "-C"]).arg(folder).stdin(tar))?;
    ensure!(archive.wait()?.success(), "git archive failed");
    Ok(())
}
