//! The log as messages: each line is published to `amq.rabbitmq.log` in the default virtual host, with its
//! level as routing key, as RabbitMQ does it.

use std::sync::Arc;

use amq_protocol::types::{AMQPValue, FieldTable};

use super::json::level;
use super::lines::{Bringer, Line};
use crate::config::logging::Formatter;
use crate::message::Message;
use crate::node::Node;
use crate::routing::ExchangeKind;
use crate::topology::{Command, ExchangeSpec};
use crate::vhost::Vhost;

/// Where lines go.
const EXCHANGE: &str = "amq.rabbitmq.log";

/// Properties content-type and timestamp.
const PROPERTIES: u16 = 0x8040;

/// Publishes what comes, from now on and what has waited.
///
/// # Errors
/// There can be no more threads.
pub(super) fn publish(
    lines: Bringer,
    node: &Arc<Node>,
    formatter: Formatter,
) -> std::io::Result<()> {
    let node = node.clone();
    if let Some(vhost) = node.vhost(&node.config().default_vhost) {
        declare(&node, &vhost);
    }
    lines.start("lepus-log", move |line| {
        // What is said at the end comes to no queue any more.
        if !node.is_stopping() {
            publish_line(&node, formatter, &line);
        }
    })
}

fn publish_line(node: &Arc<Node>, formatter: Formatter, line: &Line) {
    let Some(vhost) = node.vhost(&node.config().default_vhost) else { return };
    // The virtual host may be a new one.
    if vhost.read(|topology| topology.exchange(EXCHANGE).is_err()) {
        declare(node, &vhost);
    }
    let now = node.now_ms();
    let kind: &[u8] = match formatter {
        Formatter::Plaintext => b"text/plain",
        Formatter::Json => b"application/json",
    };
    let seconds = (now / 1000).to_be_bytes();
    let properties = [&PROPERTIES.to_be_bytes()[..], &[kind.len() as u8], kind, &seconds].concat();
    let mut headers = FieldTable::default();
    headers.insert("node".into(), AMQPValue::LongString(Node::NAME.into()));
    let route = [EXCHANGE, level(line.level)];
    if let Some(message) = Message::of_broker(now, route, &properties, &headers, &line.text, false)
    {
        vhost.publish_inside(&message);
    }
}

fn declare(node: &Arc<Node>, vhost: &Vhost) {
    let spec = ExchangeSpec {
        name: EXCHANGE.to_owned(),
        kind: ExchangeKind::Topic,
        durable: true,
        auto_delete: false,
        internal: true,
        arguments: FieldTable::default(),
    };
    if let Err(refusal) = vhost.apply(node, Command::ProvideExchange(spec)) {
        tracing::debug!("{EXCHANGE} in '{}': {}", vhost.name, refusal.text);
    }
}
