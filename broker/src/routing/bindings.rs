//! The bindings of one exchange: the record of what was bound, and the index that matches.

use std::collections::{BTreeMap, BTreeSet};

use amq_protocol::types::FieldTable;

use super::consistent_hash::{ConsistentHashIndex, weight};
use super::deduplication;
use super::delayed::{delay, inner_kind};
use super::direct::DirectIndex;
use super::fanout::FanoutIndex;
use super::headers::{Condition, HeadersIndex, Slot};
use super::pool::Pool;
use super::topic::TopicIndex;
use super::value::{same_table, table_hash};
use super::{Destination, ExchangeKind, Invalid, RouteInput, history_length};
use crate::dedup;

/// The bindings of one exchange.
///
/// A binding is its destination, its key and its arguments together: the same key bound twice to a
/// queue with different arguments makes two bindings.
#[derive(Debug)]
pub struct Bindings {
    records: Records,
    len: usize,
    index: Index,
    /// Messages that say so are held back before they are routed.
    holds: Option<Holds>,
}

/// Which messages are held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// Those with a delay.
    Delayed,
    /// Those with a key, until it is known whether that is new.
    Named,
}

/// One binding, as it was made.
#[derive(Clone, Copy, Debug)]
pub struct BindingRef<'a> {
    /// Where it leads.
    pub dest: Destination,
    /// The binding key, byte for byte.
    pub key: &'a [u8],
    /// The arguments of the bind.
    pub args: &'a FieldTable,
}

/// Ordered by destination first, so that all bindings of one lie together.
type Records = BTreeMap<(Destination, Box<[u8]>), Vec<Record>>;

#[derive(Debug)]
struct Record {
    args: FieldTable,
    /// Of the arguments: a queue may have thousands of bindings with one key.
    hash: u64,
    /// Where the headers index holds it; `None` for the other kinds.
    slot: Option<Slot>,
}

#[derive(Debug)]
enum Index {
    Direct(DirectIndex),
    Fanout(FanoutIndex),
    Topic(TopicIndex),
    Headers(HeadersIndex),
    ConsistentHash(ConsistentHashIndex),
    ModulusHash(Pool),
    Random(Pool),
    RecentHistory(FanoutIndex),
}

impl Bindings {
    /// No bindings yet, for an exchange of this kind with these arguments.
    ///
    /// # Errors
    /// The arguments make no sense for the kind.
    pub fn new(kind: ExchangeKind, args: &FieldTable) -> Result<Self, Invalid> {
        let holds = match kind {
            ExchangeKind::Delayed => Some(Holds::Delayed),
            ExchangeKind::Deduplication => Some(Holds::Named),
            _ => None,
        };
        let index = match if kind == ExchangeKind::Delayed { inner_kind(args)? } else { kind } {
            // It is never wrapped in itself.
            ExchangeKind::Delayed => return Err(Invalid::delayed_itself()),
            ExchangeKind::Deduplication => {
                deduplication::check(args)?;
                Index::Fanout(FanoutIndex::default())
            }
            ExchangeKind::Direct => Index::Direct(DirectIndex::default()),
            ExchangeKind::Fanout => Index::Fanout(FanoutIndex::default()),
            ExchangeKind::Topic => Index::Topic(TopicIndex::default()),
            ExchangeKind::Headers => Index::Headers(HeadersIndex::default()),
            ExchangeKind::ConsistentHash => Index::ConsistentHash(ConsistentHashIndex::new(args)?),
            ExchangeKind::ModulusHash => Index::ModulusHash(Pool::default()),
            ExchangeKind::Random => Index::Random(Pool::default()),
            ExchangeKind::RecentHistory => {
                history_length(args)?;
                Index::RecentHistory(FanoutIndex::default())
            }
        };
        Ok(Self { records: Records::new(), len: 0, index, holds })
    }

    /// Whether a message with these headers is to be held back first.
    pub(super) fn holds_back(&self, headers: Option<&FieldTable>) -> bool {
        match self.holds {
            None => false,
            Some(Holds::Delayed) => delay(headers).is_some(),
            Some(Holds::Named) => headers.and_then(dedup::key).is_some(),
        }
    }

    /// The kind that this was made for, or that a delayed exchange routes by.
    pub fn kind(&self) -> ExchangeKind {
        match self.index {
            Index::Direct(_) => ExchangeKind::Direct,
            Index::Fanout(_) => ExchangeKind::Fanout,
            Index::Topic(_) => ExchangeKind::Topic,
            Index::Headers(_) => ExchangeKind::Headers,
            Index::ConsistentHash(_) => ExchangeKind::ConsistentHash,
            Index::ModulusHash(_) => ExchangeKind::ModulusHash,
            Index::Random(_) => ExchangeKind::Random,
            Index::RecentHistory(_) => ExchangeKind::RecentHistory,
        }
    }

    /// Adds a binding; `false` if exactly this one (destination, key, arguments) existed.
    ///
    /// # Errors
    /// The key or the arguments make no sense for the kind; nothing has changed.
    pub fn add(
        &mut self,
        dest: Destination,
        key: &[u8],
        args: &FieldTable,
    ) -> Result<bool, Invalid> {
        let condition = match self.index {
            Index::Headers(_) => Some(Condition::parse(args)?),
            Index::ConsistentHash(_) => weight(key).map(|_| None)?,
            _ => None,
        };
        let same_key = self.records.entry((dest, key.into())).or_default();
        let hash = table_hash(args);
        if position(same_key, hash, args).is_some() {
            return Ok(false);
        }
        let slot = match (&mut self.index, condition) {
            (Index::Headers(index), Some(condition)) => Some(index.add(dest, condition)),
            (index, _) if same_key.is_empty() => {
                index.add_key(dest, key);
                None
            }
            _ => None,
        };
        if same_key.is_empty() {
            // Mostly there is no second one.
            same_key.reserve_exact(1);
        }
        same_key.push(Record { args: args.clone(), hash, slot });
        self.len += 1;
        Ok(true)
    }

