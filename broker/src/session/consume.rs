//! Consumers and basic.get.

use std::sync::Arc;

use amq_protocol::protocol::{AMQPClass, basic};
use amq_protocol::types::{AMQPValue, FieldTable};
use lepus_protocol::encode::{self, Deliver};
use lepus_protocol::reply::ReplyCode;

use super::channel::{Held, ReplyConsumer};
use super::hold::Hold;
use super::reply_to::{REPLY_PREFIX, REPLY_TO};
use super::{Consumer, Session, short};
use crate::access::{Kind, Resource};
use crate::envelope;
use crate::error::Refusal;
use crate::limits::CONSUMERS_PER_CHANNEL_MAX;
use crate::out::Out;
use crate::queue::Queue;
use crate::queue::state::{Command, ConsumerKey, ConsumerSpec, Entry, Outcome};
use crate::topology::arguments::{integer, non_negative, type_name};

impl Session {
    /// basic.consume.
    pub(super) fn consume(
        &mut self,
        number: u16,
        consume: &basic::Consume,
        out: &mut Out,
    ) -> Result<(), Refusal> {
        let tag = match consume.consumer_tag.as_str() {
            "" => generated("amq.ctag-"),
            tag => tag.to_owned(),
        };
        let Some(channel) = self.channel_mut(number) else { return Ok(()) };
        let known_reply = channel.reply_consumer.as_ref().is_some_and(|reply| reply.tag == tag);
        if known_reply || channel.consumers.contains_key(&tag) {
            let text = format_args!("attempt to reuse consumer tag '{tag}'");
            return Err(Refusal::new(ReplyCode::NotAllowed, text));
        }
        if channel.consumers.len() >= CONSUMERS_PER_CHANNEL_MAX {
            return Err(Refusal::precondition("limit of consumers per channel reached"));
        }
        let queue = self.queue_name(number, consume.queue.as_str())?;
        if queue == REPLY_TO {
            self.consume_replies(number, consume, &tag)?;
        } else {
            self.consume_queue(number, consume, &tag, &queue)?;
        }
        if !consume.nowait {
            let ok = basic::ConsumeOk { consumer_tag: short(&tag) };
            out.method(number, &AMQPClass::Basic(basic::AMQPMethod::ConsumeOk(ok)));
        }
        self.pull(number);
        Ok(())
    }

    fn consume_replies(
        &mut self,
        number: u16,
        consume: &basic::Consume,
        tag: &str,
    ) -> Result<(), Refusal> {
        let connection = self.peer.connection;
        let Some(channel) = self.channel_mut(number) else { return Ok(()) };
        if !consume.no_ack {
            return Err(Refusal::precondition("reply consumer cannot acknowledge"));
        }
        if channel.reply_consumer.is_some() {
            return Err(Refusal::precondition("reply consumer already set"));
        }
        let key = generated(REPLY_PREFIX);
        channel.reply_consumer = Some(ReplyConsumer { tag: tag.to_owned(), key: key.clone() });
        self.peer.node.await_replies(key, connection, number);
        Ok(())
    }

    fn consume_queue(
        &mut self,
        number: u16,
        consume: &basic::Consume,
        tag: &str,
        name: &str,
    ) -> Result<(), Refusal> {
        self.permit(Resource::Queue(name), Kind::Read)?;
        let queue = self.usable_queue(name)?;
        let priority = priority(&consume.arguments, name, &self.peer.vhost.name)?;
        let timeout = timeout(&consume.arguments, name, &self.peer.vhost.name)?;
        let key = self.new_consumer_key();
        let window = self.consumer_window();
        let Some(channel) = self.channel_mut(number) else { return Ok(()) };
        let spec = ConsumerSpec {
            key,
            no_ack: consume.no_ack,
            exclusive: consume.exclusive,
            prefetch: u32::from(channel.prefetch),
            priority,
            pull: channel.global.is_some(),
            window,
            timeout,
        };
        channel.consumers.insert(tag.to_owned(), key.number);
        let slot = self.slot_of(&queue);
        let consumer = Consumer {
            channel: number,
            tag: short(tag),
            queue: queue.clone(),
            slot,
            no_ack: spec.no_ack,
            arguments: (!consume.arguments.inner().is_empty())
                .then(|| Box::new(consume.arguments.clone())),
            window,
            owed: 0,
            granted: 0,
            cancelled: false,
        };
        self.consumers.insert(key.number, consumer);
        let refused = match queue.apply(Command::Consume(spec)) {
            Outcome::ExclusiveUse => {
                let vhost = &self.peer.vhost.name;
                Refusal::access(format_args!("queue '{name}' in vhost '{vhost}' in exclusive use"))
            }
            Outcome::Gone => Refusal::not_found("queue", name, &self.peer.vhost.name),
            _ => {
                self.tell_consumer_created(number, consume, tag, name);
                return Ok(());
            }
        };
        self.forget_consumer(key.number);
        Err(refused)
    }

