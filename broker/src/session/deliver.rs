//! Mail from other threads: deliveries above all, straight into the write buffer.

use std::sync::Arc;

use amq_protocol::protocol::{AMQPClass, basic};
use lepus_protocol::encode::{self, Deliver};

use super::channel::Held;
use super::{Consumer, Session};
use crate::envelope;
use crate::limits::REPLY_BACKLOG;
use crate::mailbox::Mail;
use crate::message::Message;
use crate::out::Out;
use crate::queue::state::{Command, ConsumerKey, Delivery, Entry, delivery_cost};
use crate::queue::{Queue, undo_command};
use crate::stats::Messages;

impl Session {
    /// Takes the mail that has come, but for what is the link's affair.
    pub(super) fn collect_mail(&mut self, out: &mut Out) {
        let mailbox = self.peer.mailbox.clone();
        for mail in mailbox.collect(Vec::new()) {
            match mail {
                // A mailbox that was closed meanwhile has no link that would care.
                Mail::Close(_)
                | Mail::Channels(_)
                | Mail::UserGone(_)
                | Mail::Judged(_)
                | Mail::Alarm
                | Mail::Durable
                | Mail::Loaded => {
                    drop(mailbox.post(mail));
                }
                mail => self.mail(mail, out),
            }
        }
    }

    /// Takes one piece of mail. Closing and alarms are the link's affair.
    pub fn mail(&mut self, mail: Mail, out: &mut Out) {
        match mail {
            Mail::Deliveries(queue, deliveries) => self.deliver(&queue, deliveries, out),
            Mail::Cancelled(key) => self.queue_went_away(key, out),
            Mail::Wanted(key) => self.wanted(key),
            Mail::TimedOut(queue, key, late) => self.timed_out(&queue, key, &late),
            Mail::Reply { channel, key, message } => {
                self.deliver_reply(channel, &key, &message, out);
            }
            Mail::Close(_)
            | Mail::Channels(_)
            | Mail::UserGone(_)
            | Mail::Judged(_)
            | Mail::Alarm
            | Mail::Durable
            | Mail::Loaded => {}
        }
    }

    fn deliver(&mut self, queue: &Arc<Queue>, deliveries: Vec<Delivery>, out: &mut Out) {
        let frame_max = self.peer.tuning.frame_max;
        let slot = self.slot_of(queue);
        let is_traced = self.peer.vhost.is_traced();
        let mut traced = Vec::new();
        let mut deliveries = deliveries.into_iter().peekable();
        let mut refused = Vec::new();
        while let Some(number) = deliveries.peek().map(|delivery| delivery.to.number) {
            let run = std::iter::from_fn(|| deliveries.next_if(|next| next.to.number == number));
            let consumer = self.consumers.get_mut(&number);
            let Some(consumer) = consumer.filter(|consumer| !consumer.cancelled) else {
                refused.extend(run);
                continue;
            };
            let at = usize::from(consumer.channel).wrapping_sub(1);
            let Some(Some(channel)) = self.channels.get_mut(at) else {
                refused.extend(run);
                continue;
            };
            let was_owed = consumer.owed;
            let first = channel.last_tag + 1;
            let mut arrived = None;
            let mut counted = Messages::default();
            for Delivery { entry: Entry { seq, message, redelivered, returns, .. }, .. } in run {
                channel.last_tag += 1;
                arrived.get_or_insert(message.arrived());
                counted.count_delivery(consumer.no_ack, redelivered);
                if !consumer.no_ack {
                    let held = Held { queue: slot, consumer: number, seq, returns };
                    channel.unacked.insert(channel.last_tag, held);
                }
                consumer.granted = consumer.granted.saturating_sub(1);
                consumer.owed += u64::from(delivery_cost(&message));
                let rewritten = (returns > 0).then(|| envelope::counted(&message, returns));
                let delivery = Deliver {
                    consumer_tag: consumer.tag.as_str().as_bytes(),
                    delivery_tag: channel.last_tag,
                    redelivered,
                    route: message.route(),
                    header: rewritten.as_deref().unwrap_or(message.header()),
                };
                encode::deliver(out.tail(), consumer.channel, &delivery);
                out.body(consumer.channel, &message, frame_max);
                if is_traced {
                    traced.push((consumer.channel, message, redelivered));
                }
            }
            channel.stats.messages.add(&counted);
            self.tally += counted;
            if queue.is_quorum() {
                self.uncounted.quorum += counted;
            }
            if let Some(arrived) = arrived {
                let now = self.peer.node.now_ms();
                self.peer.node.stats().traffic.waited.note(now.saturating_sub(arrived));
                if !consumer.no_ack {
                    channel.time(first, now);
                }
            }
            let worth_telling = u64::from(consumer.window) / 4;
            if was_owed < worth_telling && consumer.owed >= worth_telling {
                self.creditors.push(number);
            }
        }
        for (number, message, redelivered) in traced {
            self.trace_delivery(number, &message, queue.name(), redelivered);
        }
        if !refused.is_empty() {
            self.give_back(queue, refused);
        }
    }

