//! Variables of the environment: RabbitMQ's own, those of its container image, and ours.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Found, Origin, variable};
use crate::config::keys;

/// Variables that each set a key.
const PLAIN: &[(&str, &str)] = &[
    ("RABBITMQ_NODENAME", "node_name"),
    ("RABBITMQ_NODE_IP_ADDRESS", "bind"),
    ("RABBITMQ_NODE_PORT", "amqp_port"),
    ("RABBITMQ_MNESIA_DIR", "data_dir"),
    ("RABBITMQ_PID_FILE", "pid_file"),
    ("RABBITMQ_LOG_BASE", "log.dir"),
    ("RABBITMQ_SSL_CACERTFILE", "ssl_options.cacertfile"),
    ("RABBITMQ_SSL_CERTFILE", "ssl_options.certfile"),
    ("RABBITMQ_SSL_KEYFILE", "ssl_options.keyfile"),
    ("RABBITMQ_SSL_VERIFY", "ssl_options.verify"),
    ("RABBITMQ_SSL_DEPTH", "ssl_options.depth"),
    ("RABBITMQ_SSL_FAIL_IF_NO_PEER_CERT", "ssl_options.fail_if_no_peer_cert"),
    ("RABBITMQ_MANAGEMENT_SSL_CACERTFILE", "management.ssl.cacertfile"),
    ("RABBITMQ_MANAGEMENT_SSL_CERTFILE", "management.ssl.certfile"),
    ("RABBITMQ_MANAGEMENT_SSL_KEYFILE", "management.ssl.keyfile"),
    ("RABBITMQ_MANAGEMENT_SSL_VERIFY", "management.ssl.verify"),
    ("RABBITMQ_MANAGEMENT_SSL_DEPTH", "management.ssl.depth"),
    ("RABBITMQ_MANAGEMENT_SSL_FAIL_IF_NO_PEER_CERT", "management.ssl.fail_if_no_peer_cert"),
];

/// Variables that each set a key, and may name a file with the value, as containers' secrets do.
const SECRETS: &[(&str, &str)] = &[
    ("RABBITMQ_DEFAULT_USER", "default_user"),
    ("RABBITMQ_DEFAULT_PASS", "default_pass"),
    ("RABBITMQ_DEFAULT_VHOST", "default_vhost"),
];

/// The categories of RABBITMQ_LOG that there are.
const CATEGORIES: &[&str] = &["connection", "channel", "queue"];

/// Finds the settings in an environment. An empty variable is as good as none.
pub(super) fn read(environment: &BTreeMap<String, String>, found: &mut Found) {
    let get =
        |name: &str| environment.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let mut put = |name: &str, key: &str, value: String| {
        found.push(key, value, Origin::Env(name.to_owned()));
    };
    if let Some(base) = get("RABBITMQ_MNESIA_BASE") {
        let directory = Path::new(base).join("lepus").display().to_string();
        put("RABBITMQ_MNESIA_BASE", "data_dir", directory);
    }
    for (name, key) in PLAIN {
        if let Some(value) = get(name) {
            put(name, key, value.to_owned());
        }
    }
    if let Some(value) = get("RABBITMQ_VM_MEMORY_HIGH_WATERMARK") {
        let (key, value) = watermark(value);
        put("RABBITMQ_VM_MEMORY_HIGH_WATERMARK", key, value);
    }
    for (key, value) in get("RABBITMQ_LOGS").map_or_else(Vec::new, logs) {
        put("RABBITMQ_LOGS", key, value);
    }
    for (key, value) in get("RABBITMQ_LOG").map_or_else(Vec::new, levels) {
        put("RABBITMQ_LOG", &key, value);
    }
    for (name, key) in SECRETS {
        if let Some(value) = get(name) {
            put(name, key, value.to_owned());
        }
    }
    secrets(&get, found);
    for key in keys::all() {
        let Some(name) = variable(key) else { continue };
        if let Some(value) = get(&name) {
            found.push(&key.pattern, value.to_owned(), Origin::Env(name));
        }
    }
    if get("RABBITMQ_ADVANCED_CONFIG_FILE").is_some() {
        let what = "environment RABBITMQ_ADVANCED_CONFIG_FILE is ignored: Erlang is not read";
        found.notes.push(what.to_owned());
    }
}

/// Values in files: they go before those in variables.
fn secrets<'a>(get: &impl Fn(&str) -> Option<&'a str>, found: &mut Found) {
    for (name, key) in SECRETS {
        let name = format!("{name}_FILE");
        let Some(path) = get(&name) else { continue };
        match super::read(Path::new(path)) {
            Ok(text) => {
                let value = text.trim_end_matches(['\r', '\n']).to_owned();
                if value.is_empty() {
                    found.faults.push(format!("environment {name}: {path} is empty"));
                }
                found.push(key, value, Origin::Env(name));
            }
            Err(why) => found.faults.push(format!("environment {name}: {path} {why}")),
        }
    }
}

/// A part of memory (`0.4`, `40%`), or octets.
fn watermark(value: &str) -> (&'static str, String) {
    let percent = value.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
    let part = value.parse::<f64>().ok().filter(|part| *part <= 1.0);
    match percent.map(|percent| percent / 100.0).or(part) {
        Some(part) => ("vm_memory_high_watermark.relative", part.to_string()),
        None => ("vm_memory_high_watermark.absolute", value.to_owned()),
    }
}

/// `-` for no file, or a file and nothing else.
fn logs(value: &str) -> Vec<(&'static str, String)> {
    let (console, file) = match value {
        "-" | "-stderr" => ("true", "false"),
        file => ("false", file),
    };
    vec![("log.console", console.to_owned()), ("log.file", file.to_owned())]
}

/// `debug`, `connection.debug`, `+color`, with commas between them.
fn levels(value: &str) -> Vec<(String, String)> {
    let mut levels = Vec::new();
    for part in value.split(',').map(str::trim).filter(|part| !part.starts_with(['+', '-'])) {
        match part.split_once('.') {
            Some((category, level)) if CATEGORIES.contains(&category) => {
                levels.push((format!("log.{category}.level"), level.to_owned()));
            }
            Some(_) => {}
            None => levels.push(("log.default.level".to_owned(), part.to_owned())),
        }
    }
    levels
}
