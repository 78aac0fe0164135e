//! The consistent hash exchange: each message to one destination, by a hash of something of the
//! message, in proportion to weights.
//!
//! Weighted rendezvous hashing: for a message, each destination has a number of its own, and the one
//! with the best number for its weight wins. So the choice depends on the bindings and not on the
//! order in which they came; a new one takes its share from all others and moves nothing else. The
//! work of a message grows with the number of destinations, at a nanosecond or two for each.

use std::collections::BTreeMap;
use std::hash::Hasher;

use amq_protocol::types::{AMQPValue, FieldTable};
use lepus_protocol::properties::Properties;
use twox_hash::XxHash64;

use super::{Destination, Invalid, RouteInput, value};

/// Destinations that are looked at in the time that a node of a topic exchange takes.
const NODES_PER_LOOK: usize = 16;

/// The destinations, and what of a message is hashed.
#[derive(Debug)]
pub(super) struct ConsistentHashIndex {
    by: HashBy,
    /// What the binding keys of each destination come to.
    weights: BTreeMap<Destination, u128>,
    /// The same by weight, since only between different weights a logarithm is needed.
    groups: BTreeMap<u128, Vec<Node>>,
}

/// What of a message is hashed; all messages that do not have it go to one destination.
#[derive(Debug, Default)]
enum HashBy {
    #[default]
    Key,
    Header(Box<str>),
    CorrelationId,
    MessageId,
    Timestamp,
}

/// Ordered by destination, of which there is one only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Node {
    dest: Destination,
    seed: u64,
}

impl ConsistentHashIndex {
    /// Reads the arguments of the exchange.
    pub(super) fn new(args: &FieldTable) -> Result<Self, Invalid> {
        let by = HashBy::parse(args)?;
        Ok(Self { by, weights: BTreeMap::new(), groups: BTreeMap::new() })
    }

    pub(super) fn add(&mut self, dest: Destination, key: &[u8]) {
        let weight = u128::from(weight(key).unwrap_or_default());
        self.change_weight(dest, |old| old.saturating_add(weight));
    }

    pub(super) fn remove(&mut self, dest: Destination, key: &[u8]) {
        let weight = u128::from(weight(key).unwrap_or_default());
        self.change_weight(dest, |old| old.saturating_sub(weight));
    }

    /// Returns how much that was, in nodes of a topic exchange.
    pub(super) fn route(&self, input: &RouteInput<'_>, out: &mut Vec<Destination>) -> usize {
        let hash = self.by.hash(input);
        let best_of = |(weight, group): (&u128, &Vec<Node>)| {
            let numbers = group.iter().map(|node| (mix(hash ^ node.seed), node.dest));
            numbers.max().map(|(number, dest)| (cost(number, *weight), dest))
        };
        let best = self.groups.iter().filter_map(best_of);
        let best = best.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        out.extend(best.map(|(_, dest)| dest));
        self.weights.len() / NODES_PER_LOOK
    }

    /// Whether more than the routing key counts.
    pub(super) fn reads_properties(&self) -> bool {
        !matches!(self.by, HashBy::Key)
    }

    pub(super) fn reads_headers(&self) -> bool {
        matches!(self.by, HashBy::Header(_))
    }

    fn change_weight(&mut self, dest: Destination, change: impl FnOnce(u128) -> u128) {
        let node = Node { dest, seed: seed(dest) };
        let old = self.weights.remove(&dest).unwrap_or_default();
        if let Some(group) = self.groups.get_mut(&old) {
            if let Ok(at) = group.binary_search(&node) {
                group.remove(at);
            }
            if group.is_empty() {
                self.groups.remove(&old);
            }
        }
        let new = change(old);
        if new > 0 {
            self.weights.insert(dest, new);
            let group = self.groups.entry(new).or_default();
            if let Err(at) = group.binary_search(&node) {
                group.insert(at, node);
            }
        }
    }
}

impl HashBy {
    fn parse(args: &FieldTable) -> Result<Self, Invalid> {
        let args = args.inner();
        match (args.get("hash-header"), args.get("hash-property")) {
            (None, None) => Ok(Self::Key),
            (Some(_), Some(_)) => Err(Invalid::two_hashes()),
            (Some(AMQPValue::LongString(name)), None) => {
                Ok(Self::Header(String::from_utf8_lossy(name.as_bytes()).into()))
            }
            (Some(other), None) => Err(Invalid::hash_header(other)),
            (None, Some(AMQPValue::LongString(name))) => match name.as_bytes() {
                b"correlation_id" => Ok(Self::CorrelationId),
                b"message_id" => Ok(Self::MessageId),
                b"timestamp" => Ok(Self::Timestamp),
                other => Err(Invalid::hash_property(&String::from_utf8_lossy(other))),
            },
            (None, Some(other)) => Err(Invalid::hash_property_type(other)),
        }
    }

    fn hash(&self, input: &RouteInput<'_>) -> u64 {
        let properties = || Properties::decode(input.properties).unwrap_or_default();
        let text = |text: Option<&[u8]>| XxHash64::oneshot(0, text.unwrap_or_default());
        match self {
            Self::Key => text(Some(input.key())),
            Self::CorrelationId => text(properties().correlation_id),
            Self::MessageId => text(properties().message_id),
            Self::Timestamp => {
                XxHash64::oneshot(0, &properties().timestamp.unwrap_or_default().to_be_bytes())
            }
            Self::Header(name) => {
                let mut state = XxHash64::with_seed(0);
                let given = input.headers.and_then(|headers| headers.inner().get(&**name));
                if let Some(given) = given {
                    value::hash(given, &mut state);
                }
                state.finish()
            }
        }
    }
}

/// The weight that a binding key stands for: a whole number from 1, as Erlang reads it.
pub(super) fn weight(key: &[u8]) -> Result<u64, Invalid> {
    let (negative, digits) = match key {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let text = std::str::from_utf8(digits).unwrap_or_default();
    if text.is_empty() || !text.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(Invalid::weight_no_integer(key));
    }
    match text.parse().unwrap_or(u64::MAX) {
        0 => Err(Invalid::weight_too_small()),
        _ if negative => Err(Invalid::weight_too_small()),
        weight => Ok(weight),
    }
}

/// The larger a destination's number and its weight, the lower: it is the time of the first of
/// random events that come at the rate of the weight, and the destination with the first one wins.
fn cost(number: u64, weight: u128) -> f64 {
    const REACH: f64 = 18_446_744_073_709_551_616.0; // 2^64
    let share = (number as f64 + 0.5) / REACH;
    -share.ln() / weight as f64
}

fn seed(dest: Destination) -> u64 {
    let (kind, id) = match dest {
        Destination::Queue(id) => (0, id.0),
        Destination::Exchange(id) => (1, id.0),
    };
    XxHash64::oneshot(kind, &id.to_be_bytes())
}

/// Spreads the change of any bit over all of them (the finalizer of MurmurHash3).
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ bits >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits = (bits ^ bits >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    bits ^ bits >> 33
}

#[cfg(test)]
mod tests;
