//! `rabbitmq-plugins`: what is a plugin there is built in here, and cannot be switched off.

use regex::Regex;
use serde_json::json;

use super::call::{Call, Formatter, UNAVAILABLE, error};
use crate::cli::failure::{Done, Failure};
use crate::definitions::RABBITMQ_VERSION;

/// Plugins whose work Lepus does.
const BUILT_IN: &[&str] = &[
    "rabbitmq_auth_backend_cache",
    "rabbitmq_auth_backend_http",
    "rabbitmq_auth_backend_oauth2",
    "rabbitmq_auth_mechanism_ssl",
    "rabbitmq_consistent_hash_exchange",
    "rabbitmq_delayed_message_exchange",
    "rabbitmq_event_exchange",
    "rabbitmq_management",
    "rabbitmq_management_agent",
    "rabbitmq_message_deduplication",
    "rabbitmq_prometheus",
    "rabbitmq_random_exchange",
    "rabbitmq_recent_history_exchange",
    "rabbitmq_web_dispatch",
];

pub fn list(call: &Call) -> Done {
    let pattern = call.words.first().map_or(".*", String::as_str);
    call.banner(&format!("Listing plugins with pattern \"{pattern}\" ..."))?;
    let wanted = Regex::new(pattern)
        .map_err(|_| Failure::new(super::USAGE, format!("{pattern} is no regular expression")))?;
    let found: Vec<&str> = BUILT_IN.iter().copied().filter(|name| wanted.is_match(name)).collect();
    if call.formatter == Formatter::Json {
        let plugin = |name: &&str| {
            json!({
                "name": name, "version": RABBITMQ_VERSION, "enabled": "enabled", "running": true,
                "running_version": RABBITMQ_VERSION,
            })
        };
        return call
            .print(&json!({"plugins": found.iter().map(plugin).collect::<Vec<_>>()}).to_string());
    }
    if call.options.minimal {
        return call.print(&found.join("\n"));
    }
    let width = found.iter().map(|name| name.len()).max().unwrap_or_default();
    let line = |name: &&str| format!("[E*] {name:width$} {RABBITMQ_VERSION}");
    call.banner(&format!(
        " Configured: E = explicitly enabled; e = implicitly enabled\n | Status: * = running on {}\n |/",
        call.node()
    ))?;
    call.print(&found.iter().map(line).collect::<Vec<_>>().join("\n"))
}

pub fn is_enabled(call: &Call) -> Done {
    let (names, node) = (call.words.join(", "), call.node());
    call.banner(&format!("Asking node {node} if plugin {names} is enabled..."))?;
    match missing(&call.words) {
        missing if missing.is_empty() => {
            call.print(&format!("Plugin {names} is enabled on node {node}"))
        }
        missing => Err(error(
            UNAVAILABLE,
            format!(
                "Plugin {} is not enabled on node {node}. Enabled plugins and dependencies: {}",
                missing.join(", "),
                BUILT_IN.join(", ")
            ),
        )),
    }
}

/// What there is, is on.
pub fn enable(call: &Call) -> Done {
    let missing = missing(&call.words);
    if !missing.is_empty() {
        let missing: Vec<String> = missing.iter().map(|name| format!(":{name}")).collect();
        let why = format!("{{:plugins_not_found, [{}]}}", missing.join(", "));
        return Err(error(UNAVAILABLE, why));
    }
    call.banner(&format!("Enabling plugins on node {}:", call.node()))?;
    call.banner(&call.words.join("\n"))?;
    call.print("Plugin configuration unchanged.")
}

pub fn disable(call: &Call) -> Done {
    match call.words.iter().find(|name| BUILT_IN.contains(&name.as_str())) {
        Some(name) => Err(error(UNAVAILABLE, format!("{name} is built in: it cannot be disabled"))),
        None => call.print("Plugin configuration unchanged."),
    }
}

pub fn directories(call: &Call) -> Done {
    call.banner("Listing plugin directories used by node ...")?;
    call.print("There are none: what plugins do in RabbitMQ is built in.")
}

fn missing(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).filter(|name| !BUILT_IN.contains(name)).collect()
}
