//! Settings, under RabbitMQ's key names.
//!
//! A [`Config`] is what the rest of the broker reads. [`load`] makes it of files, the environment and
//! the command line; each key is a row in [`keys`].

pub mod auth;
pub mod cli;
pub mod keys;
pub mod listeners;
pub mod live;
pub mod load;
pub mod logging;
pub mod management;
pub mod oauth2;
pub mod sources;
pub mod syntax;
pub mod tls;
pub mod value;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::access::password::{Algorithm, Secret};
use crate::limits::{HOT_MAX, HOT_MIN, HOT_SHARE};
use auth::Auth;
use lepus_storage::StoreKind;
use listeners::{Listeners, SocketOptions};
use logging::Logging;
use management::{Management, Prometheus};
use tls::TlsOptions;

/// What can be set.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `listeners.*` and the flags for addresses and ports.
    pub listeners: Listeners,
    /// `tcp_listen_options.*`.
    pub socket: SocketOptions,
    /// `ssl_options.*`: for AMQP over TLS.
    pub tls: TlsOptions,
    /// `proxy_protocol`: whether each AMQP connection begins with a PROXY header.
    pub proxy_protocol: bool,
    /// `channel_max`: channels of a connection.
    pub channel_max: u16,
    /// `frame_max`: octets of a frame.
    pub frame_max: u32,
    /// `heartbeat`: seconds; what tune proposes.
    pub heartbeat: u16,
    /// `handshake_timeout`, milliseconds in the file.
    pub handshake_timeout: Duration,
    /// `ssl_handshake_timeout`, milliseconds in the file.
    pub ssl_handshake_timeout: Duration,
    /// `max_message_size`: octets of a body.
    pub max_message_size: u64,
    /// `vm_memory_high_watermark.absolute`, or `.relative` to the machine's memory: octets of
    /// allocated memory from which on publishers are held back. 0.4 of memory by default.
    pub memory_watermark: u64,
    /// `disk_free_limit.absolute`, or `disk_free_limit.relative` to the machine's memory: octets that
    /// must be free on the disk of [`Self::data_dir`], or publishers are held back. 50 MB by default.
    pub disk_free_limit: u64,
    /// `consumer_timeout`: milliseconds for which a consumer may hold a message, where its queue says
    /// nothing.
    pub consumer_timeout: Option<u64>,
    /// `default_queue_type`, where the virtual host says nothing.
    pub default_queue_type: String,
    /// `channel_max_per_node`.
    pub channel_max_per_node: Option<u32>,
    /// `consumer_max_per_channel`.
    pub consumer_max_per_channel: Option<u32>,
    /// `connection_max`.
    pub connection_max: Option<u32>,
    /// `vhost_max`.
    pub vhost_max: Option<u32>,
    /// `cluster_queue_limit`: queues of the whole broker.
    pub queue_max: Option<u32>,
    /// `default_limits.vhosts.*`: limits of virtual hosts to come, by the name of the rule.
    pub default_limits: BTreeMap<String, DefaultLimits>,
    /// `default_users.*`: users whom virtual hosts to come let in, by name.
    pub default_users: BTreeMap<String, DefaultUser>,
    /// `default_policies.operator.*`: operator policies of virtual hosts to come, by name.
    pub default_policies: BTreeMap<String, DefaultPolicy>,
    /// `storage.engine`: where messages are kept.
    pub storage_engine: StorageEngine,
    /// `storage.segment_bytes`: octets of a segment of the message log.
    pub segment_bytes: u32,
    /// Where the files are (`--data-dir`); `None`: there are none.
    pub data_dir: Option<PathBuf>,
    /// How many connections may be open at a time, by file descriptors; no key sets it.
    pub connections_max: usize,
    /// `loopback_users`: users that may only come from this machine.
    pub loopback_users: Vec<String>,
    /// `default_user`.
    pub default_user: String,
    /// `default_pass`.
    pub default_pass: Secret,
    /// `default_user_tags.*`.
    pub default_user_tags: Vec<String>,
    /// `default_permissions.configure`, `.write`, `.read`: of the default user in the default virtual
    /// host.
    pub default_permissions: [String; 3],
    /// `password_hashing_module`: how passwords that are set from now on are kept.
    pub password_hashing: Algorithm,
    /// `default_vhost`.
    pub default_vhost: String,
    /// Who may log in, and who says so.
    pub auth: Auth,
    /// `load_definitions`, `definitions.*`.
    pub definitions: Definitions,
    /// `management.*`.
    pub management: Management,
    /// `prometheus.*`.
    pub prometheus: Prometheus,
    /// `log.*`.
    pub log: Logging,
    /// `collect_statistics_interval`, milliseconds in the file.
    pub statistics_interval: Duration,
    /// `cluster_name`.
    pub cluster_name: Option<String>,
    /// RABBITMQ_NODENAME: what the broker calls itself.
    pub node_name: Option<String>,
    /// RABBITMQ_PID_FILE: where the process's number is written.
    pub pid_file: Option<PathBuf>,
}

