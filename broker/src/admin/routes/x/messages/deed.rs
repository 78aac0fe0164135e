//! What is done with messages, piece by piece.

use std::sync::Arc;

use super::history::{self, Death, Which};
use super::place::Found;
use super::{Owner, Standing};
use crate::access::{Kind, Resource, Topic};
use crate::admin::auth::Caller;
use crate::admin::error::Fault;
use crate::admin::input::Input;
use crate::admin::routes::x::{exchange_name, plain_messages};
use crate::envelope;
use crate::message::Message;
use crate::queue::Queue;
use crate::queue::orders::Move;
use crate::queue::state::Entry;
use crate::queue::state::schedule::Moved;
use crate::vhost::Vhost;

/// What is done with messages.
#[derive(Clone)]
pub enum Deed {
    Delete,
    Run,
    MoveToQueue(Arc<Queue>),
    /// With another routing key, if one is given.
    MoveToExchange(String, Option<String>),
    /// Into the very queue where they died.
    RetryInQueue(Which),
    /// To the exchange that had led them there.
    RetryByExchange(Which),
}

/// What has become of messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub done: usize,
    /// Not there any more, or in somebody's hands.
    pub gone: usize,
    /// No queue is there that they could go to.
    pub unroutable: usize,
    /// Nothing says where they died.
    pub never_died: usize,
}

impl Deed {
    pub fn to_move(caller: &Caller, owner: &Owner, input: &Input) -> Result<Self, Fault> {
        let vhost = &owner.vhost;
        match (input.get("to_queue"), input.get("to_exchange")) {
            (Some(_), None) => {
                caller.permit(&vhost.name, Resource::Exchange(""), Kind::Write)?;
                let name = input.text("to_queue")?;
                let queue = vhost.read(|topology| topology.queue(name, 0));
                let queue = queue.map_err(|_| Fault::bad_request("to_queue is no queue"))?;
                if Arc::ptr_eq(&queue, &owner.queue) {
                    return Err(Fault::bad_request("to_queue is the queue itself"));
                }
                Ok(Self::MoveToQueue(queue))
            }
            (None, Some(_)) => {
                let exchange = exchange_name(input.text("to_exchange")?);
                caller.permit(&vhost.name, Resource::Exchange(exchange), Kind::Write)?;
                if !exchange.is_empty() {
                    let publishable = vhost.read(|topology| topology.publishable(exchange));
                    publishable.map_err(|_| Fault::bad_request("to_exchange is no exchange"))?;
                }
                let key = input.get("to_routing_key").map(|_| input.text("to_routing_key"));
                let key = key.transpose()?.map(str::to_owned);
                if key.as_ref().is_some_and(|key| key.len() > usize::from(u8::MAX)) {
                    return Err(Fault::bad_request("to_routing_key is too long"));
                }
                Ok(Self::MoveToExchange(exchange.to_owned(), key))
            }
            _ => Err(Fault::bad_request("either to_queue or to_exchange must be given")),
        }
    }

    pub fn to_retry(caller: &Caller, owner: &Owner, input: &Input) -> Result<Self, Fault> {
        let which = match input.text("death")? {
            "" | "newest" => Which::Newest,
            "first" => Which::First,
            _ => return Err(Fault::bad_request("death is not newest or first")),
        };
        match input.text("via")? {
            "" | "queue" => {
                caller.permit(&owner.vhost.name, Resource::Exchange(""), Kind::Write)?;
                Ok(Self::RetryInQueue(which))
            }
            "exchange" => Ok(Self::RetryByExchange(which)),
            _ => Err(Fault::bad_request("via is not queue or exchange")),
        }
    }

