//! The rules as plainly as they can be written: what the property tests compare with.

use amq_protocol::types::{AMQPValue, FieldTable};
use proptest::prelude::*;

use super::value::{matches, same_table};
use super::words::split;
use super::{Destination, ExchangeId, ExchangeKind, QueueId, RouteInput};

/// A list of bindings, matched one by one.
#[derive(Debug)]
pub(super) struct NaiveBindings {
    pub kind: ExchangeKind,
    pub list: Vec<(Destination, Vec<u8>, FieldTable)>,
}

impl NaiveBindings {
    pub fn new(kind: ExchangeKind) -> Self {
        let list = Vec::new();
        Self { kind, list }
    }

    pub fn add(&mut self, dest: Destination, key: &[u8], args: &FieldTable) -> bool {
        let absent = self.position(dest, key, args).is_none();
        if absent {
            self.list.push((dest, key.to_vec(), args.clone()));
        }
        absent
    }

    pub fn remove(&mut self, dest: Destination, key: &[u8], args: &FieldTable) -> bool {
        let found = self.position(dest, key, args);
        if let Some(at) = found {
            self.list.remove(at);
        }
        found.is_some()
    }

    pub fn remove_destination(&mut self, dest: Destination) -> usize {
        let before = self.list.len();
        self.list.retain(|binding| binding.0 != dest);
        before - self.list.len()
    }

    /// Sorted, each once.
    pub fn route(&self, input: &RouteInput<'_>) -> Vec<Destination> {
        let empty = FieldTable::default();
        let headers = input.headers.unwrap_or(&empty);
        let mut out: Vec<_> = self
            .list
            .iter()
            .filter(|(_, key, args)| match self.kind {
                ExchangeKind::Direct => input.keys.contains(&&key[..]),
                ExchangeKind::Topic => input.keys.iter().any(|one| topic_matches(key, one)),
                ExchangeKind::Headers => headers_match(args, headers),
                _ => true,
            })
            .map(|binding| binding.0)
            .collect();
        out.sort_unstable();
        out.dedup();
        out
    }

    fn position(&self, dest: Destination, key: &[u8], args: &FieldTable) -> Option<usize> {
        self.list.iter().position(|b| b.0 == dest && b.1 == key && same_table(&b.2, args))
    }
}

/// The definition of `*` and `#`, as a recursion.
pub(super) fn topic_matches(pattern: &[u8], key: &[u8]) -> bool {
    let pattern: Vec<_> = split(pattern).collect();
    let key: Vec<_> = split(key).collect();
    words_match(&pattern, &key)
}

fn words_match(pattern: &[&[u8]], key: &[&[u8]]) -> bool {
    match (pattern, key) {
        ([], key) => key.is_empty(),
        ([b"#", rest @ ..], key) => (0..=key.len()).any(|skip| words_match(rest, &key[skip..])),
        ([b"*", rest @ ..], [_, key @ ..]) => words_match(rest, key),
        ([word, rest @ ..], [first, key @ ..]) => word == first && words_match(rest, key),
        (_, []) => false,
    }
}

fn headers_match(args: &FieldTable, headers: &FieldTable) -> bool {
    let mode = match args.inner().get("x-match") {
        Some(AMQPValue::LongString(mode)) => String::from_utf8_lossy(mode.as_bytes()).into_owned(),
        _ => "all".into(),
    };
    let mut asked = args.inner().iter().filter(|(name, _)| {
        name.as_str() != "x-match"
            && (mode.ends_with("-with-x") || !name.as_str().starts_with("x-"))
    });
    let mut holds = |(name, wanted): (&_, &AMQPValue)| {
        let given = headers.inner().get::<amq_protocol::types::ShortString>(name);
        given.is_some_and(|given| wanted == &AMQPValue::Void || matches(wanted, given))
    };
    if mode.starts_with("any") { asked.any(&mut holds) } else { asked.all(&mut holds) }
}

/// One of a few destinations.
pub(super) fn any_dest() -> impl Strategy<Value = Destination> {
    prop_oneof![
        (0..4u64).prop_map(|id| Destination::Queue(QueueId(id))),
        (0..2u64).prop_map(|id| Destination::Exchange(ExchangeId(id))),
    ]
}

/// A key of few different words, so that patterns and keys meet; wildcards are words to a key.
pub(super) fn any_key() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec!["a", "b", "", "*", "#", "#", "*"]);
    prop::collection::vec(word, 0..7).prop_map(|words| words.join(".").into_bytes())
}

/// A table of few different names and values.
pub(super) fn any_table() -> impl Strategy<Value = FieldTable> {
    let name = prop::sample::select(vec!["a", "b", "x-a", "x-", "c"]);
    prop::collection::btree_map(name, any_value(), 0..4).prop_map(|map| {
        let mut table = FieldTable::default();
        for (name, value) in map {
            table.insert(name.into(), value);
        }
        table
    })
}

/// Binding arguments: a table, often with a valid `x-match`.
pub(super) fn any_args() -> impl Strategy<Value = FieldTable> {
    let mode = prop::sample::select(vec!["all", "any", "all-with-x", "any-with-x"]);
    (any_table(), prop::option::of(mode)).prop_map(|(mut table, mode)| {
        if let Some(mode) = mode {
            table.insert("x-match".into(), AMQPValue::LongString(mode.into()));
        }
        table
    })
}

fn any_value() -> impl Strategy<Value = AMQPValue> {
    prop_oneof![
        Just(AMQPValue::Void),
        (0..2i32).prop_map(AMQPValue::LongInt),
        (0..2u8).prop_map(AMQPValue::ShortShortUInt),
        (0..3u8).prop_map(|half| AMQPValue::Double(f64::from(half) / 2.0)),
        Just(AMQPValue::Double(f64::NAN)),
        any::<bool>().prop_map(AMQPValue::Boolean),
        prop::sample::select(vec!["", "1", "v"])
            .prop_map(|text| AMQPValue::LongString(text.into())),
    ]
}
