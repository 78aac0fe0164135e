//! From a whole message to its queues: validation, routing, returns, confirms.

use std::sync::Arc;

use lepus_protocol::encode;
use lepus_protocol::properties::Properties;
use lepus_protocol::reply::ReplyCode;

use super::Session;
use super::channel::{Marks, RouteCache};
use super::confirms::Confirms;
use super::count::Lost;
use super::reply_to::is_reply_key;
use super::tx::Tx;
use crate::access::{Identity, Kind, Resource, Topic};
use crate::aside::aside;
use crate::envelope;
use crate::error::Refusal;
use crate::limits::LOOKS_PER_WORK;
use crate::message::Message;
use crate::out::Out;
use crate::queue::Queue;
use crate::routing::ExchangeKind;
use crate::stats::ExchangeStats;
use crate::topology::arguments::MAX_EXPIRY_MS;
use crate::topology::{Route, Topology};

/// Where a message goes.
struct Found {
    message: Message,
    queues: Vec<Arc<Queue>>,
    exchange: Option<Arc<ExchangeStats>>,
    /// Exchange and routing key alone lead there.
    stable: bool,
    /// It was a direct reply, and somebody awaits it.
    replied: bool,
    /// How much was looked at to find that out.
    looked_at: usize,
}

impl Session {
    /// A message is whole: find its queues and leave it there, or in the transaction.
    pub(super) fn route_message(
        &mut self,
        number: u16,
        mandatory: bool,
        marks: Marks,
        out: &mut Out,
    ) -> Result<(), Refusal> {
        let version = self.route_version();
        let Some(channel) = self.channel_mut(number) else { return Ok(()) };
        // Only routes that the routing key alone decides on are cached.
        let RouteCache { route, queues, version: known } = &channel.route;
        let cached = *known == version && route == channel.builder.route();
        let known_route = cached && !marks.extra_keys && !(mandatory && queues.is_empty());
        let lost = queues.is_empty().then_some(Lost::Dropped);
        let message = channel.builder.finish();
        self.uncounted.body(message.body_len() as u64);
        if known_route && marks.validate {
            self.validate(&message)?;
        }
        let traced = self.peer.vhost.is_traced().then(|| message.clone());
        let accepted = if known_route {
            self.enqueue(number, message, lost)
        } else {
            self.route_anew(number, message, mandatory, marks, version, out)?
        };
        if let Some(message) = traced {
            self.trace_publish(number, &message);
        }
        // Only now: a message that was refused must not be confirmed.
        self.count_for_confirm(number, accepted);
        Ok(())
    }

    /// What a cached route goes by: both versions only rise, and so their sum is another one after any
    /// change of the topology, or of what the user may do.
    #[inline]
    fn route_version(&self) -> u64 {
        self.peer.vhost.version().wrapping_add(self.peer.node.access().version())
    }

    /// Whether the user may publish a message to its exchange.
    fn permit_publish(&mut self, message: &Message) -> Result<(), Refusal> {
        let exchange = str::from_utf8(message.exchange()).unwrap_or("\u{fffd}");
        self.permit(Resource::Exchange(exchange), Kind::Write)?;
        if exchange.is_empty() {
            return Ok(());
        }
        let kind = self.peer.vhost.read(|topology| topology.publishable(exchange))?;
        if kind == ExchangeKind::Topic {
            let key = String::from_utf8_lossy(message.routing_key());
            self.permit_topic(Topic { exchange, key: &key }, Kind::Write)?;
        }
        Ok(())
    }

    /// The message has its confirm coming, with the next [`Session::flush`].
    #[inline]
    fn count_for_confirm(&mut self, number: u16, accepted: bool) {
        let Some(channel) = self.channel_mut(number) else { return };
        match &mut channel.confirm {
            Some(confirm) if accepted => confirm.receive(),
            Some(confirm) => confirm.refuse(),
            None => {}
        }
        if self.published.last() != Some(&number) && !self.published.contains(&number) {
            self.published.push(number);
        }
    }

