//! `cargo xtask sbom`: all that is in the binary, as CycloneDX has it.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::tools;

/// Installs cargo-cyclonedx if it is missing, then writes.
pub(crate) fn run() -> Result<()> {
    tools::ensure_cargo_can("cyclonedx")?;
    write().map(drop)
}

/// Writes the list, the same one for the same sources wherever they are, and says where it is.
pub(crate) fn write() -> Result<PathBuf> {
    let mut cyclonedx = tools::cargo();
    cyclonedx.args(["cyclonedx", "--format", "json", "--describe", "binaries", "--quiet"]);
    cyclonedx.args(["--spec-version", "1.5", "--manifest-path", "broker/Cargo.toml"]);
    tools::run(cyclonedx.env("SOURCE_DATE_EPOCH", tools::commit_time()?))?;
    let text = take_files()?.context("cargo-cyclonedx wrote nothing about lepus")?;
    let text = text.replace(&tools::root()?.display().to_string(), "");
    check(&serde_json::from_str(&text)?)?;
    let file = tools::scratch("sbom")?.join("lepus.cdx.json");
    std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    println!("{}", file.display());
    Ok(file)
}

/// It writes beside the manifest of each member, one for each binary: one is wanted, none stays there.
fn take_files() -> Result<Option<String>> {
    let output =
        tools::cargo().args(["metadata", "--no-deps", "--format-version", "1"]).output()?;
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let mut found = None;
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let manifest = package["manifest_path"].as_str().context("a package without a manifest")?;
        for target in package["targets"].as_array().into_iter().flatten() {
            let Some(name) = target["name"].as_str() else { continue };
            let file = PathBuf::from(manifest).with_file_name(format!("{name}_bin.cdx.json"));
            if !file.exists() {
                continue;
            }
            if name == "lepus" {
                found = Some(std::fs::read_to_string(&file)?);
            }
            std::fs::remove_file(&file)?;
        }
    }
    Ok(found)
}

/// Each component has a version and a licence, and what was fetched a checksum.
fn check(list: &Value) -> Result<()> {
    let components = list["components"].as_array().context("no components")?;
    for component in components {
        let name = component["name"].as_str().context("a component without a name")?;
        ensure!(component["version"].is_string(), "{name} has no version");
        ensure!(component["licenses"].is_array(), "{name} has no licence");
        let is_own = name.starts_with("lepus");
        ensure!(is_own || component["hashes"].is_array(), "{name} has no checksum");
    }
    println!("{} components, each with version, licence and checksum", components.len());
    Ok(())
}
