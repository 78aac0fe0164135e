//! `cargo xtask image`: the last stage of the Dockerfile around a binary that is built here, started and used.

mod container;
mod stage;
mod trial;

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::tools;
use container::Builder;

/// Octets of an image that people pull without thinking about it.
const MOST: u64 = 30_000_000;

/// Options of `cargo xtask image`.
#[derive(Debug, clap::Args)]
pub(crate) struct ImageArgs {
    /// As it is shipped: optimised and static, which takes longer to build; size and start must be in bounds
    #[arg(long)]
    release: bool,
    /// Use this static binary instead of building one
    #[arg(long, value_name = "PATH", requires = "release")]
    binary: Option<std::path::PathBuf>,
}

/// Why there can be no image here, if so.
pub(crate) fn obstacle() -> Option<&'static str> {
    if !tools::answers("buildah", &["--version"]) && !tools::can_install() {
        return Some("buildah is missing, and only root can: `sudo apt-get install buildah`");
    }
    (!tools::is_root()).then_some("containers without a daemon need root here")
}

pub(crate) fn run(args: &ImageArgs) -> Result<()> {
    if !args.release {
        return try_out(&crate::steps::build_lepus()?, false);
    }
    let binary = match &args.binary {
        Some(path) => path.canonicalize().with_context(|| path.display().to_string())?,
        None => stage::build_static()?,
    };
    try_out(&binary, true)
}

/// The image with this binary, and with the libraries it needs if it is not static.
pub(crate) fn try_out(binary: &Path, is_release: bool) -> Result<()> {
    tools::ensure_program("buildah", &["--version"], &["buildah"])?;
    let scratch = tools::scratch("image")?;
    let context = stage::stage(binary, &scratch)?;
    let builder = Builder::new(&scratch);
    stage::build(&builder, &context)?;
    let size = builder.size()?;
    println!("the image has {:.1} MB", size as f64 / 1e6);
    ensure!(!is_release || size <= MOST, "more than {} MB", MOST / 1_000_000);
    trial::run(&builder, &scratch, is_release)
}