    /// Gives a message to the queues in the channel's route cache; `false` if one of them would
    /// have to store it and the store takes nothing.
    #[inline]
    fn enqueue(&mut self, number: u16, mut message: Message, lost: Option<Lost>) -> bool {
        let Some(channel) = self.channels.get_mut(usize::from(number).wrapping_sub(1)) else {
            return true;
        };
        let Some(channel) = channel.as_deref_mut() else { return true };
        channel.note_published(lost);
        let Some((last, rest)) = channel.route.queues.split_last() else { return true };
        if message.persistent() && !self.peer.node.stores() {
            let durable = |queue: &Arc<Queue>| queue.stored_as().is_some();
            if channel.route.queues.iter().any(durable) {
                channel.tx.iter_mut().for_each(Tx::refuse);
                return false;
            }
        }
        if !rest.is_empty() {
            message.set_shared();
            self.effort.add(rest.len());
        }
        if let Some(tx) = &mut channel.tx {
            tx.publish(message, &channel.route.queues);
            return true;
        }
        let awaited = channel.confirm.is_some();
        if awaited && self.gather.has_verdicts() {
            // A confirm also tells that the verdicts sent before its message are on the disk.
            self.backlog = self.backlog.max(self.gather.serve(&self.peer.mailbox));
        }
        let origin = (number, channel.confirm.as_ref().map_or(0, Confirms::next));
        aside(rest.len(), || {
            for queue in rest {
                self.gather.publish(queue, message.clone(), awaited, origin);
                if self.gather.is_full() {
                    self.backlog = self.backlog.max(self.gather.serve(&self.peer.mailbox));
                }
            }
        });
        self.gather.publish(last, message, awaited, origin);
        if self.gather.is_full() {
            self.serve_queues();
        }
        true
    }

    fn route_anew(
        &mut self,
        number: u16,
        message: Message,
        mandatory: bool,
        marks: Marks,
        version: u64,
        out: &mut Out,
    ) -> Result<bool, Refusal> {
        self.permit_publish(&message)?;
        if marks.validate {
            self.validate(&message)?;
        }
        let Found { message, queues, exchange, stable, replied, looked_at } =
            self.find_queues(message, marks)?;
        self.effort.add(looked_at / LOOKS_PER_WORK);
        // A message that is held back leads nowhere yet, as with RabbitMQ's plugin.
        let unroutable = queues.iter().all(|queue| queue.record.delays()) && !replied;
        let lost = match unroutable {
            true if mandatory => Some(Lost::Returned),
            true if queues.is_empty() => Some(Lost::Dropped),
            _ => None,
        };
        self.publishes_to(number, exchange);
        let Some(channel) = self.channel_mut(number) else { return Ok(true) };
        channel.route.queues = queues;
        channel.route.version = version;
        channel.route.route.clear();
        if stable {
            channel.route.route.extend_from_slice(message.route());
        }
        if lost == Some(Lost::Returned) {
            self.return_message(number, message.clone(), out);
        }
        Ok(self.enqueue(number, message, lost))
    }

