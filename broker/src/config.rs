//! Settings, under RabbitMQ's key names.

pub mod listeners;
pub mod tls;
pub mod value;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use listeners::Listeners;
use tls::TlsOptions;
use value::endpoint;

use crate::limits::{HOT_MAX, HOT_MIN, HOT_SHARE, SEGMENT_MAX, SEGMENT_MIN};
use crate::vhost::Vhost;

/// What can be set.
#[derive(Clone, Debug)]
pub struct Config {
    /// `channel_max`: channels of a connection.
    pub channel_max: u16,
    /// `frame_max`: octets of a frame.
    pub frame_max: u32,
    /// `heartbeat`: seconds; what tune proposes.
    pub heartbeat: u16,
    /// `handshake_timeout`, milliseconds in the file.
    pub handshake_timeout: Duration,
    /// `listeners.*`.
    pub listeners: Listeners,
    /// `ssl_options.*`: for AMQP over TLS.
    pub tls: TlsOptions,
    /// `proxy_protocol`: whether each AMQP connection begins with a PROXY header.
    pub proxy_protocol: bool,
    /// `ssl_handshake_timeout`, milliseconds in the file.
    pub ssl_handshake_timeout: Duration,
    /// `max_message_size`: octets of a body.
    pub max_message_size: u64,
    /// `vm_memory_high_watermark.absolute`: octets of allocated memory from which on publishers are
    /// held back. The default is 0.4 of the machine's memory, as in RabbitMQ.
    pub memory_watermark: u64,
    /// `disk_free_limit.absolute`, or `disk_free_limit.relative` to the machine's memory: octets that
    /// must be free on the disk of [`Self::data_dir`], or publishers are held back. 50 MB by default.
    pub disk_free_limit: u64,
    /// `storage.engine`: where messages are kept.
    pub storage_engine: StorageEngine,
    /// `storage.segment_bytes`: octets of a segment of the message log.
    pub segment_bytes: u32,
    /// Where the files are (`--data-dir`); `None`: there are none.
    pub data_dir: Option<PathBuf>,
    /// How many connections may be open at a time; no key sets it.
    pub connections_max: usize,
    /// `default_vhost`: the virtual host that a new data directory begins with.
    pub default_vhost: String,
    /// `default_queue_type`: the type of queues that are declared without one, where their virtual host
    /// says nothing.
    pub default_queue_type: String,
    /// `vhost_max`: virtual hosts.
    pub vhost_max: Option<u32>,
    /// `connection_max`: connections.
    pub connection_max: Option<u32>,
    /// `channel_max_per_node`: channels of all connections together.
    pub channel_max_per_node: Option<u32>,
    /// `cluster_queue_limit`: queues of all virtual hosts together.
    pub queue_max: Option<u32>,
    /// `loopback_users`: users that may only come from this machine.
    pub loopback_users: Vec<String>,
    /// `default_user`.
    pub default_user: String,
    /// `default_pass`.
    pub default_pass: String,
}

/// Where messages are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageEngine {
    /// A segmented log.
    Log,
    /// The embedded key-value store that the catalog is in, too. Much slower.
    Sled,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            channel_max: 2047,
            frame_max: 131_072,
            heartbeat: 60,
            handshake_timeout: Duration::from_secs(10),
            listeners: Listeners::default(),
            tls: TlsOptions::default(),
            proxy_protocol: false,
            ssl_handshake_timeout: Duration::from_secs(5),
            max_message_size: 128 * 1024 * 1024,
            memory_watermark: crate::memory::total() / 5 * 2,
            disk_free_limit: 50_000_000,
            storage_engine: StorageEngine::Log,
            segment_bytes: 64 * 1024 * 1024,
            data_dir: None,
            connections_max: usize::MAX,
            default_vhost: Vhost::DEFAULT.to_owned(),
            default_queue_type: "classic".to_owned(),
            vhost_max: None,
            connection_max: None,
            channel_max_per_node: None,
            queue_max: None,
            loopback_users: vec!["guest".to_owned()],
            default_user: "guest".to_owned(),
            default_pass: "guest".to_owned(),
        }
    }
}

impl Config {
    /// Octets of ready messages that a durable queue may hold in memory while there is plenty.
    pub fn hot_max(&self) -> usize {
        let share = usize::try_from(self.memory_watermark / HOT_SHARE).unwrap_or(usize::MAX);
        share.clamp(HOT_MIN, HOT_MAX)
    }
}

/// The largest `frame_max` that can be configured, octets.
const FRAME_MAX_LIMIT: u32 = 16 * 1024 * 1024;

