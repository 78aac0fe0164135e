//! Who the broker says it is, and what clients say of themselves.

use amq_protocol::protocol::connection::Start;
use amq_protocol::types::{AMQPValue, FieldTable, LongString};

use crate::config::Config;

/// The version of RabbitMQ whose behaviour clients may expect. Celery's kombu only uses
/// channel-wide prefetch limits, and with them fetches ahead of delayed tasks, below 4.0.
pub const VERSION: &str = "3.13.7";

/// RabbitMQ's extensions, all of them served.
const CAPABILITIES: &[&str] = &[
    "publisher_confirms",
    "exchange_exchange_bindings",
    "basic.nack",
    "consumer_cancel_notify",
    "connection.blocked",
    "consumer_priorities",
    "authentication_failure_close",
    "per_consumer_qos",
    "direct_reply_to",
];

/// connection.start, with the SASL mechanisms that are offered.
pub fn start(config: &Config, mechanisms: &str) -> Start {
    let cluster_name = config.cluster_name.as_deref().unwrap_or("lepus");
    let mut capabilities = FieldTable::default();
    for name in CAPABILITIES {
        capabilities.insert((*name).into(), AMQPValue::Boolean(true));
    }
    let mut properties = FieldTable::default();
    properties.insert("capabilities".into(), AMQPValue::FieldTable(capabilities));
    for (name, value) in [
        ("product", "RabbitMQ"),
        ("version", VERSION),
        ("platform", "Lepus"),
        ("cluster_name", cluster_name),
        ("information", "AMQP 0-9-1 message broker"),
        ("copyright", "The Lepus authors"),
        ("broker", "Lepus"),
        ("broker_version", env!("CARGO_PKG_VERSION")),
    ] {
        properties.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    Start {
        version_major: 0,
        version_minor: 9,
        server_properties: properties,
        mechanisms: LongString::from(mechanisms),
        locales: LongString::from("en_US"),
    }
}

/// What a client can be told (client-properties, `capabilities`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientCapabilities {
    /// basic.cancel from the broker.
    pub cancel_notify: bool,
    /// connection.blocked and unblocked.
    pub blocked: bool,
    /// connection.close when a login is refused.
    pub authentication_failure_close: bool,
}

impl ClientCapabilities {
    /// Reads the client's properties.
    pub fn of(properties: &FieldTable) -> Self {
        let Some(AMQPValue::FieldTable(table)) = properties.inner().get("capabilities") else {
            return Self::default();
        };
        let has = |name: &str| matches!(table.inner().get(name), Some(AMQPValue::Boolean(true)));
        Self {
            cancel_notify: has("consumer_cancel_notify"),
            blocked: has("connection.blocked"),
            authentication_failure_close: has("authentication_failure_close"),
        }
    }
}
