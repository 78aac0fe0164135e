//! Images and containers by buildah: no daemon, no registry, no namespaces of its own but for mounts and names.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::tools;

/// The image's name.
pub(super) const IMAGE: &str = "lepus";

/// What buildah keeps its images and containers in.
pub(super) struct Builder<'a>(&'a Path);

/// A container; dropped, it is removed.
pub(super) struct Container<'a> {
    builder: &'a Builder<'a>,
    id: String,
    /// What `docker run` would be given: name and value.
    environment: Vec<(String, String)>,
    /// Directories here, and where the container has them.
    volumes: Vec<(PathBuf, &'static str)>,
    host_name: String,
}

impl<'a> Builder<'a> {
    pub(super) fn new(directory: &'a Path) -> Self {
        Self(directory)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("buildah");
        command.arg("--root").arg(self.0.join("images"));
        command.arg("--runroot").arg(self.0.join("run")).args(args);
        command.env("STORAGE_DRIVER", "vfs").env("BUILDAH_ISOLATION", "chroot");
        command
    }

    /// What a command prints.
    pub(super) fn ask(&self, args: &[&str]) -> Result<String> {
        let output = self.command(args).stderr(Stdio::piped()).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "buildah {} failed: {said}", args.join(" "));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Octets of the image's files.
    pub(super) fn size(&self) -> Result<u64> {
        let id = self.ask(&["from", IMAGE])?;
        let mounted = self.ask(&["mount", &id])?;
        let size = Command::new("du").args(["--summarize", "--bytes", &mounted]).output()?;
        self.ask(&["rm", &id])?;
        let text = String::from_utf8(size.stdout)?;
        Ok(text.split_whitespace().next().context("du says nothing")?.parse()?)
    }

    /// What the image's configuration says at a place.
    pub(super) fn says(&self, pointer: &str) -> Result<Vec<String>> {
        let text = self.ask(&["inspect", "--type", "image", IMAGE])?;
        let image: Value = serde_json::from_str(&text)?;
        let found = image.pointer(&format!("/Docker/config{pointer}"));
        let found = found.with_context(|| format!("the image says nothing of {pointer}"))?;
        Ok(serde_json::from_value(found.clone())?)
    }

    /// A container with what `docker run` would be given.
    pub(super) fn container(
        &'a self,
        host_name: &str,
        environment: &[(&str, &str)],
        volumes: &[(&Path, &'static str)],
    ) -> Result<Container<'a>> {
        let id = self.ask(&["from", IMAGE])?;
        for (_, there) in volumes {
            // Or else both it and the image's VOLUME are mounted, in any order.
            self.ask(&["config", "--volume", &format!("{there}-"), &id])?;
        }
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Ok(Container {
            builder: self,
            id,
            environment: environment.iter().map(owned).collect(),
            volumes: volumes.iter().map(|(here, there)| ((*here).to_owned(), *there)).collect(),
            host_name: host_name.to_owned(),
        })
    }
}

impl Container<'_> {
    /// A command in it.
    pub(super) fn command(&self, words: &[String]) -> Command {
        let mut command = self.builder.command(&["run", "--hostname", &self.host_name]);
        for (name, value) in &self.environment {
            command.arg("--env").arg(format!("{name}={value}"));
        }
        for (here, there) in &self.volumes {
            command.arg("--volume").arg(format!("{}:{there}", here.display()));
        }
        command.arg(&self.id).arg("--").args(words);
        command
    }

    /// Runs what HEALTHCHECK names.
    pub(super) fn check_health(&self) -> Result<()> {
        let check = self.builder.says("/Healthcheck/Test")?;
        let (kind, words) = check.split_first().context("no health check")?;
        ensure!(kind == "CMD", "a health check by {kind}: there is no shell");
        tools::run(&mut self.command(words))
    }

    /// What ENTRYPOINT names with what ENV says, in the container's root and nothing else.
    pub(super) fn in_its_root(&self, user: &str) -> Result<Command> {
        let mounted = self.builder.ask(&["mount", &self.id])?;
        let mut command = Command::new("chroot");
        command.arg(format!("--userspec={user}:{user}")).arg(mounted);
        command.args(self.builder.says("/Entrypoint")?);
        for variable in self.builder.says("/Env")? {
            let (name, value) = variable.split_once('=').context("a variable without a value")?;
            command.env(name, value);
        }
        Ok(command)
    }

    /// What ENTRYPOINT names.
    pub(super) fn broker(&self) -> Result<Command> {
        Ok(self.command(&self.builder.says("/Entrypoint")?))
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        // What stays behind is in the build's own directory.
        let _ = self.builder.ask(&["rm", &self.id]);
    }
}