    fn forget_consumer(&mut self, consumer: u32) {
        let Some(Consumer { channel, tag, .. }) = self.consumers.remove(&consumer) else { return };
        if let Some(channel) = self.channel_mut(channel) {
            channel.consumers.remove(tag.as_str());
        }
    }

    /// basic.cancel: what is on its way to the consumer is delivered before cancel-ok.
    pub(super) fn cancel(
        &mut self,
        number: u16,
        cancel: &basic::Cancel,
        out: &mut Out,
    ) -> Result<(), Refusal> {
        let tag = cancel.consumer_tag.as_str();
        let Some(channel) = self.channel_mut(number) else { return Ok(()) };
        if channel.reply_consumer.as_ref().is_some_and(|reply| reply.tag == tag) {
            self.stop_replies(number);
        }
        let Some(channel) = self.channel(number) else { return Ok(()) };
        if let Some(consumer) = channel.consumers.get(tag).copied() {
            let unacked = self.stop_consumer(consumer, Command::Cancel);
            self.collect_mail(out);
            self.count_in_flight(consumer, unacked);
            self.end_consumer(consumer);
        }
        if !cancel.nowait {
            let ok = basic::CancelOk { consumer_tag: cancel.consumer_tag.clone() };
            out.method(number, &AMQPClass::Basic(basic::AMQPMethod::CancelOk(ok)));
        }
        Ok(())
    }

    /// Tells the queue that the consumer leaves; returns the messages that it holds by the queue's count.
    pub(super) fn stop_consumer(
        &mut self,
        consumer: u32,
        how: impl FnOnce(ConsumerKey) -> Command,
    ) -> u32 {
        let connection = self.peer.connection;
        let Some(Consumer { queue, .. }) = self.consumers.get(&consumer) else { return 0 };
        let key = ConsumerKey { connection, number: consumer };
        match queue.apply(how(key)) {
            Outcome::Unacked(unacked) => unacked,
            _ => 0,
        }
    }

    /// Under a channel-wide limit: what the queue counts beyond what the channel holds is still on
    /// its way here, from another thread.
    fn count_in_flight(&mut self, number: u32, unacked: u32) {
        let Some(consumer) = self.consumers.get(&number) else { return };
        let Some(channel) = self.channel(consumer.channel) else { return };
        if channel.global.is_none() || consumer.no_ack {
            return;
        }
        let in_tx = channel.tx.iter().flat_map(|tx| tx.settled());
        let held = channel.unacked.iter().map(|(_, held)| held).chain(in_tx);
        let held = held.filter(|held| held.consumer == number).count() as u32;
        if let Some(consumer) = self.consumers.get_mut(&number) {
            consumer.granted = unacked.saturating_sub(held);
        }
    }

    /// Forgets a consumer; one with granted messages on their way stays until they have arrived
    /// and gone back, so that the channel's limit stays right.
    pub(super) fn end_consumer(&mut self, number: u32) {
        self.tell_consumer_deleted(number, &self.peer.user);
        let Some(consumer) = self.consumers.get_mut(&number) else { return };
        if consumer.granted == 0 {
            return self.forget_consumer(number);
        }
        consumer.cancelled = true;
        let (channel, tag) = (consumer.channel, consumer.tag.clone());
        if let Some(channel) = self.channel_mut(channel) {
            channel.consumers.remove(tag.as_str());
        }
    }

