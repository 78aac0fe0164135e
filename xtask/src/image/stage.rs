//! What is in the image, and the image of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::container::{Builder, IMAGE};
use crate::tools;

/// Where the Dockerfile's last stage begins.
const LAST_STAGE: &str = "FROM scratch AS lepus";

/// A static binary, optimised.
pub(super) fn build_static() -> Result<PathBuf> {
    tools::ensure_program("musl-gcc", &["--version"], &["musl-tools"])?;
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    tools::run(Command::new("rustup").args(["target", "add", &target]))?;
    tools::build(&["--release", "--package", "lepus", "--bin", "lepus", "--target", &target])
}

/// Lays out what the first stage of the Dockerfile hands to the last; where that is.
pub(super) fn stage(binary: &Path, scratch: &Path) -> Result<PathBuf> {
    let context = scratch.join("context");
    if context.exists() {
        std::fs::remove_dir_all(&context)?;
    }
    let image = context.join("image");
    std::fs::create_dir_all(&image)?;
    let script = tools::root()?.join("packaging/stage.sh");
    tools::run(Command::new(script).arg(binary).arg(&image))?;
    for library in libraries(binary)? {
        let at = image.join("system").join(library.strip_prefix("/")?);
        std::fs::create_dir_all(at.parent().context("a library at the root")?)?;
        std::fs::copy(&library, at).with_context(|| library.display().to_string())?;
    }
    Ok(context)
}

/// What a binary that is not static needs beside it.
fn libraries(binary: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(binary).output().context("cannot run ldd")?;
    let text = String::from_utf8(output.stdout)?;
    let words = text.lines().filter_map(|line| {
        let (_, found) = line.split_once("=>").unwrap_or(("", line));
        found.split_whitespace().next()
    });
    Ok(words.filter(|word| word.starts_with('/')).map(PathBuf::from).collect())
}

/// The Dockerfile's last stage: no other image is there to build from.
pub(super) fn build(builder: &Builder<'_>, context: &Path) -> Result<()> {
    let dockerfile = std::fs::read_to_string(tools::root()?.join("Dockerfile"))?;
    let at = dockerfile.find(LAST_STAGE);
    let last =
        at.and_then(|at| dockerfile.get(at..)).context("the Dockerfile has no last stage")?;
    let file = context.join("Dockerfile");
    let local = last.replace("--from=build ", "");
    ensure!(!local.contains("--from="), "the last stage takes from others than the first");
    std::fs::write(&file, local)?;
    let build = ["bud", "--format=docker", "--quiet", "--tag", IMAGE, "--file"];
    builder.ask(
        &[&build[..], &[&file.display().to_string(), &context.display().to_string()]].concat(),
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// There may be nothing here to run it with: its base image comes from elsewhere.
    #[test]
    fn the_first_stage_of_the_dockerfile_does_the_same_as_this() {
        let read = |name: &str| std::fs::read_to_string(tools::root().unwrap().join(name)).unwrap();
        let (dockerfile, manifest) = (read("Dockerfile"), read("Cargo.toml"));
        let (first, last) = dockerfile.split_once(LAST_STAGE).unwrap();
        let version = manifest.lines().find_map(|line| line.strip_prefix("rust-version = "));
        let image = format!("/rust:{}-slim-", version.unwrap().trim_matches('"'));
        for part in [
            image.as_str(),
            "musl-tools",
            "rustup target add \"$(uname -m)-unknown-linux-musl\"",
            "--release",
            "--package lepus --bin lepus --target \"$(uname -m)-unknown-linux-musl\"",
            "packaging/stage.sh \"target/$(uname -m)-unknown-linux-musl/release/lepus\" /image\n",
        ] {
            assert!(first.contains(part), "no {part:?} in {first}");
        }
        for made in ["--from=build /image/system /", "--from=build --chown=999:999 /image/data "] {
            assert!(last.contains(made), "no {made:?} in {last}");
        }
    }
}
