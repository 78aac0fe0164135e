//! What clients hear.

use amq_protocol::frame::{AMQPFrame, parse_frame};
use amq_protocol::protocol::basic::{self, AMQPProperties};
use amq_protocol::protocol::{AMQPClass, channel as amqp_channel, connection, queue};
use amq_protocol::types::AMQPValue;
use lepus_protocol::encode;
use lepus_protocol::method::MethodId;

use super::super::ledger::queue_of;
use super::super::letter::{Letter, id_of};
use super::super::model::{Fate, Held, Holder, To};
use super::super::scene::Scene;
use super::{Channel, Connection};

/// A content that is arriving.
#[derive(Debug)]
pub struct Content {
    what: What,
    exchange: String,
    routing_key: String,
    header: Option<(u64, AMQPProperties)>,
    body: Vec<u8>,
}

#[derive(Debug)]
enum What {
    Delivered {
        tag: u64,
        again: bool,
        consumer: Option<String>,
        /// Without a consumer: the queue that was asked for a message.
        asked: Option<u8>,
    },
    Returned,
}

impl Connection {
    /// Takes whole frames; `false` when the connection is over.
    pub(super) fn hear(&mut self, scene: &mut Scene) -> bool {
        let octets = std::mem::take(&mut self.from_broker);
        let mut rest = octets.as_slice();
        while let Ok((left, frame)) = parse_frame(rest) {
            rest = left;
            if !self.frame(frame, scene) {
                return false;
            }
        }
        self.from_broker = rest.to_vec();
        true
    }

    fn frame(&mut self, frame: AMQPFrame, scene: &mut Scene) -> bool {
        match frame {
            AMQPFrame::Method(0, AMQPClass::Connection(method)) => {
                return self.connection_method(method, scene);
            }
            AMQPFrame::Method(number, class) => self.channel_method(number, class, scene),
            AMQPFrame::Header(number, header) => {
                let content = self.content(number);
                content.header = Some((header.body_size, header.properties));
                self.whole_content(number, scene);
            }
            AMQPFrame::Body(number, chunk) => {
                self.content(number).body.extend_from_slice(&chunk);
                self.whole_content(number, scene);
            }
            other => panic!("{other:?}"),
        }
        true
    }

    fn content(&mut self, number: u16) -> &mut Content {
        let channel = self.channels.get_mut(&number).expect("a channel that is open");
        channel.content.as_mut().expect("a content that has begun")
    }

    fn connection_method(&mut self, method: connection::AMQPMethod, scene: &mut Scene) -> bool {
        match method {
            connection::AMQPMethod::Start(_) => self.start_ok(),
            connection::AMQPMethod::Tune(_) => self.tune_ok(),
            connection::AMQPMethod::OpenOk(_) => self.open = true,
            connection::AMQPMethod::Blocked(_) => self.blocked = true,
            connection::AMQPMethod::Unblocked(_) => {
                assert!(std::mem::take(&mut self.blocked), "unblocked without being blocked");
            }
            connection::AMQPMethod::Close(close) => {
                let allowed = scene.troubled || close.reply_code == 320;
                assert!(allowed, "the broker closes the connection: {close:?}");
                return false;
            }
            connection::AMQPMethod::CloseOk(_) => {
                assert!(self.closing, "close-ok without a close");
                return false;
            }
            other => panic!("{other:?}"),
        }
        true
    }

