//! What can be set about the HTTP API and the metrics.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::tls::TlsOptions;

/// `management.*`.
#[derive(Clone, Debug, PartialEq)]
pub struct Management {
    /// `tcp.port`, `--http-port`.
    pub port: u16,
    /// `tcp.ip`.
    pub ip: Option<IpAddr>,
    /// `ssl.port`; `None`: no listener with TLS.
    pub tls_port: Option<u16>,
    /// `ssl.ip`.
    pub tls_ip: Option<IpAddr>,
    /// `ssl.*`.
    pub tls: TlsOptions,
    /// `path_prefix`.
    pub path_prefix: String,
    /// `http.max_body_size`, octets.
    pub max_body_size: u64,
    /// `http_log_dir`.
    pub http_log_dir: Option<PathBuf>,
    /// `login_session_timeout`, minutes in the file.
    pub login_session_timeout: Option<Duration>,
    /// `rates_mode`.
    pub rates_mode: RatesMode,
    /// `sample_retention_policies.$section.$interval`: by section, for how many seconds samples are
    /// kept and how many seconds are between two.
    pub retention: BTreeMap<String, BTreeMap<u64, u64>>,
    /// `cors.allow_origins.N`.
    pub cors_origins: Vec<String>,
    /// `cors.max_age`, seconds.
    pub cors_max_age: u32,
    /// `csp.policy`, `hsts.policy` and `headers.*`, by the name of the HTTP header.
    pub headers: BTreeMap<&'static str, String>,
    /// `disable_basic_auth`.
    pub disable_basic_auth: bool,
    /// `disable_stats`.
    pub disable_stats: bool,
    /// `enable_queue_totals`.
    pub enable_queue_totals: bool,
    /// `restrictions.operator_policy_changes.disabled`.
    pub operator_policies_locked: bool,
}

impl Default for Management {
    fn default() -> Self {
        Self {
            port: 15672,
            ip: None,
            tls_port: None,
            tls_ip: None,
            tls: TlsOptions::default(),
            path_prefix: String::new(),
            max_body_size: 20_000_000,
            http_log_dir: None,
            login_session_timeout: None,
            rates_mode: RatesMode::Basic,
            retention: BTreeMap::new(),
            cors_origins: Vec::new(),
            cors_max_age: 1800,
            headers: BTreeMap::new(),
            disable_basic_auth: false,
            disable_stats: false,
            enable_queue_totals: false,
            operator_policies_locked: false,
        }
    }
}

/// How much of rates is reckoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RatesMode {
    /// Of each object.
    Basic,
    /// Of each pair of objects, too.
    Detailed,
    /// Nothing.
    None,
}

/// `prometheus.*`.
#[derive(Clone, Debug, PartialEq)]
pub struct Prometheus {
    /// `tcp.port`, `--metrics-port`.
    pub port: u16,
    /// `tcp.ip`.
    pub ip: Option<IpAddr>,
    /// `ssl.port`; `None`: no listener with TLS.
    pub tls_port: Option<u16>,
    /// `ssl.ip`.
    pub tls_ip: Option<IpAddr>,
    /// `ssl.*`.
    pub tls: TlsOptions,
    /// `path`.
    pub path: String,
    /// `return_per_object_metrics`.
    pub per_object: bool,
    /// `authentication.enabled`.
    pub authentication: bool,
}

impl Default for Prometheus {
    fn default() -> Self {
        Self {
            port: 15692,
            ip: None,
            tls_port: None,
            tls_ip: None,
            tls: TlsOptions::default(),
            path: "/metrics".to_owned(),
            per_object: false,
            authentication: false,
        }
    }
}