impl Config {
    /// Reads a file of `key = value` lines over the defaults. Errors name file, line and key.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
        let mut config = Self::default();
        for (number, line) in text.lines().enumerate() {
            let place = || format!("{}:{}", path.display(), number + 1);
            config.set_line(line).with_context(place)?;
        }
        Ok(config)
    }

    fn set_line(&mut self, line: &str) -> Result<()> {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            return Ok(());
        }
        let (key, value) = line.split_once('=').context("a line must be `key = value`")?;
        let (key, value) = (key.trim(), value.trim());
        self.set(key, value).with_context(|| format!("{key} = {value}"))
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        match key {
            "channel_max" => self.channel_max = value.parse()?,
            "frame_max" => self.frame_max = frame_max(value)?,
            "heartbeat" => self.heartbeat = value.parse()?,
            "handshake_timeout" => self.handshake_timeout = Duration::from_millis(value.parse()?),
            "ssl_handshake_timeout" => {
                self.ssl_handshake_timeout = Duration::from_millis(value.parse()?);
            }
            "proxy_protocol" => self.proxy_protocol = value.parse()?,
            "listeners.tcp" if value == "none" => self.listeners.no_tcp = true,
            "listeners.ssl" if value == "none" => self.listeners.no_tls = true,
            "max_message_size" => self.max_message_size = size(value)?,
            "vm_memory_high_watermark.absolute" => self.memory_watermark = size(value)?,
            "disk_free_limit.absolute" => self.disk_free_limit = size(value)?,
            "disk_free_limit.relative" => self.disk_free_limit = relative(value)?,
            "storage.engine" => self.storage_engine = engine(value)?,
            "storage.segment_bytes" => self.segment_bytes = segment_bytes(value)?,
            "default_vhost" => value.clone_into(&mut self.default_vhost),
            "default_queue_type" => self.default_queue_type = queue_type(value)?,
            "vhost_max" => self.vhost_max = count(value)?,
            "connection_max" => self.connection_max = count(value)?,
            "channel_max_per_node" => self.channel_max_per_node = count(value)?,
            "cluster_queue_limit" => self.queue_max = count(value)?,
            "default_user" => value.clone_into(&mut self.default_user),
            "default_pass" => value.clone_into(&mut self.default_pass),
            "loopback_users" if value == "none" => self.loopback_users.clear(),
            _ => self.set_named(key, value)?,
        }
        Ok(())
    }

    /// Keys whose last part is a name.
    fn set_named(&mut self, key: &str, value: &str) -> Result<()> {
        let after = |prefix| key.strip_prefix(prefix);
        if let Some(option) = after("ssl_options.") {
            return self.tls.set(option, value);
        }
        if let Some(name) = after("listeners.tcp.") {
            self.listeners.tcp.insert(name.to_owned(), endpoint(value)?);
        } else if let Some(name) = after("listeners.ssl.") {
            self.listeners.tls.insert(name.to_owned(), endpoint(value)?);
        } else {
            match (after("loopback_users."), value) {
                (Some(user), "true") => self.loopback_users.push(user.to_owned()),
                (Some(user), "false") => self.loopback_users.retain(|known| known != user),
                (Some(_), _) => bail!("the value must be true or false"),
                (None, _) => bail!("unknown key"),
            }
        }
        Ok(())
    }
}

/// A number, or any number.
fn count(value: &str) -> Result<Option<u32>> {
    if value == "infinity" {
        return Ok(None);
    }
    value.parse().map(Some).context("the value must be a number or infinity")
}

fn queue_type(value: &str) -> Result<String> {
    if !["classic", "quorum"].contains(&value) {
        bail!("the value must be classic or quorum");
    }
    Ok(value.to_owned())
}

fn frame_max(value: &str) -> Result<u32> {
    let octets = value.parse()?;
    if !(lepus_protocol::limits::FRAME_MIN_SIZE..=FRAME_MAX_LIMIT).contains(&octets) {
        bail!("the value must be from 4096 to {FRAME_MAX_LIMIT}");
    }
    Ok(octets)
}

fn engine(value: &str) -> Result<StorageEngine> {
    match value {
        "log" => Ok(StorageEngine::Log),
        "sled" => Ok(StorageEngine::Sled),
        _ => bail!("the value must be log or sled"),
    }
}

fn segment_bytes(value: &str) -> Result<u32> {
    let octets = size(value)?;
    if !(SEGMENT_MIN..=SEGMENT_MAX).contains(&octets) {
        bail!("the value must be from {SEGMENT_MIN} to {SEGMENT_MAX}");
    }
    Ok(u32::try_from(octets)?)
}

/// So many times the machine's memory.
fn relative(value: &str) -> Result<u64> {
    let factor: f64 = value.parse()?;
    if !(0.0..=1000.0).contains(&factor) {
        bail!("the value must be from 0.0 to 1000.0");
    }
    Ok((crate::memory::total() as f64 * factor) as u64)
}

/// Octets, or with RabbitMQ's units: k, kB, KiB, M, MB, MiB, G, GB, GiB.
fn size(value: &str) -> Result<u64> {
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor: u64 = match value.get(digits.len()..).unwrap_or_default() {
        "" => 1,
        "k" | "K" | "kiB" | "KiB" | "Ki" => 1 << 10,
        "M" | "MiB" | "Mi" => 1 << 20,
        "G" | "GiB" | "Gi" => 1 << 30,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        unit => bail!("unknown unit {unit}"),
    };
    let number: u64 = digits.trim().parse()?;
    number.checked_mul(factor).context("the value is too large")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(lines: &[&str]) -> Result<Config> {
        let mut config = Config::default();
        lines.iter().try_for_each(|line| config.set_line(line))?;
        Ok(config)
    }

    #[test]
    fn rabbitmqs_keys_and_units() {
        let config = set(&[
            "# comment",
            "heartbeat = 10 # seconds",
            "vm_memory_high_watermark.absolute = 64MiB",
            "max_message_size=1kB",
            "loopback_users.guest = false",
        ])
        .unwrap();
        assert_eq!((config.heartbeat, config.memory_watermark), (10, 64 << 20));
        assert_eq!(config.max_message_size, 1000);
        assert!(config.loopback_users.is_empty());
    }

    #[test]
    fn bad_lines_are_refused_with_key_and_value() {
        for (line, part) in [
            ("heartbeat", "key = value"),
            ("heartbeat = soon", "heartbeat = soon"),
            ("frame_max = 100", "4096"),
            ("no.such.key = 1", "unknown key"),
        ] {
            let error = format!("{:#}", set(&[line]).unwrap_err());
            assert!(error.contains(part), "{error}");
        }
    }
}