/// Where messages are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageEngine {
    /// A segmented log.
    Log,
    /// The embedded key-value store that the catalog is in, too. Much slower.
    Sled,
}

impl StorageEngine {
    /// What the stores call it.
    pub fn kind(self) -> StoreKind {
        match self {
            Self::Log => StoreKind::Log,
            Self::Sled => StoreKind::Sled,
        }
    }
}

/// Limits for virtual hosts whose name matches, of their making on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DefaultLimits {
    /// `pattern`: a regular expression; `None`: all.
    pub pattern: Option<String>,
    /// `max_connections`.
    pub max_connections: Option<u32>,
    /// `max_queues`.
    pub max_queues: Option<u32>,
}

/// A user for virtual hosts whose name matches, of their making on.
#[derive(Clone, Debug, PartialEq)]
pub struct DefaultUser {
    /// `vhost_pattern`: a regular expression; `None`: all.
    pub vhost_pattern: Option<String>,
    /// `password`; `None`: no login by password.
    pub password: Option<Secret>,
    /// `configure`, `write` and `read`: what the user may do there.
    pub permissions: [String; 3],
    /// `tags`.
    pub tags: Vec<String>,
}

impl Default for DefaultUser {
    fn default() -> Self {
        let permissions = [const { ".*" }; 3].map(str::to_owned);
        Self { vhost_pattern: None, password: None, permissions, tags: Vec::new() }
    }
}

/// An operator policy for virtual hosts whose name matches, of their making on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DefaultPolicy {
    /// `vhost_pattern`: a regular expression; `None`: all.
    pub vhost_pattern: Option<String>,
    /// `queue_pattern`: a regular expression; `None`: all.
    pub queue_pattern: Option<String>,
    /// The policy's definition, under the policy's names (`message-ttl`).
    pub definition: BTreeMap<String, u64>,
}

/// What is declared from a file at the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Definitions {
    /// `load_definitions`, `definitions.local.path`: a file or a directory of files.
    pub path: Option<PathBuf>,
    /// `definitions.skip_if_unchanged`.
    pub skip_if_unchanged: bool,
    /// `definitions.https.url`.
    pub url: Option<String>,
    /// `definitions.tls.*`.
    pub tls: TlsOptions,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listeners: Listeners::default(),
            socket: SocketOptions::default(),
            tls: TlsOptions::default(),
            proxy_protocol: false,
            channel_max: 2047,
            frame_max: 131_072,
            heartbeat: 60,
            handshake_timeout: Duration::from_secs(10),
            ssl_handshake_timeout: Duration::from_secs(5),
            max_message_size: 128 * 1024 * 1024,
            memory_watermark: relative(0.4),
            disk_free_limit: 50_000_000,
            consumer_timeout: None,
            default_queue_type: "classic".to_owned(),
            channel_max_per_node: None,
            consumer_max_per_channel: None,
            connection_max: None,
            vhost_max: None,
            queue_max: None,
            default_limits: BTreeMap::new(),
            default_users: BTreeMap::new(),
            default_policies: BTreeMap::new(),
            storage_engine: StorageEngine::Log,
            segment_bytes: 64 * 1024 * 1024,
            data_dir: None,
            connections_max: usize::MAX,
            loopback_users: vec!["guest".to_owned()],
            default_user: "guest".to_owned(),
            default_pass: "guest".into(),
            default_user_tags: vec!["administrator".to_owned()],
            default_permissions: [".*", ".*", ".*"].map(str::to_owned),
            password_hashing: Algorithm::default(),
            default_vhost: "/".to_owned(),
            auth: Auth::default(),
            definitions: Definitions::default(),
            management: Management::default(),
            prometheus: Prometheus::default(),
            log: Logging::default(),
            statistics_interval: Duration::from_secs(5),
            cluster_name: None,
            node_name: None,
            pid_file: None,
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

/// So many times the machine's memory.
pub fn relative(factor: f64) -> u64 {
    (crate::memory::total() as f64 * factor) as u64
}

#[cfg(test)]
mod tests;
