//! What may come with requests, for the document of the API.

use utoipa::openapi::HttpMethod;
use utoipa::openapi::schema::Type;

/// Keys of bodies, and the types of their values.
type Keys = &'static [(&'static str, Type)];

/// What the query of whoever asks for something may have, where nothing else is said.
const QUERY: [&str; 15] = [
    "page",
    "page_size",
    "name",
    "use_regex",
    "sort",
    "sort_reverse",
    "columns",
    "disable_stats",
    "enable_queue_totals",
    "lengths_age",
    "lengths_incr",
    "msg_rates_age",
    "msg_rates_incr",
    "data_rates_age",
    "data_rates_incr",
];

/// What the query of a request may have.
pub(super) fn query(method: &HttpMethod, path: &str) -> &'static [&'static str] {
    match (method, path) {
        (HttpMethod::Get, "/api/x/events") => &["event", "vhost"],
        (HttpMethod::Get, "/api/x/logs") => &["level"],
        (HttpMethod::Get, path) if path.ends_with("/messages") => {
            &["state", "page_size", "after", "search", "truncate", "since"]
        }
        (HttpMethod::Get, _) => &QUERY,
        (HttpMethod::Delete, "/api/queues/{vhost}/{queue}") => &["if-unused", "if-empty"],
        (HttpMethod::Delete, "/api/exchanges/{vhost}/{exchange}") => &["if-unused"],
        _ => &[],
    }
}

/// The keys that are looked at in the body of a request.
pub(super) fn keys(method: &HttpMethod, path: &str) -> Keys {
    use Type::{Array, Boolean, Integer, Object, String};
    match (method, path) {
        (_, "/api/queues/{vhost}/{queue}") => {
            &[("durable", Boolean), ("auto_delete", Boolean), ("arguments", Object)]
        }
        (_, "/api/exchanges/{vhost}/{exchange}") => &[
            ("type", String),
            ("durable", Boolean),
            ("auto_delete", Boolean),
            ("internal", Boolean),
            ("arguments", Object),
        ],
        (HttpMethod::Post, path) if path.starts_with("/api/bindings/") => {
            &[("routing_key", String), ("arguments", Object)]
        }
        (_, "/api/exchanges/{vhost}/{exchange}/publish") => &[
            ("properties", Object),
            ("routing_key", String),
            ("payload", String),
            ("payload_encoding", String),
        ],
        (_, "/api/queues/{vhost}/{queue}/get") => {
            &[("count", Integer), ("ackmode", String), ("encoding", String), ("truncate", Integer)]
        }
        (_, "/api/users/{user}") => &[
            ("password", String),
            ("password_hash", String),
            ("hashing_algorithm", String),
            ("tags", String),
        ],
        (_, "/api/permissions/{vhost}/{user}") => {
            &[("configure", String), ("write", String), ("read", String)]
        }
        (_, "/api/topic-permissions/{vhost}/{user}") => {
            &[("exchange", String), ("write", String), ("read", String)]
        }
        (_, "/api/vhosts/{vhost}") => &[
            ("description", String),
            ("tags", String),
            ("default_queue_type", String),
            ("tracing", Boolean),
            ("protected_from_deletion", Boolean),
        ],
        (_, path) if path.contains("policies/") => &[
            ("pattern", String),
            ("definition", Object),
            ("priority", Integer),
            ("apply-to", String),
        ],
        (_, path) if path.contains("-limits/") => &[("value", Integer)],
        (_, "/api/cluster-name") => &[("name", String)],
        (_, "/api/x/log-level") => &[("level", String)],
        (HttpMethod::Post, path) if path.starts_with("/api/x/") && path.contains("/messages/") => {
            &[
                ("positions", Array),
                ("search", String),
                ("all", Boolean),
                ("state", String),
                ("after", String),
                ("limit", Integer),
                ("rate", Integer),
                ("to_queue", String),
                ("to_exchange", String),
                ("to_routing_key", String),
                ("death", String),
                ("via", String),
            ]
        }
        _ => &[],
    }
}
