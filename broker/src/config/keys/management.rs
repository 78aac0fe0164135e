//! The HTTP API and the metrics.

use super::rows::{Of, Rows};
use super::{Key, keys, tls};
use crate::config::management::{Patience, RatesMode};
use crate::config::value::{ip, number, one_of, path, text, truth};
use crate::config::{Config, value::Reader};
use std::time::Duration;

pub(super) fn keys() -> Vec<Key> {
    let mut keys = listeners();
    keys.extend(api());
    keys.extend(headers());
    keys.extend(metrics());
    keys.extend(patience("management.tcp", |c, _| &mut c.management.patience));
    keys.extend(patience("management.ssl", |c, _| &mut c.management.patience));
    keys.extend(patience("prometheus.tcp", |c, _| &mut c.prometheus.patience));
    keys.extend(patience("prometheus.ssl", |c, _| &mut c.prometheus.patience));
    keys.extend(tls::listener("management.ssl", "the HTTP API over TLS", |c, _| {
        &mut c.management.tls
    }));
    keys.extend(tls::listener("prometheus.ssl", "metrics over TLS", |c, _| &mut c.prometheus.tls));
    keys
}

fn port() -> Reader<u16> {
    number(0..=u16::MAX)
}

fn listeners() -> Vec<Key> {
    keys! {
        "management.listener.port", "", port(),
            "the old name of `management.tcp.port`"
            => |c, _, port| c.management.port = Some(port);
        "management.listener.ip", "", ip(),
            "the old name of `management.tcp.ip`"
            => |c, _, ip| c.management.ip = Some(ip);
        "management.tcp.port", "", port(),
            "the port of the HTTP API: 15672; beside one with TLS only if it is set"
            => |c, _, port| c.management.port = Some(port);
        "management.tcp.ip", "", ip(),
            "its address"
            => |c, _, ip| c.management.ip = Some(ip);
        "management.ssl.port", "", port(),
            "the port of the HTTP API over TLS; without it 15671, if there is a certificate"
            => |c, _, port| c.management.tls_port = Some(port);
        "management.ssl.ip", "", ip(),
            "its address"
            => |c, _, ip| c.management.tls_ip = Some(ip);
        "http_port", "", port(),
            "the port of the HTTP API, instead of `management.tcp.port`; 0 picks a free one", outside
            => |c, _, port| c.management.port = Some(port);
        "prometheus.tcp.port", "", port(),
            "the port of the metrics: 15692; beside one with TLS only if it is set"
            => |c, _, port| c.prometheus.port = Some(port);
        "prometheus.tcp.ip", "", ip(),
            "its address"
            => |c, _, ip| c.prometheus.ip = Some(ip);
        "prometheus.ssl.port", "", port(),
            "the port of the metrics over TLS; without it 15691, if there is a certificate"
            => |c, _, port| c.prometheus.tls_port = Some(port);
        "prometheus.ssl.ip", "", ip(),
            "its address"
            => |c, _, ip| c.prometheus.tls_ip = Some(ip);
        "metrics_port", "", port(),
            "the port of the metrics, instead of `prometheus.tcp.port`; 0 picks a free one", outside
            => |c, _, port| c.prometheus.port = Some(port);
    }
}

/// A service has the same with TLS and without.
fn patience(prefix: &'static str, of: Of<Patience>) -> [Key; 2] {
    let rows = Rows { prefix, whose: "", of };
    let time = || number(1..=u32::MAX).map(|n| Duration::from_millis(u64::from(n)));
    let request = "milliseconds for a request, from the end of the one before to the end of its \
                   head; 60000 if nothing is said";
    let idle = "milliseconds without more of a request's body, or in which nothing of an answer is \
                taken; 60000 if nothing is said";
    [
        rows.key("request_timeout", time(), request, |to, _, time| to.request = time).live(),
        rows.key("idle_timeout", time(), idle, |to, _, time| to.pause = time).live(),
    ]
}

fn api() -> Vec<Key> {
    let rates = one_of(&[
        ("basic", RatesMode::Basic),
        ("detailed", RatesMode::Detailed),
        ("none", RatesMode::None),
    ]);
    keys! {
        "management.path_prefix", "", text(),
            "what the paths of the HTTP API begin with"
            => |c, _, prefix| c.management.path_prefix = prefix;
        "management.http.max_body_size", "20000000", number(1..=u64::MAX),
            "octets of the largest request"
            => |c, _, octets| c.management.max_body_size = octets;
        "management.http_log_dir", "", path(),
            "a directory where requests are written down: a file `access.log.…` an hour, those of a week"
            => |c, _, path| c.management.http_log_dir = Some(path);
        "management.login_session_timeout", "", number(1..=u32::MAX),
            "minutes after which one must log in again"
            => |c, _, n| c.management.login_session_timeout = Some(Duration::from_secs(60 * u64::from(n)));
        "management.rates_mode", "basic", rates,
            "rates of messages and octets; `detailed` counts as `basic`, with `none` there are none"
            => |c, _, mode| c.management.rates_mode = mode;
        "management.cors.allow_origins.$name", "", text(),
            "an origin whose pages may ask"
            => |c, _, origin| c.management.cors_origins.push(origin);
        "management.cors.max_age", "1800", number(0..=u32::MAX),
            "seconds for which that is remembered"
            => |c, _, seconds| c.management.cors_max_age = seconds;
        "management.disable_basic_auth", "false", truth(),
            "the HTTP API takes tokens (`Authorization: Bearer`) and no passwords"
            => |c, _, yes| c.management.disable_basic_auth = yes;
        "management.oauth_disable_basic_auth", "false", truth(),
            "the same"
            => |c, _, yes| c.management.disable_basic_auth = yes;
        "management.disable_stats", "false", truth(),
            "no statistics"
            => |c, _, yes| c.management.disable_stats = yes;
        "management.enable_queue_totals", "false", truth(),
            "how many messages queues have, also without statistics"
            => |c, _, yes| c.management.enable_queue_totals = yes;
        "management.restrictions.operator_policy_changes.disabled", "false", truth(),
            "operator policies cannot be changed by the HTTP API"
            => |c, _, yes| c.management.operator_policies_locked = yes;
    }
}

fn headers() -> Vec<Key> {
    fn add(config: &mut Config, header: &'static str, value: String) {
        config.management.headers.insert(header, value);
    }
    keys! {
        "management.csp.policy", "", text(),
            "the header Content-Security-Policy"
            => |c, _, value| add(c, "content-security-policy", value);
        "management.hsts.policy", "", text(),
            "the header Strict-Transport-Security"
            => |c, _, value| add(c, "strict-transport-security", value);
        "management.headers.content_type_options", "", text(),
            "the header X-Content-Type-Options"
            => |c, _, value| add(c, "x-content-type-options", value);
        "management.headers.xss_protection", "", text(),
            "the header X-XSS-Protection"
            => |c, _, value| add(c, "x-xss-protection", value);
        "management.headers.frame_options", "", text(),
            "the header X-Frame-Options"
            => |c, _, value| add(c, "x-frame-options", value);
    }
}

fn metrics() -> Vec<Key> {
    keys! {
        "prometheus.path", "/metrics", text(),
            "the path of the metrics"
            => |c, _, path| c.prometheus.path = path;
        "prometheus.return_per_object_metrics", "false", truth(),
            "metrics of each queue and connection, instead of their sums"
            => |c, _, yes| c.prometheus.per_object = yes;
        "prometheus.authentication.enabled", "false", truth(),
            "metrics are for users who may see them"
            => |c, _, yes| c.prometheus.authentication = yes;
    }
}
