//! What a client does on one channel, and what it expects there.

use std::time::{Duration, Instant};

use amq_protocol::protocol::{
    AMQPClass, BasicProperties, basic, channel, confirm, exchange, queue,
};

use crate::ask;
use crate::broker::on_target;
use crate::conn::{Conn, DEADLINE};
use crate::values::props;
use crate::wire::{BODY, Frame, HEADER, Method, body_frame, header_frame};

/// One channel of a connection.
#[derive(Debug)]
pub struct Chan<'a> {
    /// The connection.
    pub conn: &'a mut Conn,
    /// The channel's number.
    pub id: u16,
}

/// A message with the method that brought it.
#[derive(Debug, Clone, PartialEq)]
pub struct Message<M> {
    /// `basic.deliver`, `basic.get-ok` or `basic.return`.
    pub method: M,
    /// The properties, decoded.
    pub properties: BasicProperties,
    /// The properties' flags and values as they came.
    pub raw_properties: Vec<u8>,
    /// The body.
    pub body: Vec<u8>,
    /// The size of each body frame.
    pub frames: Vec<usize>,
}

impl<M> Message<M> {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body of text")
    }
}

impl Chan<'_> {
    /// Sends a method.
    pub fn send(&mut self, method: impl Method) {
        self.conn.send(self.id, method);
    }

    /// Sends a method and reads the answer.
    #[track_caller]
    pub fn call<T: Method>(&mut self, method: impl Method) -> T {
        self.send(method);
        self.expect()
    }

    /// Reads the channel's next frame, which must be this method.
    #[track_caller]
    pub fn expect<T: Method>(&mut self) -> T {
        self.conn.expect(self.id)
    }

    /// Sends a method that closes the channel, with this code and text and the method's own ids.
    #[track_caller]
    pub fn refused(&mut self, method: impl Method, code: u16, text: &str) {
        let method = method.wrap();
        let ids = (method.get_amqp_class_id(), method.get_amqp_method_id());
        self.send(method);
        self.expect_close(code, text, ids);
    }

    /// Sends a method that closes the connection, with this code and text and the method's own ids.
    #[track_caller]
    pub fn fatal(&mut self, method: impl Method, code: u16, text: &str) {
        let method = method.wrap();
        let ids = (method.get_amqp_class_id(), method.get_amqp_method_id());
        self.send(method);
        self.conn.expect_close(code, text, ids);
    }

    /// Reads a `channel.close`, which must be this one, and answers it: the number is free again.
    #[track_caller]
    pub fn expect_close(&mut self, code: u16, text: &str, class_and_method: (u16, u16)) {
        let close: channel::Close = self.expect();
        let got = (close.reply_code, close.reply_text.as_str(), (close.class_id, close.method_id));
        assert_eq!(got, (code, text, class_and_method));
        self.send(channel::CloseOk {});
    }

    /// Opens the channel again after it was closed.
    #[track_caller]
    pub fn reopen(&mut self) {
        let _: channel::OpenOk = self.call(channel::Open {});
    }

    /// Closes the channel.
    #[track_caller]
    pub fn close(&mut self) {
        let close =
            channel::Close { reply_code: 200, reply_text: "bye".into(), class_id: 0, method_id: 0 };
        self.send(close);
        loop {
            let frame = self.conn.next_on(self.id);
            if frame.method().and_then(channel::CloseOk::find).is_some() {
                return;
            }
        }
    }

    /// Declares a queue with the default flags and returns its name.
    #[track_caller]
    pub fn queue(&mut self, name: &str) -> String {
        self.declare(ask::declare(name)).queue.to_string()
    }

    /// Declares an exclusive queue that the server names.
    #[track_caller]
    pub fn temp_queue(&mut self) -> String {
        self.declare(queue::Declare { exclusive: true, ..ask::declare("") }).queue.to_string()
    }

    /// Declares a queue.
    #[track_caller]
    pub fn declare(&mut self, declare: queue::Declare) -> queue::DeclareOk {
        self.call(declare)
    }

    /// A queue's counts, by passive declare: (messages ready, consumers).
    #[track_caller]
    pub fn counts(&mut self, queue: &str) -> (u32, u32) {
        let ok = self.declare(ask::look(queue));
        (ok.message_count, ok.consumer_count)
    }

    /// Waits until a queue's counts are these: RabbitMQ lets a declare overtake earlier publishes.
    #[track_caller]
    pub fn expect_counts(&mut self, queue: &str, expected: (u32, u32)) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let counts = self.counts(queue);
            if counts == expected {
                return;
            }
            assert!(Instant::now() < deadline, "the counts are {counts:?}, not {expected:?}");
        }
    }

    /// Declares an exchange.
    #[track_caller]
    pub fn exchange(&mut self, name: &str, kind: &str) {
        let _: exchange::DeclareOk = self.call(ask::declare_exchange(name, kind));
    }

    /// Binds a queue.
    #[track_caller]
    pub fn bind(&mut self, queue: &str, exchange: &str, key: &str) {
        let _: queue::BindOk = self.call(ask::bind(queue, exchange, key));
    }

    /// Binds an exchange to another one.
    #[track_caller]
    pub fn bind_exchange(&mut self, destination: &str, source: &str, key: &str) {
        let _: exchange::BindOk = self.call(ask::bind_exchange(destination, source, key));
    }

    /// Publishes a message without properties.
    pub fn publish(&mut self, exchange: &str, key: &str, body: impl AsRef<[u8]>) {
        self.publish_with(ask::publish(exchange, key), &props(), body);
    }

    /// Publishes a message; its body is cut into frames of the connection's `frame_max`.
    pub fn publish_with(
        &mut self,
        publish: basic::Publish,
        properties: &BasicProperties,
        body: impl AsRef<[u8]>,
    ) {
        let body = body.as_ref();
        let mut bytes = publish.bytes(self.id);
        bytes.extend(header_frame(self.id, body.len() as u64, properties));
        for chunk in body.chunks(self.conn.frame_max as usize - 8) {
            bytes.extend(body_frame(self.id, chunk));
        }
        self.conn.send_raw(&bytes);
    }

    /// Publishes texts to a queue through the default exchange.
    pub fn publish_all<'a>(&mut self, queue: &str, bodies: impl IntoIterator<Item = &'a str>) {
        for body in bodies {
            self.publish("", queue, body);
        }
    }

    /// Consumes with manual acknowledgement.
    #[track_caller]
    pub fn consume(&mut self, queue: &str, tag: &str) -> String {
        self.consume_with(ask::consume(queue, tag))
    }

    /// Consumes and returns the consumer's tag.
    #[track_caller]
    pub fn consume_with(&mut self, consume: basic::Consume) -> String {
        let ok: basic::ConsumeOk = self.call(consume);
        ok.consumer_tag.to_string()
    }

    /// Reads the content that follows a method.
    #[track_caller]
    pub fn content<M: Method>(&mut self) -> Message<M> {
        let method: M = self.expect();
        let header = self.conn.next_on(self.id);
        assert_eq!(header.kind, HEADER, "expected a content header, got {header:?}");
        let size =
            header.payload[4..12].iter().fold(0, |size, byte| size << 8 | usize::from(*byte));
        let raw_properties = header.payload[12..].to_vec();
        let (_, properties) = basic::parse_properties(&raw_properties[..]).expect("properties");
        let (mut body, mut frames) = (Vec::new(), Vec::new());
        while body.len() < size {
            let frame: Frame = self.conn.next_on(self.id);
            assert_eq!(frame.kind, BODY, "expected a body, got {frame:?}");
            frames.push(frame.payload.len());
            body.extend(frame.payload);
        }
        Message { method, properties, raw_properties, body, frames }
    }

    /// Reads a delivery.
    #[track_caller]
    pub fn delivery(&mut self) -> Message<basic::Deliver> {
        self.content()
    }

    /// Reads as many deliveries as there are texts, which must be their bodies in this order.
    #[track_caller]
    pub fn deliveries<const N: usize>(
        &mut self,
        bodies: [&str; N],
    ) -> [Message<basic::Deliver>; N] {
        bodies.map(|body| {
            let delivery = self.delivery();
            assert_eq!(delivery.text(), body);
            delivery
        })
    }

    /// Reads a returned message.
    #[track_caller]
    pub fn returned(&mut self) -> Message<basic::Return> {
        self.content()
    }

    /// Gets a message, if there is one.
    #[track_caller]
    pub fn get(&mut self, queue: &str, no_ack: bool) -> Option<Message<basic::GetOk>> {
        self.send(basic::Get { no_ack, ..ask::get(queue) });
        let frame = self.conn.next_on(self.id);
        if frame.method().and_then(basic::GetEmpty::find).is_some() {
            return None;
        }
        self.conn.put_back(frame);
        Some(self.content())
    }

    /// Gets a message that must be there, to be acknowledged.
    #[track_caller]
    pub fn got(&mut self, queue: &str) -> Message<basic::GetOk> {
        self.get(queue, false).expect("a message")
    }

    /// Takes every message of a queue and returns the bodies.
    #[track_caller]
    pub fn drain(&mut self, queue: &str) -> Vec<String> {
        std::iter::from_fn(|| self.get(queue, true))
            .map(|message| message.text().to_string())
            .collect()
    }

    /// Goes to a queue and back, twice: what earlier methods of this channel caused has been read when this returns.
    ///
    /// RabbitMQ answers the declare before older work of the queue, so another broker is given a moment.
    #[track_caller]
    pub fn barrier(&mut self, queue: &str) -> Vec<Frame> {
        let mut between = Vec::new();
        for _ in 0..2 {
            if on_target() {
                std::thread::sleep(Duration::from_millis(20));
            }
            self.send(ask::look(queue));
            loop {
                let frame = self.conn.next_on(self.id);
                if frame.method().and_then(queue::DeclareOk::find).is_some() {
                    break;
                }
                between.push(frame);
            }
        }
        between
    }

    /// Makes sure that nothing comes on this channel, by round trips to a queue.
    #[track_caller]
    pub fn expect_silence(&mut self, queue: &str) {
        let between = self.barrier(queue);
        assert!(between.is_empty(), "expected nothing, got {between:?}");
    }

    /// Turns publisher confirms on.
    #[track_caller]
    pub fn confirm_select(&mut self) {
        let _: confirm::SelectOk = self.call(confirm::Select { nowait: false });
    }

    /// Reads confirms until everything up to `last` is confirmed, singly or several at once;
    /// each must be an ack, and none may come twice.
    #[track_caller]
    pub fn confirmed(&mut self, first: u64, last: u64) {
        let mut open: std::collections::BTreeSet<u64> = (first..=last).collect();
        while !open.is_empty() {
            let ack: basic::Ack = self.expect();
            let tags: Vec<u64> = match (ack.multiple, ack.delivery_tag) {
                (true, 0) => open.iter().copied().collect(),
                (true, tag) => open.range(..=tag).copied().collect(),
                (false, tag) => vec![tag],
            };
            assert!(!tags.is_empty(), "confirmed again: {ack:?}");
            for tag in tags {
                assert!(open.remove(&tag), "not published or confirmed twice: {ack:?}");
            }
        }
    }

    /// Sends a method by its bytes, for arguments that amq-protocol cannot write.
    pub fn send_bytes(&mut self, class_id: u16, method_id: u16, arguments: &[u8]) {
        let bytes = crate::wire::method_frame(self.id, class_id, method_id, arguments);
        self.conn.send_raw(&bytes);
    }

    /// Sends methods and messages in one write: see [`Conn::send_together`].
    pub fn send_together(&mut self, methods: impl IntoIterator<Item = AMQPClass>) {
        let id = self.id;
        self.conn.send_together(methods.into_iter().map(|method| (id, method)));
    }
}
