//! The log: where it goes, how it looks, how much of it there is.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use file_rotate::compression::Compression;
use file_rotate::suffix::AppendCount;
use file_rotate::{ContentLimit, FileRotate, TimeFrequency};
use parking_lot::Mutex;
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt, reload};

mod exchange;
mod journald;
mod json;
mod lines;
pub mod live;
mod syslog;

use crate::config::logging::{Formatter, Logging, Output, Rotation};
use crate::node::Node;
use json::Json;
use lines::{Bringer, LastLines, Lines, lines};

/// The modules that RabbitMQ's categories are.
const CATEGORIES: &[(&str, &str)] = &[
    ("connection", "lepus::connection"),
    ("channel", "lepus::session"),
    ("queue", "lepus::queue"),
];

/// Octets of a line of the log that are waited for before a file is put aside, when any size will do.
const ANY_SIZE: usize = usize::MAX;

/// One of the places that the log goes to.
type Of = fn(&Logging) -> &Output;

type Filter = reload::Handle<EnvFilter, Registry>;

/// A log that is being written.
#[derive(Default)]
pub struct Log {
    /// What passes to each of the places that it goes to.
    filters: Vec<(Of, Filter)>,
    /// Lines that are to be published.
    unpublished: Mutex<Option<(Bringer, Formatter)>>,
    /// The file is to be put aside before the next line.
    rotate: Arc<AtomicBool>,
}

/// Writes what waits to be written when it goes.
#[derive(Default)]
pub struct Guards {
    written: Vec<WorkerGuard>,
    sent: Vec<LastLines>,
}

type Boxed = Box<dyn Layer<Registry> + Send + Sync>;

impl Log {
    /// Starts the log of the whole process.
    pub fn start(config: &Logging) -> Result<(Self, Guards)> {
        let mut log = Self::default();
        let (mut layers, mut guards) = (Vec::<Boxed>::new(), Guards::default());
        if config.console.enabled {
            let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            let (layer, filter, guard) = layer(io::stderr(), &config.console, config, colour);
            layers.push(layer);
            guards.written.push(guard);
            log.filters.push((|config| &config.console, filter));
        }
        if let Some(path) = config.path() {
            let file = open(&path, config)
                .with_context(|| format!("cannot write the log to {}", path.display()))?;
            let file = Rotated { file, asked: log.rotate.clone() };
            let (layer, filter, guard) = layer(file, &config.file, config, false);
            layers.push(layer);
            guards.written.push(guard);
            log.filters.push((|config| &config.file, filter));
        }
        if config.exchange.enabled {
            let (to, from) = lines();
            let (layer, filter) = lines_layer(to, &config.exchange, config, true);
            layers.push(layer);
            log.filters.push((|config| &config.exchange, filter));
            log.unpublished = Mutex::new(Some((from, config.exchange.formatter)));
        }
        if config.syslog.output.enabled {
            let (to, from) = lines();
            guards.sent.push(to.last());
            // A syslog server knows time and level besides.
            let (layer, filter) = lines_layer(to, &config.syslog.output, config, false);
            layers.push(layer);
            log.filters.push((|config| &config.syslog.output, filter));
            syslog::send(from, &config.syslog)?;
        }
        if config.journald.enabled {
            let (to, from) = lines();
            guards.sent.push(to.last());
            // So does the journal.
            let (layer, filter) = lines_layer(to, &config.journald, config, false);
            layers.push(layer);
            log.filters.push((|config| &config.journald, filter));
            journald::send(from).context("cannot start the thread for log.journald")?;
        }
        layers.push(live::Live.with_filter(LevelFilter::INFO).boxed());
        tracing_subscriber::registry().with(layers).init();
        Ok((log, guards))
    }

    /// What passes to the log now, as a filter.
    pub fn level(&self) -> String {
        let handle = self.filters.first();
        let filter = handle.and_then(|(_, handle)| handle.with_current(ToString::to_string).ok());
        filter.unwrap_or_else(|| "off".to_owned())
    }

    /// Changes how much is logged, until the configuration is read again.
    ///
    /// # Errors
    /// It is neither a level, RabbitMQ's or ours, nor a filter by module.
    pub fn set_level(&self, level: &str) -> Result<(), String> {
        let level = match level {
            "notice" => "info",
            "warning" => "warn",
            "critical" | "alert" | "emergency" => "error",
            "none" => "off",
            // A filter without directives lets errors pass.
            "" => return Err("no level is given".to_owned()),
            level => level,
        };
        for (_, handle) in &self.filters {
            let filter = EnvFilter::try_new(level).map_err(|error| error.to_string())?;
            let _ = handle.reload(filter);
        }
        Ok(())
    }

    /// Puts the file aside and begins another one.
    pub fn rotate(&self) {
        self.rotate.store(true, Ordering::Relaxed);
        tracing::info!("the log begins a new file");
    }

    /// Changes how much is logged.
    pub fn set_levels(&self, config: &Logging) {
        for (output, handle) in &self.filters {
            // The log lives as long as the handle.
            let _ = handle.reload(filter(config, output(config)));
        }
    }

    /// Publishes lines from now on, if that is configured, those that were written before as well.
    ///
    /// # Errors
    /// There can be no more threads.
    pub fn publish(&mut self, node: &Arc<Node>) -> Result<()> {
        if let Some((lines, formatter)) = self.unpublished.get_mut().take() {
            let started = exchange::publish(lines, node, formatter);
            started.context("cannot start the thread for log.exchange")?;
        }
        Ok(())
    }
}

/// The file, which is put aside when somebody asks for it, too.
struct Rotated {
    file: FileRotate<AppendCount>,
    asked: Arc<AtomicBool>,
}

impl Write for Rotated {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.asked.swap(false, Ordering::Relaxed) {
            self.file.rotate()?;
        }
        self.file.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
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

/// Lines with time and level, or without.
fn lines_layer(to: Lines, output: &Output, config: &Logging, whole: bool) -> (Boxed, Filter) {
    let (filter, handle) = reload::Layer::new(filter(config, output));
    let layer = fmt::layer().with_ansi(false).with_writer(to);
    let layer: Boxed = match (output.formatter, whole) {
        (Formatter::Json, _) => layer.event_format(Json).with_filter(filter).boxed(),
        (Formatter::Plaintext, true) => layer.with_filter(filter).boxed(),
        (Formatter::Plaintext, false) => {
            layer.without_time().with_level(false).with_filter(filter).boxed()
        }
    };
    (layer, handle)
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
fn open(path: &Path, config: &Logging) -> Result<FileRotate<AppendCount>> {
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