    /// Removes a binding; `true` if it existed.
    pub fn remove(&mut self, dest: Destination, key: &[u8], args: &FieldTable) -> bool {
        let id = (dest, Box::from(key));
        let Some(same_key) = self.records.get_mut(&id) else {
            return false;
        };
        let Some(at) = position(same_key, table_hash(args), args) else {
            return false;
        };
        let record = same_key.remove(at);
        let last = same_key.is_empty();
        if last {
            self.records.remove(&id);
        }
        self.index.forget(dest, key, record.slot, last);
        self.len -= 1;
        true
    }

    /// Removes all bindings that lead to `dest`, and says how many there were.
    pub fn remove_destination(&mut self, dest: Destination) -> usize {
        let mut removed = 0;
        while let Some(id) = self.first_of(dest).cloned() {
            let records = self.records.remove(&id).unwrap_or_default();
            removed += records.len();
            let mut left = records.len();
            for record in records {
                left -= 1;
                self.index.forget(dest, &id.1, record.slot, left == 0);
            }
        }
        self.len -= removed;
        removed
    }

    /// Every binding that leads to `dest`.
    pub fn of(&self, dest: Destination) -> impl Iterator<Item = BindingRef<'_>> {
        let from = (dest, Box::default());
        let records = self.records.range(from..).take_while(move |((to, _), _)| *to == dest);
        records.flat_map(|((dest, key), records)| {
            records.iter().map(|record| BindingRef { dest: *dest, key, args: &record.args })
        })
    }

    /// Whether any binding leads to `dest`.
    pub fn has_destination(&self, dest: Destination) -> bool {
        self.first_of(dest).is_some()
    }

    /// Whether there is no binding.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bindings there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Every binding, by destination and then by key.
    pub fn iter(&self) -> impl Iterator<Item = BindingRef<'_>> {
        self.records.iter().flat_map(|((dest, key), records)| {
            records.iter().map(|record| BindingRef { dest: *dest, key, args: &record.args })
        })
    }

    /// Appends each destination that matches; one may appear more than once. Returns how much was
    /// looked at in vain or not, where that can be much.
    pub fn route(&self, input: &RouteInput<'_>, out: &mut Vec<Destination>) -> usize {
        match &self.index {
            Index::Topic(index) => return index.route_all(input.keys, out),
            Index::Headers(index) => return index.route(input.headers, out),
            Index::Direct(index) => {
                let keys: BTreeSet<&[u8]> = input.keys.iter().copied().collect();
                keys.into_iter().for_each(|key| index.route(key, out));
            }
            Index::Fanout(index) | Index::RecentHistory(index) => index.route(out),
            Index::ConsistentHash(index) => return index.route(input, out),
            Index::ModulusHash(pool) => pool.route_by_key(input.key(), out),
            Index::Random(pool) => pool.route_by_draw(input.draw, out),
        }
        0
    }

    /// Whether routing looks at the headers: if not, they need not be decoded.
    pub fn needs_headers(&self) -> bool {
        self.holds.is_some()
            || match &self.index {
                Index::Headers(index) => index.reads_headers(),
                Index::ConsistentHash(index) => index.reads_headers() && !self.is_empty(),
                Index::RecentHistory(_) => true,
                _ => false,
            }
    }

    /// Whether the keys alone decide on the route, and nothing comes of a message but its route.
    pub(super) fn needs_keys_only(&self) -> bool {
        self.holds.is_none()
            && match &self.index {
                Index::Direct(_) | Index::Fanout(_) | Index::Topic(_) | Index::ModulusHash(_) => {
                    true
                }
                Index::Headers(index) => !index.reads_headers(),
                Index::ConsistentHash(index) => !index.reads_properties(),
                Index::Random(_) | Index::RecentHistory(_) => false,
            }
    }

    fn first_of(&self, dest: Destination) -> Option<&(Destination, Box<[u8]>)> {
        let from = (dest, Box::default());
        let (id, _) = self.records.range(from..).next()?;
        (id.0 == dest).then_some(id)
    }
}

fn position(records: &[Record], hash: u64, args: &FieldTable) -> Option<usize> {
    records.iter().position(|record| record.hash == hash && same_table(&record.args, args))
}

impl Index {
    /// Indexes the first binding of (destination, key): a second one with other arguments matches
    /// the same messages, except in a headers exchange.
    fn add_key(&mut self, dest: Destination, key: &[u8]) {
        match self {
            Self::Direct(index) => index.add(dest, key),
            Self::Fanout(index) | Self::RecentHistory(index) => index.add(dest),
            Self::Topic(index) => index.add(dest, key),
            Self::Headers(_) => {}
            Self::ConsistentHash(index) => index.add(dest, key),
            Self::ModulusHash(pool) | Self::Random(pool) => pool.add(dest),
        }
    }

    /// Undoes the indexing of a binding; `last` says that (destination, key) has none left.
    fn forget(&mut self, dest: Destination, key: &[u8], slot: Option<Slot>, last: bool) {
        match (self, slot) {
            (Self::Headers(index), Some(slot)) => index.remove(slot),
            (Self::Direct(index), _) if last => index.remove(dest, key),
            (Self::Fanout(index) | Self::RecentHistory(index), _) if last => index.remove(dest),
            (Self::Topic(index), _) if last => index.remove(dest, key),
            (Self::ConsistentHash(index), _) if last => index.remove(dest, key),
            (Self::ModulusHash(pool) | Self::Random(pool), _) if last => pool.remove(dest),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
