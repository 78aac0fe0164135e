//! The two brokers' binaries: one built, one installed.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Where Debian puts the script that starts the server without changing the user.
pub(super) const RABBITMQ_SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// The root of this workspace.
pub(super) fn workspace_root() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    Ok(root.context("xtask is not in a workspace")?.to_owned())
}

/// Builds the release binary and says where it is.
pub(super) fn build_lepus() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "--package", "lepus", "--bin", "lepus"])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(workspace_root()?)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    ensure!(output.status.success(), "cargo build failed");
    // Cargo says where the binary is: the target directory may be anywhere.
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let executable = messages
        .filter_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
        .next_back();
    executable.context("cargo named no executable")
}

/// Installs RabbitMQ if it is missing, and returns its version.
pub(super) fn rabbitmq() -> Result<String> {
    if !Path::new(RABBITMQ_SERVER).exists() {
        ensure!(
            is_root()?,
            "rabbitmq-server is not installed; run `apt-get install rabbitmq-server` or this as root"
        );
        apt_get(&["update"])?;
        apt_get(&["install", "--yes", "--no-install-recommends", "rabbitmq-server"])?;
    }
    let query = ["--showformat=${Version}", "--show", "rabbitmq-server"];
    let output =
        Command::new("dpkg-query").args(query).output().context("cannot run dpkg-query")?;
    let version = String::from_utf8_lossy(&output.stdout);
    let version = version.split('-').next().filter(|version| !version.is_empty());
    Ok(version.context("dpkg does not know the version of rabbitmq-server")?.to_owned())
}

fn apt_get(args: &[&str]) -> Result<()> {
    let status = Command::new("apt-get")
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status()
        .context("cannot run apt-get")?;
    ensure!(status.success(), "apt-get {} failed", args.join(" "));
    Ok(())
}

fn is_root() -> Result<bool> {
    Ok(std::fs::metadata("/proc/self")?.uid() == 0)
}
