//! Whether certificates of listeners are about to expire.

use std::path::Path as FilePath;

use serde_json::{Value, json};
use tokio::task::block_in_place;

use super::{Reply, Routes, health, ok};
use crate::admin::auth::Caller;
use crate::admin::error::Fault;
use crate::admin::input::Path;
use crate::admin::table::get;
use crate::config::Config;
use crate::node::Node;
use crate::tls;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/api/health/checks/certificate-expiration/{within}/{unit}", get(expiration))
}

async fn expiration(caller: Caller, Path((within, unit)): Path<(String, String)>) -> Reply {
    let days = match unit.as_str() {
        "days" => 1,
        "weeks" => 7,
        "months" => 30,
        "years" => 365,
        _ => {
            return Err(Fault::bad_request(
                "Time unit not recognised. Supported units: days, weeks, months, years.",
            ));
        }
    };
    let within: u32 =
        within.parse().map_err(|_| Fault::bad_request("Invalid expiration value."))?;
    let until = caller.node().now_ms() / 1000 + u64::from(within) * days * 86_400;
    let expired = block_in_place(|| expired(&caller, until));
    match expired.is_empty() {
        true => ok(json!({"status": "ok"})),
        false => health::failed(json!({"reason": "Certificates expiring", "expired": expired})),
    }
}

/// The ports whose certificates are not valid any more at a time, in seconds since 1970.
fn expired(caller: &Caller, until: u64) -> Vec<Value> {
    let config = caller.node().config();
    let ports = caller.ports().iter().filter_map(|port| {
        let file = certificate_of(&config, port.protocol)?;
        let expiry = tls::expiry(file)?;
        (expiry.at < until).then(|| {
            json!({
                "node": Node::NAME,
                "protocol": port.protocol,
                "interface": port.address.ip().to_string(),
                "port": port.address.port(),
                "certfile": file.display().to_string(),
                "certfile_expires_on": [expiry.text],
            })
        })
    });
    ports.collect()
}

fn certificate_of<'a>(config: &'a Config, protocol: &str) -> Option<&'a FilePath> {
    let options = match protocol {
        "amqp/ssl" => &config.tls,
        "https" => &config.management.tls,
        "https/prometheus" => &config.prometheus.tls,
        _ => return None,
    };
    options.certfile.as_deref()
}
