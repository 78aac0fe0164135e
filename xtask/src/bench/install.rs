//! The two brokers' binaries: one built, one installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::tools;

/// Where Debian puts the script that starts the server without changing the user.
pub(super) const RABBITMQ_SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// The same for the script that asks a running server.
pub(super) const RABBITMQ_CTL: &str = "/usr/lib/rabbitmq/bin/rabbitmqctl";

/// Builds the release binary and says where it is.
pub(crate) fn build_lepus() -> Result<PathBuf> {
    tools::build(&["--release", "--package", "lepus", "--bin", "lepus"])
}

/// Whether RabbitMQ is there.
pub(crate) fn has_rabbitmq() -> bool {
    Path::new(RABBITMQ_SERVER).exists()
}

/// Installs RabbitMQ if it is missing, and returns its version.
pub(crate) fn rabbitmq() -> Result<String> {
    if !has_rabbitmq() {
        tools::install(&["rabbitmq-server"])?;
    }
    let query = ["--showformat=${Version}", "--show", "rabbitmq-server"];
    let output =
        Command::new("dpkg-query").args(query).output().context("cannot run dpkg-query")?;
    let version = String::from_utf8_lossy(&output.stdout);
    let version = version.split('-').next().filter(|version| !version.is_empty());
    Ok(version.context("dpkg does not know the version of rabbitmq-server")?.to_owned())
}
