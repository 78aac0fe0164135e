//! The fanout exchange: every binding matches.

use super::Destination;

/// The destinations, sorted, each with the number of keys that it is bound with.
#[derive(Debug, Default)]
pub(super) struct FanoutIndex {
    bound: Vec<Fan>,
}

#[derive(Debug)]
struct Fan {
    dest: Destination,
    keys: usize,
}

impl FanoutIndex {
    pub(super) fn add(&mut self, dest: Destination) {
        match self.position(dest) {
            Ok(at) => self.bound[at].keys += 1,
            Err(at) => self.bound.insert(at, Fan { dest, keys: 1 }),
        }
    }

    pub(super) fn remove(&mut self, dest: Destination) {
        let Ok(at) = self.position(dest) else {
            return;
        };
        self.bound[at].keys -= 1;
        if self.bound[at].keys == 0 {
            self.bound.remove(at);
        }
    }

    pub(super) fn route(&self, out: &mut Vec<Destination>) {
        out.extend(self.bound.iter().map(|fan| fan.dest));
    }

    fn position(&self, dest: Destination) -> Result<usize, usize> {
        self.bound.binary_search_by_key(&dest, |fan| fan.dest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::{ExchangeId, QueueId};

    #[test]
    fn a_destination_stays_until_its_last_key_goes() {
        let a = Destination::Queue(QueueId(1));
        let b = Destination::Exchange(ExchangeId(1));
        let mut index = FanoutIndex::default();
        let routed = |index: &FanoutIndex| {
            let mut out = Vec::new();
            index.route(&mut out);
            out
        };
        index.add(a);
        index.add(b);
        index.add(a);
        assert_eq!(routed(&index), [a, b]);
        index.remove(a);
        assert_eq!(routed(&index), [a, b]);
        index.remove(a);
        assert_eq!(routed(&index), [b]);
        index.remove(a);
        assert_eq!(routed(&index), [b]);
    }
}