    fn channel_method(&mut self, number: u16, class: AMQPClass, scene: &mut Scene) {
        let id = MethodId::of(&class);
        let channel = self.channels.get_mut(&number).expect("a channel that is open");
        assert!(channel.content.is_none(), "{id:?} in the middle of a content");
        match class {
            AMQPClass::Basic(basic::AMQPMethod::Deliver(deliver)) => {
                let consumer = Some(deliver.consumer_tag.to_string());
                let (tag, again) = (deliver.delivery_tag, deliver.redelivered);
                let what = What::Delivered { tag, again, consumer, asked: None };
                channel.begin(what, deliver.exchange.as_str(), deliver.routing_key.as_str());
            }
            AMQPClass::Basic(basic::AMQPMethod::GetOk(got)) => {
                channel.reply((60, 71));
                let (tag, again) = (got.delivery_tag, got.redelivered);
                let asked = channel.asked;
                let what = What::Delivered { tag, again, consumer: None, asked };
                channel.begin(what, got.exchange.as_str(), got.routing_key.as_str());
            }
            AMQPClass::Basic(basic::AMQPMethod::GetEmpty(_)) => channel.reply((60, 71)),
            AMQPClass::Basic(basic::AMQPMethod::Return(of)) => {
                channel.begin(What::Returned, of.exchange.as_str(), of.routing_key.as_str());
            }
            AMQPClass::Basic(basic::AMQPMethod::Ack(ack)) => {
                channel.confirmed(ack.delivery_tag, ack.multiple, true, scene);
            }
            AMQPClass::Basic(basic::AMQPMethod::Nack(nack)) => {
                channel.confirmed(nack.delivery_tag, nack.multiple, false, scene);
            }
            AMQPClass::Basic(basic::AMQPMethod::Cancel(cancel)) => {
                let consumer = channel.consumers.get_mut(cancel.consumer_tag.as_str());
                consumer.expect("a consumer that is cancelled").ended = true;
            }
            AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok)) => {
                channel.reply((50, 11));
                let count = ok.message_count as usize;
                if let Some((least, most)) = channel.expected.take() {
                    let fits = (least..=most).contains(&count);
                    assert!(fits, "{} has {count} messages, not {least} to {most}", ok.queue);
                }
            }
            AMQPClass::Channel(amqp_channel::AMQPMethod::Close(close)) => {
                assert_eq!(channel.waiting, Some((20, 40)), "{close:?}");
                let ok = amqp_channel::AMQPMethod::CloseOk(amqp_channel::CloseOk {});
                encode::method(&mut self.to_broker, number, &AMQPClass::Channel(ok));
                self.channels.remove(&number);
            }
            AMQPClass::Channel(amqp_channel::AMQPMethod::CloseOk(_)) => {
                channel.reply((20, 41));
                self.channels.remove(&number);
            }
            _ => channel.replied((id.class, id.method), scene),
        }
    }

    fn whole_content(&mut self, number: u16, scene: &mut Scene) {
        let channel = self.channels.get_mut(&number).expect("a channel that is open");
        let arriving = channel.content.as_ref().and_then(|of| Some((of.header.as_ref()?.0, of)));
        if arriving.is_none_or(|(size, content)| (content.body.len() as u64) < size) {
            return;
        }
        let Some(content) = channel.content.take() else { return };
        let id = id_of(&content.body);
        match &content.what {
            What::Returned => {
                assert_eq!(channel.returns.pop_front(), Some(id), "a return out of order");
            }
            What::Delivered { tag, again, consumer, asked } => {
                channel.delivered += 1;
                assert_eq!(channel.delivered, *tag, "delivery tags");
                let holder = Holder { connection: self.id, channel: number };
                if !self.ended {
                    let from = consumer.as_deref().ok_or(*asked);
                    channel.take(id, *again, from, holder, &content, scene);
                }
            }
        }
    }
}

impl Channel {
    fn begin(&mut self, what: What, exchange: &str, routing_key: &str) {
        let (exchange, routing_key) = (exchange.to_owned(), routing_key.to_owned());
        self.content =
            Some(Content { what, exchange, routing_key, header: None, body: Vec::new() });
    }

    fn reply(&mut self, id: (u16, u16)) {
        assert_eq!(self.waiting, Some(id), "a reply that nobody awaits");
        self.waiting = None;
    }

    fn replied(&mut self, id: (u16, u16), scene: &mut Scene) {
        self.reply(id);
        match id {
            (60, 111) => self.recovering = false,
            (90, 21) => {
                let (published, settled) = std::mem::take(&mut self.tx.committed);
                let (model, safe) = (&scene.model, scene.broker.store.safe());
                for held in published {
                    assert!(model.is_published(held, safe), "commit-ok, {held:?} is not safe");
                }
                for held in settled {
                    assert!(model.is_settled(held, safe), "commit-ok, {held:?} may come back");
                }
                assert!(self.returns.is_empty(), "commit-ok before {:?} returned", self.returns);
            }
            _ => {}
        }
    }

