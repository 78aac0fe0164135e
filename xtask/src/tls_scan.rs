//! sslyze, which tries whatever is weak in TLS.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::tools;

/// Scans the broker at that `amqps://` address; where sslyze cannot be had, says so.
pub(crate) fn scan(url: &str, certificates: &Path) -> Result<()> {
    println!("--> sslyze");
    let interop = tools::root()?.join("interop-tests");
    let venv = interop.join("tls").join(".venv");
    let requirements = interop.join("tls").join("requirements.txt");
    let python = venv.join("bin").join("python");
    let ready = tools::once(&venv.join("installed.txt"), &requirements, || {
        tools::ensure_program("python3", &["-c", "import venv, ensurepip"], &["python3-venv"])?;
        tools::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        tools::run(Command::new(&python).args(pip).arg("--requirement").arg(&requirements))
    });
    if let Err(error) = ready {
        println!("--> sslyze: skipped, it cannot be installed: {error:#}");
        return Ok(());
    }
    let address = url.rsplit_once('@').map_or(url, |(_, address)| address);
    let mut command = Command::new(python);
    command.arg("scan.py").arg(address).arg(certificates).current_dir(interop.join("tls"));
    tools::run(&mut command).context("what TLS offers")
}