    /// basic.get.
    pub(super) fn get(
        &mut self,
        number: u16,
        get: &basic::Get,
        out: &mut Out,
    ) -> Result<(), Refusal> {
        let name = self.queue_name(number, get.queue.as_str())?;
        self.permit(Resource::Queue(&name), Kind::Read)?;
        let queue = self.usable_queue(&name)?;
        if queue.is_quorum() && has_single_consumer(&queue) {
            let vhost = &self.peer.vhost.name;
            return Err(Refusal::new(
                ReplyCode::ResourceLocked,
                format_args!(
                    "cannot obtain access to locked queue '{name}' in vhost '{vhost}'. basic.get \
                     operations are not supported by quorum queues with single active consumer"
                ),
            ));
        }
        let connection = self.peer.connection;
        match queue.apply(Command::Get { no_ack: get.no_ack, connection }) {
            Outcome::Got(Some(entry), left) => {
                self.write_get_ok(number, &queue, &entry, get.no_ack, left, out);
            }
            Outcome::Gone => return Err(Refusal::not_found("queue", name, &self.peer.vhost.name)),
            Outcome::Wait => self.hold = Some(Hold::Get(number, get.clone())),
            _ => {
                self.count_get(number, get.no_ack, None);
                let empty = basic::AMQPMethod::GetEmpty(basic::GetEmpty {});
                out.method(number, &AMQPClass::Basic(empty));
            }
        }
        Ok(())
    }

    fn write_get_ok(
        &mut self,
        number: u16,
        queue: &Arc<Queue>,
        entry: &Entry,
        no_ack: bool,
        left: usize,
        out: &mut Out,
    ) {
        self.count_get(number, no_ack, Some(entry.redelivered));
        if queue.is_quorum() {
            self.uncounted.quorum.count_get(no_ack, entry.redelivered);
        }
        let frame_max = self.peer.tuning.frame_max;
        let slot = self.slot_of(queue);
        let Some(channel) = self.channel_mut(number) else { return };
        channel.last_tag += 1;
        if !no_ack {
            let Entry { seq, returns, .. } = *entry;
            let held = Held { queue: slot, consumer: 0, seq, returns };
            channel.unacked.insert(channel.last_tag, held);
        }
        let message = &entry.message;
        // RabbitMQ's quorum queues tell a first basic.get of 0, but a consumer of nothing.
        let counted = (entry.returns > 0 || queue.is_quorum())
            .then(|| envelope::counted(message, entry.returns));
        let delivery = Deliver {
            consumer_tag: b"",
            delivery_tag: channel.last_tag,
            redelivered: entry.redelivered,
            route: message.route(),
            header: counted.as_deref().unwrap_or(message.header()),
        };
        encode::get_ok(out.tail(), number, &delivery, left as u32);
        out.body(number, message, frame_max);
        if self.peer.vhost.is_traced() {
            self.trace_delivery(number, message, queue.name(), entry.redelivered);
        }
    }
}

/// A name that nobody has used: RabbitMQ's form, a prefix and 22 characters.
pub fn generated(prefix: &str) -> String {
    use base64::Engine;
    let random = rand::random::<[u8; 16]>();
    format!("{prefix}{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random))
}

/// The consumer argument `x-priority`: any integer.
fn priority(arguments: &FieldTable, queue: &str, vhost: &str) -> Result<i32, Refusal> {
    let Some(value) = arguments.inner().get("x-priority") else { return Ok(0) };
    let Some(number) = integer(value) else {
        let kind = type_name(value);
        return Err(Refusal::precondition(format_args!(
            "invalid arg 'x-priority' for queue '{queue}' in vhost '{vhost}': \
             \"expected integer, got {kind}\""
        )));
    };
    Ok(number.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32)
}

/// The consumer argument `x-consumer-timeout`: milliseconds; 0 is for ever.
fn timeout(arguments: &FieldTable, queue: &str, vhost: &str) -> Result<Option<u64>, Refusal> {
    let name = "x-consumer-timeout";
    let Some(value) = arguments.inner().get(name) else { return Ok(None) };
    non_negative(value).map_err(|reason| {
        let what = format_args!("queue '{queue}' in vhost '{vhost}'");
        Refusal::precondition(format_args!("invalid arg '{name}' for {what}: {reason}"))
    })?;
    Ok(integer(value).map(i64::unsigned_abs))
}

/// Whether only one of a queue's consumers is served at a time.
fn has_single_consumer(queue: &Queue) -> bool {
    let argument = queue.record.spec.arguments.inner().get("x-single-active-consumer");
    matches!(argument, Some(AMQPValue::Boolean(true)))
}
