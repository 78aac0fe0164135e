//! Where settings come from: files, the environment, the command line.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::keys;
use super::syntax::{self, Line};

mod environment;

/// Files include others no deeper.
const DEPTH: usize = 8;

/// The largest file that is read, octets.
const FILE_MAX: u64 = 16 * 1024 * 1024;

/// Where a setting was found. A later kind goes before those above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of a file.
    File(Arc<Path>, usize),
    /// A variable of the environment.
    Env(String),
    /// A flag of the command line.
    Flag(&'static str),
}

impl Origin {
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::File(..) => 0,
            Self::Env(_) => 1,
            Self::Flag(_) => 2,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Env(name) => write!(f, "environment {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// One setting as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The words of its key.
    pub key: Vec<String>,
    /// Its value, as it is written.
    pub value: String,
    /// Where it was found.
    pub origin: Origin,
}

/// What the process was given when it started.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// Other flags, the key that each sets, and its value.
    pub flags: Vec<(&'static str, &'static str, String)>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
}

/// All that was found, in the order in which a later one goes before an earlier one.
#[derive(Debug, Default)]
pub struct Found {
    /// Settings.
    pub given: Vec<Given>,
    /// What could not be read.
    pub faults: Vec<String>,
    /// What was passed over.
    pub notes: Vec<String>,
    /// The files that are being read, each included by the one before.
    open: Vec<PathBuf>,
}

impl Sources {
    /// The environment of this process, and nothing else.
    pub fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let environment = std::env::vars_os().filter_map(text).collect();
        Self { environment, ..Self::default() }
    }

    /// Reads everything. What cannot be read is among the faults.
    pub fn read(&self) -> Found {
        let mut found = Found::default();
        let (file, more) = self.files();
        if let Some(file) = &file {
            found.file(file);
        }
        match (more, file) {
            (Some(more), _) => found.directory_or_pattern(&more),
            (None, Some(file)) => found.beside(&file),
            (None, None) => {}
        }
        environment::read(&self.environment, &mut found);
        for (flag, key, value) in &self.flags {
            found.push(key, value.clone(), Origin::Flag(flag));
        }
        found
    }

    /// The file, and RABBITMQ_CONFIG_FILES.
    fn files(&self) -> (Option<PathBuf>, Option<PathBuf>) {
        let variable = |name: &str| {
            self.environment.get(name).filter(|value| !value.is_empty()).map(PathBuf::from)
        };
        let rabbitmqs = || variable("RABBITMQ_CONFIG_FILE").map(with_extension);
        let file = self.config.clone().or_else(|| variable("LEPUS_CONFIG")).or_else(rabbitmqs);
        (file, variable("RABBITMQ_CONFIG_FILES"))
    }
}

/// RabbitMQ adds `.conf` to the name of its file if it is not there.
fn with_extension(path: PathBuf) -> PathBuf {
    if path.extension().is_some() || path.is_file() { path } else { path.with_extension("conf") }
}

impl Found {
    fn push(&mut self, key: &str, value: String, origin: Origin) {
        let key = key.split('.').map(str::to_owned).collect();
        self.given.push(Given { key, value, origin });
    }

    /// Reads a file, and those that it includes where it does.
    pub(super) fn file(&mut self, path: &Path) {
        let text = match read(path) {
            Ok(text) => text,
            Err(why) => {
                self.faults.push(format!("{}: {why}", path.display()));
                return;
            }
        };
        let (lines, wrong) = syntax::parse(&text);
        self.faults.extend(wrong.iter().map(|wrong| format!("{}:{wrong}", path.display())));
        // The same file may have several names.
        self.open.push(path.canonicalize().unwrap_or_else(|_| path.to_owned()));
        let path: Arc<Path> = path.into();
        for line in lines {
            match line {
                Line::Setting { line, key, value } => {
                    let origin = Origin::File(path.clone(), line);
                    self.given.push(Given { key, value, origin });
                }
                Line::Include { line, file } => {
                    self.include(&file, &Origin::File(path.clone(), line));
                }
            }
        }
        self.open.pop();
    }

    fn include(&mut self, name: &str, place: &Origin) {
        let beside = self.open.last().and_then(|file| file.parent()).unwrap_or(Path::new(""));
        let files = matching(&beside.join(name));
        if files.is_empty() && !name.contains('*') {
            self.faults.push(format!("{place}: {name} is not there"));
        }
        for file in files {
            if self.open.contains(&file.canonicalize().unwrap_or_else(|_| file.clone())) {
                self.faults.push(format!("{place}: {name} includes itself"));
            } else if self.open.len() > DEPTH {
                self.faults.push(format!("{place}: files include others {DEPTH} deep"));
            } else {
                self.file(&file);
            }
        }
    }

    /// `conf.d` beside a file.
    fn beside(&mut self, file: &Path) {
        let directory = file.parent().unwrap_or(Path::new("")).join("conf.d");
        matching(&directory.join("*.conf")).iter().for_each(|file| self.file(file));
    }

    /// What RABBITMQ_CONFIG_FILES names.
    fn directory_or_pattern(&mut self, path: &Path) {
        let pattern = if path.is_dir() { path.join("*.conf") } else { path.to_owned() };
        matching(&pattern).iter().for_each(|file| self.file(file));
    }
}

fn read(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?.len();
    if size > FILE_MAX {
        return Err(format!("is larger than {FILE_MAX} octets"));
    }
    let octets = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    String::from_utf8(octets).map_err(|error| {
        let before = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = 1 + before.iter().filter(|octet| **octet == b'\n').count();
        format!("line {line} is not UTF-8")
    })
}

/// The files that a name stands for, in alphabetical order; its last part may have one `*`.
fn matching(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some((before, after)) = name.split_once('*') else {
        return if path.is_file() { vec![path.to_owned()] } else { Vec::new() };
    };
    let fits = |name: &str| {
        let length = before.len() + after.len();
        name.len() >= length && name.starts_with(before) && name.ends_with(after)
    };
    let entries = std::fs::read_dir(path.parent().unwrap_or(Path::new("."))).into_iter().flatten();
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(fits))
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
}

/// The variable that sets a key of our own; RabbitMQ's keys have those that RabbitMQ has.
pub fn variable(key: &keys::Key) -> Option<String> {
    let ours = key.outside || key.pattern.starts_with("storage.");
    ours.then(|| format!("LEPUS_{}", key.pattern.replace('.', "_").to_ascii_uppercase()))
}
