//! What can be set about the HTTP API and the metrics.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::Config;
use super::tls::TlsOptions;

/// Where a service listens for HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Without TLS.
    pub plain: Option<SocketAddr>,
    /// With TLS.
    pub encrypted: Option<SocketAddr>,
}

/// What speaks HTTP.
pub struct Service {
    /// Its protocols without and with TLS, by RabbitMQ's names.
    pub protocols: [&'static str; 2],
    /// Where it listens.
    pub endpoints: fn(&Config) -> Endpoints,
    /// What its options of TLS are called, and which they are.
    pub tls: (&'static str, fn(&Config) -> &TlsOptions),
    /// For how long its clients are waited for.
    pub patience: fn(&Config) -> Patience,
}

/// For how long clients of a service are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// `tcp.request_timeout`: for a request, from the beginning of the connection or the end of the former
    /// one to the end of its head.
    pub request: Duration,
    /// `tcp.idle_timeout`: for more of a request's body, or until more of an answer is taken.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { request: Duration::from_secs(60), pause: Duration::from_secs(60) }
    }
}

/// The HTTP API.
pub const API: Service = Service {
    protocols: ["http", "https"],
    endpoints: |config| config.management.endpoints(config.listeners.bind),
    tls: ("management.ssl", |config| &config.management.tls),
    patience: |config| config.management.patience,
};

/// The metrics.
pub const METRICS: Service = Service {
    protocols: ["http/prometheus", "https/prometheus"],
    endpoints: |config| config.prometheus.endpoints(config.listeners.bind),
    tls: ("prometheus.ssl", |config| &config.prometheus.tls),
    patience: |config| config.prometheus.patience,
};

/// `management.*`.
#[derive(Clone, Debug, PartialEq)]
pub struct Management {
    /// `tcp.port`, `--http-port`; `None`: 15672, unless there is TLS.
    pub port: Option<u16>,
    /// `tcp.ip`.
    pub ip: Option<IpAddr>,
    /// `ssl.port`; `None`: 15671, if there is a certificate.
    pub tls_port: Option<u16>,
    /// `ssl.ip`.
    pub tls_ip: Option<IpAddr>,
    /// `ssl.*`.
    pub tls: TlsOptions,
    /// `tcp.*_timeout`.
    pub patience: Patience,
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

impl Management {
    /// Where the HTTP API is, given the address of ports that come without one.
    fn endpoints(&self, bind: Option<IpAddr>) -> Endpoints {
        let plain = (self.port, self.ip, 15672);
        endpoints(plain, (self.tls_port, self.tls_ip, 15671), &self.tls, bind)
    }
}

impl Default for Management {
    fn default() -> Self {
        Self {
            port: None,
            ip: None,
            tls_port: None,
            tls_ip: None,
            tls: TlsOptions::default(),
            patience: Patience::default(),
            path_prefix: String::new(),
            max_body_size: 20_000_000,
            http_log_dir: None,
            login_session_timeout: None,
            rates_mode: RatesMode::Basic,
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
    /// Of each pair of objects, too: not here.
    Detailed,
    /// Nothing.
    None,
}

/// `prometheus.*`.
#[derive(Clone, Debug, PartialEq)]
pub struct Prometheus {
    /// `tcp.port`, `--metrics-port`; `None`: 15692, unless there is TLS.
    pub port: Option<u16>,
    /// `tcp.ip`.
    pub ip: Option<IpAddr>,
    /// `ssl.port`; `None`: 15691, if there is a certificate.
    pub tls_port: Option<u16>,
    /// `ssl.ip`.
    pub tls_ip: Option<IpAddr>,
    /// `ssl.*`.
    pub tls: TlsOptions,
    /// `tcp.*_timeout`.
    pub patience: Patience,
    /// `path`.
    pub path: String,
    /// `return_per_object_metrics`.
    pub per_object: bool,
    /// `authentication.enabled`.
    pub authentication: bool,
}

impl Prometheus {
    /// Where the metrics are, given the address of ports that come without one.
    fn endpoints(&self, bind: Option<IpAddr>) -> Endpoints {
        let plain = (self.port, self.ip, 15692);
        endpoints(plain, (self.tls_port, self.tls_ip, 15691), &self.tls, bind)
    }
}

impl Default for Prometheus {
    fn default() -> Self {
        Self {
            port: None,
            ip: None,
            tls_port: None,
            tls_ip: None,
            tls: TlsOptions::default(),
            patience: Patience::default(),
            path: "/metrics".to_owned(),
            per_object: false,
            authentication: false,
        }
    }
}

/// A port and an address that may be set, and the usual port.
type Place = (Option<u16>, Option<IpAddr>, u16);

/// As in RabbitMQ, there is no port without TLS beside one with it unless it is asked for.
fn endpoints(
    (port, ip, usual): Place,
    (tls_port, tls_ip, tls_usual): Place,
    tls: &TlsOptions,
    bind: Option<IpAddr>,
) -> Endpoints {
    let at = |ip: Option<IpAddr>, port| {
        SocketAddr::new(ip.or(bind).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), port)
    };
    let tls_port = tls_port.or(tls.certfile.is_some().then_some(tls_usual));
    let port = port.or(tls_port.is_none().then_some(usual));
    Endpoints {
        plain: port.map(|port| at(ip, port)),
        encrypted: tls_port.map(|port| at(tls_ip, port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_with_tls_stands_alone_unless_the_other_one_is_asked_for() {
        let shown = |management: &Management, bind: Option<&str>| {
            let Endpoints { plain, encrypted } =
                management.endpoints(bind.map(|ip| ip.parse().unwrap()));
            let shown = |address: Option<SocketAddr>| address.map(|address| address.to_string());
            [shown(plain), shown(encrypted)].map(Option::unwrap_or_default)
        };
        let mut management = Management::default();
        assert_eq!(shown(&management, None), ["127.0.0.1:15672", ""]);
        management.tls.certfile = Some("server.pem".into());
        assert_eq!(shown(&management, Some("10.0.0.1")), ["", "10.0.0.1:15671"]);
        management.tls_port = Some(443);
        management.tls_ip = Some("10.0.0.2".parse().unwrap());
        management.port = Some(0);
        assert_eq!(shown(&management, Some("10.0.0.1")), ["10.0.0.1:0", "10.0.0.2:443"]);
    }
}
