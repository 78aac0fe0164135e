//! `cargo xtask deb`: the Debian package, installed in a root of its own, used, and purged.

mod root;

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::tools;
use root::Root;

/// Options of `cargo xtask deb`.
#[derive(Debug, clap::Args)]
pub(crate) struct DebArgs {
    /// Of a development build, which is quick
    #[arg(long)]
    debug: bool,
    /// Do not install it anywhere
    #[arg(long)]
    no_trial: bool,
}

/// Why no package can be tried here, if so.
pub(crate) fn obstacle() -> Option<&'static str> {
    if !tools::cargo_can("deb") {
        return Some(
            "cargo-deb is not installed; `cargo xtask deb` installs it (some minutes) and runs it",
        );
    }
    let debootstrap = tools::answers("debootstrap", &["--version"]) || tools::can_install();
    if !tools::is_root() || !debootstrap {
        return Some("only root can make a Debian root, and debootstrap is needed for it");
    }
    None
}

pub(crate) fn run(args: &DebArgs) -> Result<()> {
    tools::ensure_cargo_can("deb")?;
    let package = build(args.debug)?;
    if args.no_trial { Ok(()) } else { try_out(&package) }
}

/// The package, around a binary that is built here.
pub(crate) fn build(is_debug: bool) -> Result<PathBuf> {
    let directory = tools::scratch("deb")?;
    let package = directory.join("lepus.deb");
    let lepus = ["--package", "lepus", "--bin", "lepus"];
    let profile = if is_debug { "dev" } else { "release" };
    tools::build(&[&["--profile", profile], &lepus[..]].concat())?;
    let deb = ["deb", "--package", "lepus", "--no-build", "--profile", profile, "--output"];
    tools::run(tools::cargo().args(deb).arg(&package))?;
    Ok(package)
}

/// Installs the package in a clean root, and looks at what is there before and after its purge.
pub(crate) fn try_out(package: &Path) -> Result<()> {
    let root = Root::new(&tools::scratch("deb")?)?;
    root.install(package)?;
    root.run(&["dpkg", "--verify", "lepus"])?;
    let owner = root.run(&["stat", "-c", "%U:%G %a", "/var/lib/lepus"])?;
    ensure!(owner == "lepus:lepus 700", "/var/lib/lepus belongs to {owner}");
    let shipped = root.run(&["dpkg-query", "--showformat", "${Conffiles}", "--show", "lepus"])?;
    ensure!(shipped.contains("/etc/lepus/lepus.conf"), "what is configured is lost on upgrades");
    root.run(&["test", "-x", "/usr/lib/lepus/bin/rabbitmqctl"])?;
    if tools::answers("systemd-analyze", &["--version"]) {
        root.verify_unit("lepus.service")?;
    }
    root.serve()?;
    // Again over itself, as an upgrade does.
    root.install(package)?;
    root.run(&["dpkg", "--purge", "lepus"])?;
    for gone in ["/var/lib/lepus", "/etc/lepus", "/usr/lib/lepus", "/usr/bin/lepus"] {
        ensure!(!root.has(gone), "{gone} is left after the purge");
    }
    println!("installed, used and purged in a clean root");
    Ok(())
}
