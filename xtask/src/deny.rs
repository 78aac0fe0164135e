//! `cargo xtask deny`: cargo-deny over every dependency of what is built by default.

use anyhow::Result;

use crate::tools;

/// Installs cargo-deny if it is missing, then checks.
pub(crate) fn run() -> Result<()> {
    tools::ensure_cargo_can("deny")?;
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
