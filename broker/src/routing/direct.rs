//! The direct exchange: the routing key equals the binding key.

use std::collections::HashMap;

use super::Destination;

/// Destinations by binding key, each list sorted and without duplicates.
#[derive(Debug, Default)]
pub(super) struct DirectIndex {
    by_key: HashMap<Box<[u8]>, Vec<Destination>>,
}

impl DirectIndex {
    pub(super) fn add(&mut self, dest: Destination, key: &[u8]) {
        let bound = self.by_key.entry(key.into()).or_default();
        if let Err(at) = bound.binary_search(&dest) {
            bound.insert(at, dest);
        }
    }

    pub(super) fn remove(&mut self, dest: Destination, key: &[u8]) {
        let Some(bound) = self.by_key.get_mut(key) else {
            return;
        };
        if let Ok(at) = bound.binary_search(&dest) {
            bound.remove(at);
        }
        if bound.is_empty() {
            self.by_key.remove(key);
        }
    }

    pub(super) fn route(&self, key: &[u8], out: &mut Vec<Destination>) {
        if let Some(bound) = self.by_key.get(key) {
            out.extend_from_slice(bound);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::QueueId;

    const A: Destination = Destination::Queue(QueueId(1));
    const B: Destination = Destination::Queue(QueueId(2));

    fn routed(index: &DirectIndex, key: &[u8]) -> Vec<Destination> {
        let mut out = Vec::new();
        index.route(key, &mut out);
        out
    }

    #[test]
    fn only_the_same_key_matches() {
        let mut index = DirectIndex::default();
        index.add(B, b"job");
        index.add(A, b"job");
        index.add(A, b"");
        assert_eq!(routed(&index, b"job"), [A, B]);
        assert_eq!(routed(&index, b""), [A]);
        assert!(routed(&index, b"jobs").is_empty());
        assert!(routed(&index, b"Job").is_empty());
    }

    #[test]
    fn a_removed_key_leaves_nothing_behind() {
        let mut index = DirectIndex::default();
        index.add(A, b"job");
        index.remove(B, b"job");
        index.remove(A, b"other");
        assert_eq!(routed(&index, b"job"), [A]);
        index.remove(A, b"job");
        assert!(index.by_key.is_empty());
    }
}
