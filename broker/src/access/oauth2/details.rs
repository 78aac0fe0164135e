//! Rich authorization requests (RFC 9396): the claim `authorization_details`, as RabbitMQ makes scopes of it.

use std::collections::HashMap;

use serde_json::Value;

use super::scopes::{Wildcard, any};
use super::servers::Server;
use super::texts;

/// What may be done in the places that a request names.
const ACTIONS: [&str; 3] = ["configure", "read", "write"];

/// Tags, whatever the places.
const TAGS: [&str; 4] = ["administrator", "management", "monitoring", "policymaker"];

/// The scopes that a server's requests are, with its name before them.
pub fn scopes(claim: &Value, server: &Server) -> Vec<String> {
    let Some(kind) = server.kind.as_deref().filter(|kind| !kind.is_empty()) else {
        return Vec::new();
    };
    let requests = claim.as_array().into_iter().flatten();
    let meant =
        requests.filter(|request| request.get("type").and_then(Value::as_str) == Some(kind));
    meant.flat_map(|request| of(request, server)).collect()
}

fn of(request: &Value, server: &Server) -> Vec<String> {
    let list = |name| match request.get(name) {
        Some(Value::String(one)) => vec![one.clone()],
        other => other.map(texts).unwrap_or_default(),
    };
    let places: Vec<String> =
        list("locations").iter().filter_map(|place| resource(place, server)).collect();
    if places.is_empty() {
        return Vec::new();
    }
    let server = &server.id;
    let scopes = |action: &String| match action.as_str() {
        tag if TAGS.contains(&tag) => vec![format!("{server}.tag:{tag}")],
        action if ACTIONS.contains(&action) => {
            places.iter().map(|place| format!("{server}.{action}:{place}")).collect()
        }
        _ => Vec::new(),
    };
    list("actions").iter().flat_map(scopes).collect()
}

/// What a scope says of a place such as `cluster:mq/vhost:v/queue:q`, if it is this server's.
fn resource(place: &str, server: &Server) -> Option<String> {
    let parts: HashMap<&str, &str> = place
        .split('/')
        .filter_map(|part| part.split_once(':'))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let part = |name| parts.get(name).copied();
    let (queue, exchange) = (part("queue"), part("exchange"));
    let legal = queue.is_none() || exchange.is_none() || queue == exchange;
    let ours = part("cluster").is_some_and(|cluster| Wildcard::parse(cluster).matches(&server.id));
    let any = any(server.scope_syntax);
    let name = queue.or(exchange).unwrap_or(any);
    let (vhost, key) = (part("vhost").unwrap_or(any), part("routing-key").unwrap_or(any));
    (ours && legal).then(|| format!("{vhost}/{name}/{key}"))
}
