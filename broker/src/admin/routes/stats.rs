//! What is counted, as answers have it.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::admin::auth::{Caller, Tag};
use crate::admin::samples::{Asked, Kind, Seen};
use crate::stats::{
    CHURN, ChannelStats, ConnectionStats, Counter, ExchangeStats, LENGTHS, Messages, Numbers, Track,
};
use crate::vhost::Vhost;

/// Where lengths stand among [`Numbers`].
const LENGTHS_AT: usize = 12;

/// Where the octets of a virtual host stand.
const OCTETS_AT: usize = 15;

/// Names of the octets of connections.
const OCTETS: [&str; 2] = ["recv_oct", "send_oct"];

/// [`Messages::NAMES`]; what has no meaning for a queue is without a name.
const OF_QUEUES: [&str; 12] = {
    let mut names = Messages::NAMES;
    (names[1], names[2], names[3]) = ("", "", "");
    names
};

/// A virtual host's numbers.
pub(super) fn of_vhost(caller: &Caller, vhost: &Vhost) -> Seen<17> {
    let stats = &vhost.stats;
    Seen::of(&stats.track, stats.values(), &caller.asked())
}

/// The numbers of all virtual hosts that the caller may know of.
pub(super) fn of_all(caller: &Caller) -> Seen<17> {
    Seen::sum(vhosts(caller).iter().map(|vhost| of_vhost(caller, vhost)))
}

/// The virtual hosts that the caller may know of: all, for who may see what happens.
pub(super) fn vhosts(caller: &Caller) -> Vec<Arc<Vhost>> {
    match caller.is(Tag::Monitoring) {
        true => caller.node().vhosts(),
        false => caller.vhosts(),
    }
}

/// `message_stats` of a virtual host, or of all.
pub(super) fn message_stats(seen: &Seen<17>) -> Value {
    let mut stats = Map::new();
    seen.put(&mut stats, &Messages::NAMES, 0, Kind::Messages);
    Value::Object(stats)
}

/// `message_stats` of a queue.
pub(super) fn queue_messages(seen: &Seen<17>) -> Value {
    let mut stats = Map::new();
    seen.put(&mut stats, &OF_QUEUES, 0, Kind::Messages);
    Value::Object(stats)
}

/// One of the numbers of a queue's `message_stats`, by its name or that of its details.
pub(super) fn queue_number(seen: &Seen<17>, name: &str) -> Value {
    let base = name.strip_suffix("_details").unwrap_or(name);
    let at = OF_QUEUES.iter().position(|known| *known == base && !base.is_empty());
    match at {
        Some(at) if base == name => seen.value(at).into(),
        Some(at) => seen.details(at, Kind::Messages),
        None => Value::Null,
    }
}

/// `messages`, `messages_ready` and `messages_unacknowledged`, each with its details.
pub(super) fn put_lengths(seen: &Seen<17>, into: &mut Map<String, Value>) {
    seen.put(into, &LENGTHS, LENGTHS_AT, Kind::Lengths);
}

/// `recv_oct` and `send_oct` of a virtual host, each with its details.
pub(super) fn put_octets(seen: &Seen<17>, into: &mut Map<String, Value>) {
    seen.put(into, &OCTETS, OCTETS_AT, Kind::Octets);
}

/// `queue_totals`.
pub(super) fn queue_totals(seen: &Seen<17>) -> Value {
    let mut totals = Map::new();
    put_lengths(seen, &mut totals);
    Value::Object(totals)
}

/// `churn_rates`.
pub(super) fn churn_rates(caller: &Caller) -> Value {
    Value::Object(churn(caller))
}

/// What comes and goes in the node.
pub(super) fn churn(caller: &Caller) -> Map<String, Value> {
    let node = caller.node();
    let seen = Seen::of(&node.stats().track, node.churn(), &caller.asked());
    let mut rates = Map::new();
    seen.put(&mut rates, &CHURN, 0, Kind::Messages);
    rates
}

/// `message_stats` of an exchange.
pub(super) fn exchange_messages(stats: &ExchangeStats, asked: &Asked) -> Value {
    let seen = Seen::of(&stats.track, stats.values(), asked);
    let mut messages = Map::new();
    seen.put(&mut messages, &["publish_in", "publish_out"], 0, Kind::Messages);
    Value::Object(messages)
}

/// `message_stats` of a channel.
pub(super) fn channel_messages(stats: &ChannelStats, asked: &Asked) -> Value {
    messages_of(&stats.track, &stats.messages, asked)
}

/// `message_stats` of a connection: of all its channels, those that are closed too.
pub(super) fn connection_messages(stats: &ConnectionStats, asked: &Asked) -> Value {
    messages_of(&stats.message_track, &stats.messages, asked)
}

fn messages_of(track: &Track<12>, counted: &Messages<Counter>, asked: &Asked) -> Value {
    let seen = Seen::of(track, counted.get().values(), asked);
    let mut messages = Map::new();
    seen.put(&mut messages, &Messages::NAMES, 0, Kind::Messages);
    Value::Object(messages)
}

/// What has gone over a connection, to be added to what else is said of it.
pub(super) fn connection_octets(stats: &ConnectionStats, asked: &Asked) -> Map<String, Value> {
    let seen = Seen::of(&stats.track, stats.octets(), asked);
    let mut octets = Map::new();
    seen.put(&mut octets, &OCTETS, 0, Kind::Octets);
    octets.insert("recv_cnt".to_owned(), stats.recv_cnt.get().into());
    octets.insert("send_cnt".to_owned(), stats.send_cnt.get().into());
    octets
}

/// What share of the time since the sample before the last one, or until now, a queue's consumers could
/// have been given messages; 0 without consumers.
pub(super) fn capacity(consumers: usize, changes: &Numbers, now_able: bool) -> f64 {
    let &[.., able, consumed] = changes;
    match (consumers, consumed) {
        (0, _) => 0.0,
        (_, 0) => f64::from(u8::from(now_able)),
        _ => able as f64 / consumed as f64,
    }
}