    /// Deliveries for consumers that are gone return to their queue as if nothing had happened.
    fn give_back(&mut self, queue: &Arc<Queue>, refused: Vec<Delivery>) {
        for delivery in &refused {
            let number = delivery.to.number;
            let Some(consumer) = self.consumers.get_mut(&number) else { continue };
            consumer.granted = consumer.granted.saturating_sub(1);
            let (channel, done) = (consumer.channel, consumer.granted == 0);
            if done {
                self.consumers.remove(&number);
            }
            let global = self.channel_mut(channel).and_then(|channel| channel.global.as_mut());
            if let Some(global) = global {
                global.used = global.used.saturating_sub(1);
            }
        }
        queue.apply(undo_command(refused));
    }

    /// Once all is written: consumers may be sent more.
    pub fn give_credit(&mut self) {
        let connection = self.peer.connection;
        for number in std::mem::take(&mut self.creditors) {
            let Some(consumer) = self.consumers.get_mut(&number) else { continue };
            let octets = std::mem::take(&mut consumer.owed);
            let key = ConsumerKey { connection, number };
            let channel = consumer.channel;
            consumer.queue.clone().apply(Command::Credit(key, octets));
            self.pull(channel);
        }
    }

    /// RabbitMQ's extension consumer_cancel_notify.
    fn queue_went_away(&mut self, key: ConsumerKey, out: &mut Out) {
        let Some(Consumer { channel, tag, .. }) = self.consumers.get(&key.number) else { return };
        let (channel, tag) = (*channel, tag.clone());
        if self.peer.cancel_notify {
            let cancel = basic::Cancel { consumer_tag: tag, nowait: true };
            out.method(channel, &AMQPClass::Basic(basic::AMQPMethod::Cancel(cancel)));
        }
        self.end_consumer(key.number);
    }

    fn deliver_reply(&mut self, number: u16, key: &str, message: &Message, out: &mut Out) {
        let frame_max = self.peer.tuning.frame_max;
        let Some(channel) = self.channel_mut(number) else { return };
        let Some(consumer) = &channel.reply_consumer else { return };
        if consumer.key != key {
            // The channel was closed and opened again while the reply was on its way.
            return;
        }
        if out.len() > REPLY_BACKLOG {
            tracing::debug!(channel = number, "direct reply dropped: its consumer does not read");
            return;
        }
        channel.last_tag += 1;
        let delivery = Deliver {
            consumer_tag: consumer.tag.as_bytes(),
            delivery_tag: channel.last_tag,
            redelivered: false,
            route: message.route(),
            header: message.header(),
        };
        encode::deliver(out.tail(), number, &delivery);
        out.body(number, message, frame_max);
    }
}