    /// The queues of a message. BCC is taken out of its headers on the way, and direct replies
    /// are sent.
    fn find_queues(&self, message: Message, marks: Marks) -> Result<Found, Refusal> {
        let exchange = std::str::from_utf8(message.exchange()).unwrap_or("\u{fffd}");
        let vhost = &self.peer.vhost;
        let wants_headers =
            marks.extra_keys || marks.headers && vhost.read(Topology::reads_headers);
        let headers = if wants_headers { envelope::headers(&message) } else { None };
        let extra = match (&headers, marks.extra_keys) {
            (_, false) => Vec::new(),
            (Some(headers), true) => envelope::extra_keys(headers)?,
            (None, true) => {
                return Err(Refusal::precondition("headers nest too deeply for CC or BCC"));
            }
        };
        let bare = match &headers {
            Some(headers) if headers.contains_key("BCC") => {
                envelope::without_bcc(&message, headers)
            }
            _ => message.clone(),
        };
        let keys = envelope::keys(&message, &extra);
        let input = envelope::route_input(&message, &keys, headers.as_ref());
        let route = vhost.route(exchange, &input, &bare)?;
        let is_reply = |key: &&&[u8]| exchange.is_empty() && is_reply_key(key);
        let replies: Vec<&[u8]> = keys.iter().filter(is_reply).copied().collect();
        let stable = route.stable && !marks.extra_keys && replies.is_empty();
        let sent = replies.iter().filter(|key| self.send_reply(key, &bare));
        let replied = sent.count() > 0;
        // What is held back needs them later.
        let held = route.queues.iter().all(|queue| queue.record.holds_back);
        let message = if held && !route.queues.is_empty() { message.clone() } else { bare };
        let Route { queues, exchange, looked_at, .. } = route;
        Ok(Found { message, queues, exchange, stable, replied, looked_at })
    }

    fn validate(&self, message: &Message) -> Result<(), Refusal> {
        check_properties(message.properties(), &self.peer.identity)
    }

    /// basic.return, at once or with the transaction.
    fn return_message(&mut self, number: u16, message: Message, out: &mut Out) {
        let frame_max = self.peer.tuning.frame_max;
        let Some(channel) = self.channel_mut(number) else { return };
        match &mut channel.tx {
            Some(tx) => tx.return_message(message),
            None => write_return(out, number, &message, frame_max),
        }
    }
}

/// Whether somebody may publish a message with these properties.
pub(crate) fn check_properties(properties: &[u8], by: &Identity) -> Result<(), Refusal> {
    let Ok(found) = Properties::decode(properties) else { return Ok(()) };
    if let Some(claimed) = found.user_id
        && claimed != by.user.as_bytes()
        && !by.is_impersonator()
    {
        let claimed = String::from_utf8_lossy(claimed);
        return Err(Refusal::precondition(format_args!(
            "user_id property set to '{claimed}' but authenticated user was '{}'",
            by.user
        )));
    }
    if let Some(mode) = found.delivery_mode.filter(|mode| !matches!(mode, 1 | 2)) {
        let text = format_args!("invalid message: {{delivery_mode_unknown,{mode}}}");
        return Err(Refusal::precondition(text));
    }
    match found.expiration {
        Some(expiration) => check_expiration(&String::from_utf8_lossy(expiration)),
        None => Ok(()),
    }
}

/// Writes a basic.return and its content.
pub(super) fn write_return(out: &mut Out, number: u16, message: &Message, frame_max: u32) {
    let code = ReplyCode::NoRoute;
    encode::returned(
        out.tail(),
        number,
        code.code(),
        code.name(),
        message.route(),
        message.header(),
    );
    out.body(number, message, frame_max);
}

/// RabbitMQ's rules and texts for the property `expiration`.
fn check_expiration(text: &str) -> Result<(), Refusal> {
    let refuse = |reason: String| {
        Err(Refusal::precondition(format_args!("invalid expiration '{text}': {reason}")))
    };
    let digits_from = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = digits_from.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return refuse("no_integer".to_owned());
    }
    let (number, leftover) = text.split_at(text.len() - digits_from.len() + digits);
    if !leftover.is_empty() {
        return refuse(format!("{{leftover_string,\"{leftover}\"}}"));
    }
    let shown = number.trim_start_matches('+');
    match number.parse::<i64>() {
        Ok(number) if number < 0 => refuse(format!("{{value_negative,{number}}}")),
        Ok(number) if number <= MAX_EXPIRY_MS => Ok(()),
        _ if shown.starts_with('-') => refuse(format!("{{value_negative,{shown}}}")),
        _ => refuse(format!("{{value_too_large,{shown}}}")),
    }
}