    /// A publisher confirm.
    fn confirmed(&mut self, tag: u64, multiple: bool, ack: bool, scene: &mut Scene) {
        let tags: Vec<u64> = match multiple {
            true => self.unconfirmed.range(..=tag).map(|(tag, _)| *tag).collect(),
            false => vec![tag],
        };
        for tag in tags {
            let unconfirmed = self.unconfirmed.remove(&tag);
            let unconfirmed = unconfirmed.expect("a message that awaits its confirm");
            let id = unconfirmed.letter.id;
            assert!(!self.returns.contains(&id), "{id} is confirmed before it is returned");
            let rejected = matches!(unconfirmed.fate, Fate::Rejected);
            let stored = Self::stored(&unconfirmed, &scene.model);
            let safe = scene.broker.store.safe();
            if ack {
                let full = scene.model.ledger.is_rejected(id) == Some(true);
                assert!(!rejected && !full, "{id} is confirmed and was not taken");
                for held in &stored {
                    let is_safe = scene.model.is_published(*held, safe);
                    assert!(is_safe, "{id} is confirmed and not safe, {safe}: {held:?}");
                }
                for held in unconfirmed.settled.iter().filter(|_| !stored.is_empty()) {
                    let is_safe = scene.model.is_settled(*held, safe);
                    assert!(is_safe, "{id} is confirmed, but not the verdict before it: {held:?}");
                }
            } else {
                let refused = stored.iter().any(|held| scene.model.is_refused(*held));
                let full = unconfirmed.letter.may_be_rejected()
                    && scene.model.ledger.is_rejected(id) != Some(false);
                let expected = rejected || refused || full || scene.troubled;
                assert!(expected, "{id} is refused without a reason");
            }
        }
    }

    /// A message has come, to a consumer or from a queue that was asked.
    fn take(
        &mut self,
        id: u64,
        again: bool,
        from: Result<&str, Option<u8>>,
        holder: Holder,
        content: &Content,
        scene: &mut Scene,
    ) {
        let consumer = from.ok().and_then(|tag| self.consumers.get_mut(tag));
        assert!(from.is_err() || consumer.is_some(), "a message for {from:?}");
        let no_ack = consumer.as_ref().is_some_and(|consumer| consumer.no_ack);
        if self.closed || self.waiting == Some((20, 41)) || (self.recovering && !no_ack) {
            return;
        }
        let held = match &consumer {
            Some(consumer) => Some(Held { incarnation: consumer.incarnation, id }),
            None => from.err().flatten().and_then(|queue| scene.model.find(queue, id)),
        };
        let Some(held) = held else { return };
        check_content(held, content, scene);
        let to = if no_ack { To::Nobody } else { To::Holder(holder) };
        let latest = scene.certain_position();
        let arrival = scene.model.deliver(held, again, to, latest);
        if !no_ack {
            self.unacked.insert(self.delivered, held);
        }
        let Some(consumer) = consumer else { return };
        if let Some(arrival) = arrival
            && !again
            && !arrival.may_return
        {
            let last = &mut consumer.last[usize::from(arrival.high)];
            assert!(arrival.place > *last, "message {id} came out of order");
            *last = arrival.place;
        }
        let (prefetch, tag_holds) = (usize::from(consumer.prefetch), self.unacked.len());
        let consumers = self.consumers.values().filter(|consumer| !consumer.no_ack).count();
        if prefetch > 0 && consumers == 1 && self.asked.is_none() {
            assert!(tag_holds <= prefetch, "{tag_holds} messages, prefetch {prefetch}");
        }
    }
}

/// What a message's properties must be: one that came back has a header that counts that.
fn expected(letter: &Letter, found: &AMQPProperties) -> AMQPProperties {
    let expected = letter.properties();
    let headers = found.headers().as_ref();
    let Some(count) = headers.and_then(|found| found.inner().get("x-delivery-count")) else {
        return expected;
    };
    assert!(matches!(count, AMQPValue::LongLongInt(1..)), "x-delivery-count is {count:?}");
    let mut headers = expected.headers().clone().unwrap_or_default();
    headers.insert("x-delivery-count".into(), count.clone());
    expected.with_headers(headers)
}

/// The message is as it was published, byte for byte.
fn check_content(held: Held, content: &Content, scene: &Scene) {
    if queue_of(held.incarnation).is_some() {
        let letter = scene.model.ledger.letter(held.id);
        return assert_eq!(Some(&content.body), letter.map(|letter| letter.body()).as_ref());
    }
    let Some(letter) = scene.model.letter(held) else { return };
    let (_, properties) = content.header.as_ref().expect("a whole content");
    assert_eq!(*properties, expected(&letter, properties), "the properties of {letter:?}");
    assert_eq!(content.body, letter.body(), "the body of {letter:?}");
    assert_eq!(content.exchange, letter.exchange(), "the exchange of {letter:?}");
    assert_eq!(content.routing_key, letter.routing_key(), "the routing key of {letter:?}");
}
