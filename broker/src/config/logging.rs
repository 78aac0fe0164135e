//! What can be set about the log.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tracing::level_filters::LevelFilter;

use super::tls::TlsOptions;

/// `log.*`.
#[derive(Clone, Debug, PartialEq)]
pub struct Logging {
    /// `--log-level`: a level or a filter by module, instead of all other levels.
    pub filter: Option<String>,
    /// `log.default.level`.
    pub level: LevelFilter,
    /// `log.connection.level` and its like: of a part of the broker, by RabbitMQ's name for it.
    pub categories: BTreeMap<String, LevelFilter>,
    /// `log.console`: to standard error.
    pub console: Output,
    /// `log.file.*`.
    pub file: Output,
    /// `log.exchange`: to `amq.rabbitmq.log`.
    pub exchange: Output,
    /// `log.syslog.*`.
    pub syslog: Syslog,
    /// `log.journald`: to systemd's journal.
    pub journald: Output,
    /// `log.dir`: where the file is, if its name says nothing of that.
    pub dir: Option<PathBuf>,
    /// `log.file`: its name. `None`: there is one only if [`Self::dir`] is set.
    pub file_name: Option<PathBuf>,
    /// `log.file.rotation.size`: octets from which on it is put aside; 0 for any size.
    pub rotation_size: u64,
    /// `log.file.rotation.date`: when it is put aside.
    pub rotation_date: Option<Rotation>,
    /// `log.file.rotation.count`: files that are kept besides it.
    pub rotation_count: usize,
    /// `log.file.rotation.compress`.
    pub rotation_compress: bool,
}

/// One of the places that the log goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Whether it goes there.
    pub enabled: bool,
    /// `level`: what is less than that does not.
    pub level: Option<LevelFilter>,
    /// `formatter`.
    pub formatter: Formatter,
}

/// A syslog server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Syslog {
    /// `log.syslog`, `level` and `formatter`.
    pub output: Output,
    /// `host`, or `ip`.
    pub host: String,
    /// `port`.
    pub port: u16,
    /// `transport`.
    pub transport: Transport,
    /// `protocol`.
    pub protocol: Protocol,
    /// `identity`: what the process is called.
    pub identity: String,
    /// `facility`.
    pub facility: &'static str,
    /// `ssl_options.*`, if the transport is TLS.
    pub tls: TlsOptions,
}

impl Default for Syslog {
    fn default() -> Self {
        let output = Output { enabled: false, level: None, formatter: Formatter::Plaintext };
        Self {
            output,
            host: "localhost".to_owned(),
            port: 514,
            transport: Transport::Udp,
            protocol: Protocol::Rfc3164,
            identity: "lepus".to_owned(),
            facility: "daemon",
            tls: TlsOptions::default(),
        }
    }
}

/// How messages come to a syslog server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Each in a datagram.
    Udp,
    /// By a connection.
    Tcp,
    /// By one with TLS.
    Tls,
}

/// How messages to a syslog server look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The old form.
    Rfc3164,
    /// The new form.
    Rfc5424,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Formatter {
    /// To be read by people.
    Plaintext,
    /// A JSON object.
    Json,
}

/// When a file is put aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// Every hour.
    Hourly,
    /// At midnight, UTC.
    Daily,
}

impl Default for Logging {
    fn default() -> Self {
        let output = Output { enabled: true, level: None, formatter: Formatter::Plaintext };
        Self {
            filter: None,
            level: LevelFilter::INFO,
            categories: BTreeMap::new(),
            console: output.clone(),
            exchange: Output { enabled: false, ..output.clone() },
            syslog: Syslog::default(),
            journald: Output { enabled: false, ..output.clone() },
            file: output,
            dir: None,
            file_name: None,
            rotation_size: 10 * 1024 * 1024,
            rotation_date: None,
            rotation_count: 7,
            rotation_compress: false,
        }
    }
}

impl Logging {
    /// The file that the log goes to.
    pub fn path(&self) -> Option<PathBuf> {
        if !self.file.enabled {
            return None;
        }
        match (&self.dir, &self.file_name) {
            (_, Some(name)) if name.is_absolute() => Some(name.clone()),
            (Some(dir), name) => {
                let name = name.clone().unwrap_or_else(|| PathBuf::from("lepus.log"));
                Some(dir.join(name))
            }
            (None, name) => name.clone(),
        }
    }
}
