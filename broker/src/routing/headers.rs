//! The headers exchange: the binding's arguments are compared with the message's headers.
//!
//! A binding is filed under one of the headers that it asks for (under each of them for `any`), so
//! that a message looks only at bindings that share a header with it, and not at all of them.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use amq_protocol::types::{AMQPValue, FieldTable};

use super::{Destination, Invalid, value};

/// What one binding asks of a message's headers.
#[derive(Debug)]
pub(super) struct Condition {
    any: bool,
    /// Header names and values. Void asks for the header, whatever its value.
    wanted: Vec<(Box<str>, AMQPValue)>,
}

impl Condition {
    /// Reads a binding's arguments. `x-match` is `all` unless said otherwise; arguments whose names
    /// start with `x-` ask for nothing, except (`x-match` itself apart) in the `-with-x` modes.
    pub(super) fn parse(args: &FieldTable) -> Result<Self, Invalid> {
        let (any, with_x) = match args.inner().get("x-match") {
            None => (false, false),
            Some(AMQPValue::LongString(mode)) => match mode.as_bytes() {
                b"all" => (false, false),
                b"any" => (true, false),
                b"all-with-x" => (false, true),
                b"any-with-x" => (true, true),
                other => return Err(Invalid::x_match_value(other)),
            },
            Some(other) => return Err(Invalid::x_match_type(other)),
        };
        let wanted = args
            .inner()
            .iter()
            .map(|(name, value)| (name.as_str(), value))
            .filter(|(name, _)| *name != "x-match" && (with_x || !name.starts_with("x-")))
            .map(|(name, value)| (name.into(), value.clone()))
            .collect();
        Ok(Self { any, wanted })
    }

    /// With nothing to ask for, `all` is true of every message and `any` of none.
    fn holds(&self, headers: &FieldTable) -> bool {
        let holds = |(name, wanted): &(Box<str>, AMQPValue)| match headers.inner().get(&**name) {
            None => false,
            Some(_) if *wanted == AMQPValue::Void => true,
            Some(given) => value::matches(wanted, given),
        };
        if self.any { self.wanted.iter().any(holds) } else { self.wanted.iter().all(holds) }
    }
}

/// Where the index holds a binding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Slot(u32);

/// The bindings of one headers exchange.
#[derive(Debug, Default)]
pub(super) struct HeadersIndex {
    entries: Vec<Option<Entry>>,
    free: Vec<Slot>,
    /// Those that ask for nothing, in mode `all`.
    always: Vec<Slot>,
    by_name: HashMap<Box<str>, Filed>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Entry {
    dest: Destination,
    condition: Condition,
    /// Which of the headers asked for the entry is filed under.
    under: Vec<usize>,
}

/// What is filed under one header name.
#[derive(Debug, Default)]
struct Filed {
    /// Any value will do.
    present: Vec<Slot>,
    /// By hash of the value: the condition decides.
    by_value: HashMap<u64, Vec<Slot>>,
}

impl HeadersIndex {
    pub(super) fn add(&mut self, dest: Destination, condition: Condition) -> Slot {
        let under = self.files_for(&condition);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            // Memory ends long before the numbers do.
            Slot((self.entries.len() - 1) as u32)
        });
        if condition.wanted.is_empty() && !condition.any {
            self.always.push(slot);
        }
        for (name, wanted) in under.iter().map(|&at| &condition.wanted[at]) {
            let key = self.value_key(wanted);
            let filed = self.by_name.entry(name.clone()).or_default();
            filed.list_mut(key).push(slot);
        }
        self.entries[slot.0 as usize] = Some(Entry { dest, condition, under });
        slot
    }

    pub(super) fn remove(&mut self, slot: Slot) {
        let Some(entry) = self.entries.get_mut(slot.0 as usize).and_then(Option::take) else {
            return;
        };
        for (name, wanted) in entry.under.iter().map(|&at| &entry.condition.wanted[at]) {
            let key = self.value_key(wanted);
            if let Some(filed) = self.by_name.get_mut(name) {
                filed.take(key, slot);
                if filed.is_empty() {
                    self.by_name.remove(name);
                }
            }
        }
        if entry.under.is_empty() {
            self.always.retain(|other| *other != slot);
        }
        self.free.push(slot);
        if self.free.len() == self.entries.len() {
            // Gives the memory back.
            *self = Self::default();
        }
    }

    /// Returns how many bindings were looked at.
    pub(super) fn route(&self, headers: Option<&FieldTable>, out: &mut Vec<Destination>) -> usize {
        out.extend(self.always.iter().filter_map(|slot| self.dest(*slot)));
        let mut looked_at = self.always.len();
        let Some(headers) = headers else {
            return looked_at;
        };
        for (name, value) in headers {
            let Some(filed) = self.by_name.get(name.as_str()) else {
                continue;
            };
            let by_value = match filed.by_value.is_empty() {
                true => None,
                false => filed.by_value.get(&self.hash(value)),
            };
            looked_at += filed.present.len() + by_value.map_or(0, Vec::len);
            let candidates = filed.present.iter().chain(by_value.into_iter().flatten());
            out.extend(candidates.filter_map(|slot| self.matching(*slot, headers)));
        }
        looked_at
    }

    /// Whether any binding asks for a header.
    pub(super) fn reads_headers(&self) -> bool {
        !self.by_name.is_empty()
    }

    /// `any` is found by each header that it asks for; for `all` one is enough, and the one that
    /// fewest others are filed under is looked at least often.
    fn files_for(&self, condition: &Condition) -> Vec<usize> {
        let places = 0..condition.wanted.len();
        if condition.any {
            return places.collect();
        }
        places.min_by_key(|&at| self.filed_with(&condition.wanted[at])).into_iter().collect()
    }

    fn filed_with(&self, (name, wanted): &(Box<str>, AMQPValue)) -> usize {
        let Some(filed) = self.by_name.get(name) else {
            return 0;
        };
        match self.value_key(wanted) {
            None => filed.present.len(),
            Some(key) => filed.by_value.get(&key).map_or(0, Vec::len),
        }
    }

    /// `None` for Void, which any value satisfies.
    fn value_key(&self, wanted: &AMQPValue) -> Option<u64> {
        (*wanted != AMQPValue::Void).then(|| self.hash(wanted))
    }

    fn hash(&self, value: &AMQPValue) -> u64 {
        let mut state = self.hasher.build_hasher();
        value::hash(value, &mut state);
        state.finish()
    }

    fn matching(&self, slot: Slot, headers: &FieldTable) -> Option<Destination> {
        let entry = self.entries.get(slot.0 as usize)?.as_ref()?;
        entry.condition.holds(headers).then_some(entry.dest)
    }

    fn dest(&self, slot: Slot) -> Option<Destination> {
        let entry = self.entries.get(slot.0 as usize)?.as_ref()?;
        Some(entry.dest)
    }
}

impl Filed {
    fn list_mut(&mut self, key: Option<u64>) -> &mut Vec<Slot> {
        match key {
            None => &mut self.present,
            Some(key) => self.by_value.entry(key).or_default(),
        }
    }

    fn take(&mut self, key: Option<u64>, slot: Slot) {
        let list = self.list_mut(key);
        if let Some(at) = list.iter().position(|other| *other == slot) {
            list.remove(at);
        }
        if let Some(key) = key
            && list.is_empty()
        {
            self.by_value.remove(&key);
        }
    }

    fn is_empty(&self) -> bool {
        self.present.is_empty() && self.by_value.is_empty()
    }
}

#[cfg(test)]
mod tests;