    /// What it has done, for the log.
    pub fn past(&self) -> &'static str {
        match self {
            Self::Delete => "deleted",
            Self::Run => "run before their time",
            Self::MoveToQueue(_) | Self::MoveToExchange(..) => "moved",
            Self::RetryInQueue(_) | Self::RetryByExchange(_) => "retried",
        }
    }

    /// Does it; it would survive a crash once this has returned.
    pub async fn perform(
        &self,
        caller: &Caller,
        Owner { vhost, queue, .. }: &Owner,
        found: Vec<Found>,
    ) -> Result<Tally, Fault> {
        let all = found.len();
        let mut tally = Tally::default();
        let order = match self {
            Self::Run => queue.run_waiting(waiting(found)),
            Self::Delete if matches!(found.first(), Some(Found::Scheduled(_))) => {
                queue.cancel_waiting(waiting(found))
            }
            Self::Delete => queue.drop_messages(ready(found)),
            _ => {
                let mut moves = Vec::new();
                for entry in ready(found) {
                    match self.way(caller, vhost, &entry.message)? {
                        Way::To(message, to) => moves.push(Move { entry, message, to }),
                        Way::Nowhere => tally.unroutable += 1,
                        Way::Unknown => tally.never_died += 1,
                    }
                }
                queue.move_elsewhere(moves)
            }
        };
        plain_messages::stored(caller.node(), &order.receipt).await?;
        tally.done = order.done();
        tally.gone = all - tally.done.min(all) - tally.unroutable - tally.never_died;
        Ok(tally)
    }

    /// Where a message goes, and as what.
    fn way(&self, caller: &Caller, vhost: &Vhost, message: &Message) -> Result<Way, Fault> {
        let now = caller.node().now_ms();
        let death = |which| history::death(message, which);
        match self {
            Self::Delete | Self::Run => Ok(Way::Unknown),
            Self::MoveToQueue(queue) => {
                Ok(Way::To(message.readdressed(now, message.route()), vec![queue.clone()]))
            }
            Self::MoveToExchange(exchange, key) => {
                let own = String::from_utf8_lossy(message.routing_key());
                let to = [exchange, key.as_deref().unwrap_or(&own)];
                let message = message.readdressed(now, &route_of(to));
                routed(caller, vhost, message, to, key.is_none())
            }
            Self::RetryInQueue(which) => {
                let Some(Death { queue, exchange, key }) = death(*which) else {
                    return Ok(Way::Unknown);
                };
                let Ok(queue) = vhost.read(|topology| topology.queue(&queue, 0)) else {
                    return Ok(Way::Nowhere);
                };
                let message = message.readdressed(now, &route_of([&exchange, &key]));
                Ok(Way::To(message, vec![queue]))
            }
            Self::RetryByExchange(which) => {
                let Some(Death { exchange, key, .. }) = death(*which) else {
                    return Ok(Way::Unknown);
                };
                caller.permit(&vhost.name, Resource::Exchange(&exchange), Kind::Write)?;
                let message = message.readdressed(now, &route_of([&exchange, &key]));
                routed(caller, vhost, message, [&exchange, &key], true)
            }
        }
    }
}

/// Where a message goes.
enum Way {
    To(Message, Vec<Arc<Queue>>),
    Nowhere,
    Unknown,
}

/// The way to where an exchange leads a message.
fn routed(
    caller: &Caller,
    vhost: &Vhost,
    message: Message,
    [exchange, key]: [&str; 2],
    with_others: bool,
) -> Result<Way, Fault> {
    if !exchange.is_empty() {
        caller.permit_topic(vhost, Topic { exchange, key }, Kind::Write)?;
    }
    let headers = envelope::headers(&message);
    let route = match with_others {
        // CC and BCC count, as when it was published.
        true => envelope::addressed(&message, headers.as_ref(), |input| {
            vhost.route(exchange, &input, &message)
        }),
        false => {
            let keys = [key.as_bytes()];
            let input = envelope::route_input(&message, &keys, headers.as_ref());
            vhost.route(exchange, &input, &message)
        }
    };
    match route {
        Ok(route) if !route.queues.is_empty() => Ok(Way::To(message, route.queues)),
        _ => Ok(Way::Nowhere),
    }
}

/// Exchange and routing key as two short strings.
fn route_of(names: [&str; 2]) -> Vec<u8> {
    let short = |name: &str| {
        let octets = name.as_bytes();
        let octets = octets.get(..octets.len().min(usize::from(u8::MAX))).unwrap_or_default();
        [&[octets.len() as u8], octets].concat()
    };
    names.map(short).concat()
}

fn ready(found: Vec<Found>) -> Vec<Entry> {
    let entries = found.into_iter().filter_map(|one| match one {
        Found::Ready(entry) => Some(entry),
        _ => None,
    });
    entries.collect()
}

fn waiting(found: Vec<Found>) -> Vec<Moved> {
    let waiting = found.into_iter().filter_map(|one| match one {
        Found::Scheduled(moved) => Some(moved),
        _ => None,
    });
    waiting.collect()
}

/// Refuses what cannot be done with messages that stand like this.
pub fn check(deed: &Deed, standing: Standing) -> Result<(), Fault> {
    use Standing::{Ready, Scheduled, Unacked};
    match (deed, standing) {
        (_, Unacked) => Err(Fault::bad_request("somebody has the messages that are unacked")),
        (Deed::Run, Ready) => Err(Fault::bad_request("only scheduled messages can be run")),
        (Deed::Delete | Deed::Run, _) | (_, Ready) => Ok(()),
        (_, Scheduled) => {
            Err(Fault::bad_request("scheduled messages can be run or deleted, not moved"))
        }
    }
}
