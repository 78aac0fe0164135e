//! The log: where it goes, how it looks, how much of it there is.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use anyhow::{Context, Result};
use file_rotate::compression::Compression;
use file_rotate::suffix::AppendCount;
use file_rotate::{ContentLimit, FileRotate, TimeFrequency};
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt, reload};

mod json;
pub mod live;

use crate::config::logging::{Formatter, Logging, Output, Rotation};
use json::Json;

/// The modules that RabbitMQ's categories are.
const CATEGORIES: &[(&str, &str)] = &[
    ("connection", "lepus::connection"),
    ("channel", "lepus::session"),
    ("queue", "lepus::queue"),
];

/// Octets of a line of the log that are waited for before a file is put aside, when any size will do.
const ANY_SIZE: usize = usize::MAX;

type Filter = reload::Handle<EnvFilter, Registry>;

/// A log that is being written.
pub struct Log {
    console: Option<Filter>,
    file: Option<Filter>,
}

type Boxed = Box<dyn Layer<Registry> + Send + Sync>;

impl Log {
    /// Starts the log of the whole process. What waits to be written is written when the guards go.
    pub fn start(config: &Logging) -> Result<(Self, Vec<WorkerGuard>)> {
        let mut log = Self { console: None, file: None };
        let (mut layers, mut guards) = (Vec::<Boxed>::new(), Vec::new());
        if config.console.enabled {
            let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            let (layer, filter, guard) = layer(io::stderr(), &config.console, config, colour);
            layers.push(layer);
            guards.push(guard);
            log.console = Some(filter);
        }
        if let Some(path) = config.path() {
            let file = open(&path, config)
                .with_context(|| format!("cannot write the log to {}", path.display()))?;
            let (layer, filter, guard) = layer(file, &config.file, config, false);
            layers.push(layer);
            guards.push(guard);
            log.file = Some(filter);
        }
        layers.push(live::Live.with_filter(LevelFilter::INFO).boxed());
        tracing_subscriber::registry().with(layers).init();
        Ok((log, guards))
    }

    /// Changes how much is logged.
    pub fn set_levels(&self, config: &Logging) {
        for (handle, output) in [(&self.console, &config.console), (&self.file, &config.file)] {
            if let Some(handle) = handle {
                // The log lives as long as the handle.
                let _ = handle.reload(filter(config, output));
            }
        }
    }
}

/// A log that nobody reads must not stop the broker: what does not fit is dropped.
fn layer(
    to: impl Write + Send + 'static,
    output: &Output,
    config: &Logging,
    colour: bool,
) -> (Boxed, Filter, WorkerGuard) {
    let (writer, guard) = tracing_appender::non_blocking(to);
    let (filter, handle) = reload::Layer::new(filter(config, output));
    let layer: Boxed = match output.formatter {
        Formatter::Plaintext => {
            fmt::layer().with_ansi(colour).with_writer(writer).with_filter(filter).boxed()
        }
        Formatter::Json => {
            fmt::layer().event_format(Json).with_writer(writer).with_filter(filter).boxed()
        }
    };
    (layer, handle, guard)
}

/// What passes to one of the places that the log goes to.
fn filter(config: &Logging, output: &Output) -> EnvFilter {
    if let Some(filter) = &config.filter {
        return EnvFilter::new(filter);
    }
    let most = output.level.unwrap_or(LevelFilter::TRACE);
    let mut filter = config.level.min(most).to_string();
    for (category, level) in &config.categories {
        let module = CATEGORIES.iter().find(|(name, _)| name == category);
        if let Some((_, module)) = module {
            filter += &format!(",{module}={}", level.min(&most));
        }
    }
    EnvFilter::new(filter)
}

/// Opens the file so that nobody else may read it.
fn open(path: &Path, config: &Logging) -> Result<impl Write + Send + 'static> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    std::fs::create_dir_all(directory.unwrap_or(Path::new(".")))?;
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true).read(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    drop(options.open(path)?);
    let limit = match (config.rotation_date, usize::try_from(config.rotation_size)) {
        (Some(Rotation::Hourly), _) => ContentLimit::Time(TimeFrequency::Hourly),
        (Some(Rotation::Daily), _) => ContentLimit::Time(TimeFrequency::Daily),
        (None, Ok(0) | Err(_)) => ContentLimit::BytesSurpassed(ANY_SIZE),
        (None, Ok(octets)) => ContentLimit::BytesSurpassed(octets),
    };
    let compression =
        if config.rotation_compress { Compression::OnRotate(1) } else { Compression::None };
    let kept = AppendCount::new(config.rotation_count);
    Ok(FileRotate::new(path, kept, limit, compression, Some(options)))
}
