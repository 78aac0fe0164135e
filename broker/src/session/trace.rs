//! The firehose: what is published and delivered in a virtual host goes to `amq.rabbitmq.trace` as well, while
//! an operator wants that.

use amq_protocol::types::{AMQPValue, FieldArray, FieldTable};
use lepus_protocol::properties;

use super::Session;
use crate::envelope;
use crate::message::Message;
use crate::node::Node;

/// The exchange that every virtual host has.
const EXCHANGE: &str = "amq.rabbitmq.trace";

/// Properties without any.
const NO_PROPERTIES: [u8; 2] = [0, 0];

impl Session {
    /// A message was published, to the queues in the channel's route.
    #[cold]
    pub(super) fn trace_publish(&self, number: u16, message: &Message) {
        let mut queues = FieldArray::default();
        for queue in self.channel(number).iter().flat_map(|channel| &channel.route.queues) {
            queues.push(text(queue.name()));
        }
        let routed = [("routed_queues", AMQPValue::FieldArray(queues))];
        let exchange = String::from_utf8_lossy(message.exchange());
        self.trace(number, message, &format!("publish.{exchange}"), routed);
    }

    /// A message of a queue was delivered, or taken with basic.get.
    #[cold]
    pub(super) fn trace_delivery(
        &self,
        number: u16,
        message: &Message,
        queue: &str,
        redelivered: bool,
    ) {
        let redelivered = [("redelivered", AMQPValue::LongInt(i32::from(redelivered)))];
        self.trace(number, message, &format!("deliver.{queue}"), redelivered);
    }

    fn trace(&self, number: u16, message: &Message, key: &str, more: [(&str, AMQPValue); 1]) {
        // What tells of messages is not told of.
        if message.exchange() == EXCHANGE.as_bytes() {
            return;
        }
        let peer = &self.peer;
        let mut headers = FieldTable::default();
        let found = envelope::headers(message);
        let extra = found.as_ref().and_then(|headers| envelope::extra_keys(headers).ok());
        let mut extra = extra.unwrap_or_default();
        extra.extend(message.hidden_keys());
        let mut keys = FieldArray::default();
        for key in envelope::keys(message, &extra) {
            keys.push(AMQPValue::LongString(key.to_vec().into()));
        }
        for (name, value) in [
            ("exchange_name", AMQPValue::LongString(message.exchange().to_vec().into())),
            ("routing_keys", AMQPValue::FieldArray(keys)),
            ("properties", AMQPValue::FieldTable(shown(message, found))),
            ("node", text(Node::NAME)),
            ("vhost", text(&peer.vhost.name)),
            ("connection", text(&peer.name)),
            ("channel", AMQPValue::LongInt(i32::from(number))),
            ("user", text(&peer.user)),
        ]
        .into_iter()
        .chain(more)
        {
            headers.insert(name.into(), value);
        }
        let route = [EXCHANGE, key];
        let body = message.body();
        let copy = Message::of_broker(self.now, route, &NO_PROPERTIES, &headers, body, false);
        if let Some(copy) = copy {
            peer.vhost.publish_inside(&copy);
        }
    }
}

/// The properties that a message has, but for the header BCC.
fn shown(message: &Message, headers: Option<FieldTable>) -> FieldTable {
    let mut table = FieldTable::default();
    if let Some(headers) = headers {
        let headers = envelope::without(&headers, "BCC");
        table.insert("headers".into(), AMQPValue::FieldTable(headers));
    }
    let Some(found) = properties::parse(message.properties()) else { return table };
    for (name, value) in envelope::texts(&found) {
        table.insert(name.into(), text(value));
    }
    for (name, number) in envelope::numbers(&found) {
        // RabbitMQ has signed integers of 32 bits here, which a timestamp may not fit.
        let value = i32::try_from(number).map_or_else(
            |_| AMQPValue::LongLongInt(i64::try_from(number).unwrap_or(i64::MAX)),
            AMQPValue::LongInt,
        );
        table.insert(name.into(), value);
    }
    table
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}
