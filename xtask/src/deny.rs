//! `cargo xtask deny`: cargo-deny over every dependency.

use anyhow::{Context, Result};

use crate::tools;

/// Whether cargo-deny is there.
pub(crate) fn installed() -> bool {
    tools::answers("cargo-deny", &["deny", "--version"])
}

/// Installs cargo-deny if it is missing, then checks.
pub(crate) fn run() -> Result<()> {
    if !installed() {
        println!("cargo-deny is not installed; building it takes some minutes");
        tools::run(tools::cargo().args(["install", "cargo-deny", "--locked"]))
            .context("run `cargo install cargo-deny --locked`, and try again")?;
    }
    check()
}

/// Licences, bans and sources; advisories too where their database can be reached.
pub(crate) fn check() -> Result<()> {
    let reachable = tools::answers("cargo-deny", &["deny", "fetch", "db"]);
    let mut checks = vec!["deny", "check", "--hide-inclusion-graph", "licenses", "bans", "sources"];
    if reachable {
        checks.push("advisories");
    }
    tools::run(tools::cargo().args(&checks))?;
    if !reachable {
        println!("advisories were NOT checked: their database cannot be reached from here");
    }
    Ok(())
}
