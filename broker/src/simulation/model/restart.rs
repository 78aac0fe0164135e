//! After a crash: what was found is compared with what must be there.

use std::collections::{BTreeMap, BTreeSet};

use super::super::broker::Recovery;
use super::super::letter::{EXCHANGES, key_name, queue_name};
use super::{Model, Queue, RANKED, is_durable};

impl Model {
    /// The broker has found this; `stored` tells what its store has of a queue: numbers of messages
    /// with positions. What is not certain becomes what is there.
    pub fn restart(&mut self, found: &Recovery, stored: impl Fn(u64) -> Vec<(u64, u64)>) {
        let Recovery { lsn, version, .. } = *found;
        self.ledger.restart(lsn);
        let name = |exchange: u8| EXCHANGES[usize::from(exchange)].to_owned();
        self.exchanges.retain(|(exchange, life)| {
            life.at(version).unwrap_or_else(|| found.exchanges.contains(&name(*exchange)))
        });
        let exchanges = self.exchanges.iter().map(|(exchange, _)| name(*exchange));
        assert_eq!(exchanges.collect::<BTreeSet<_>>(), found.exchanges, "exchanges, {version}");
        self.queues.retain(|queue| {
            let known = |(named, _): &(String, u64)| *named == queue_name(queue.number);
            let certain = queue.life.at(version);
            is_durable(queue.number) && certain.unwrap_or_else(|| found.queues.iter().any(known))
        });
        let queues = self.queues.iter().map(|queue| queue_name(queue.number));
        let ids: BTreeMap<String, u64> = found.queues.iter().cloned().collect();
        assert_eq!(
            queues.collect::<BTreeSet<_>>(),
            ids.keys().cloned().collect(),
            "queues, {version}"
        );
        for queue in &mut self.queues {
            queue.life.ended = None;
            queue.id = ids.get(&queue_name(queue.number)).copied();
        }
        self.restart_bindings(found);
        let mut transactions = BTreeMap::new();
        for queue in &mut self.queues {
            let stored = stored(queue.id.unwrap_or_default());
            queue.restart(lsn, stored, &mut transactions);
        }
    }

    fn restart_bindings(&mut self, found: &Recovery) {
        let named = |queue: &Queue| (queue.incarnation, queue_name(queue.number));
        let names: BTreeMap<u64, String> = self.queues.iter().map(named).collect();
        let mut expected = BTreeSet::new();
        self.bindings.retain_mut(|binding| {
            let Some(queue) = names.get(&binding.incarnation) else { return false };
            let exchange = EXCHANGES[usize::from(binding.exchange)].to_owned();
            let known = (exchange, key_name(binding.key), queue.clone());
            let certain = binding.life.at(found.version);
            let stays = certain.unwrap_or_else(|| found.bindings.contains(&known));
            if stays {
                binding.life.ended = None;
                expected.insert(known);
            }
            stays
        });
        assert_eq!(expected, found.bindings, "bindings, {}", found.version);
    }
}

impl Queue {
    fn restart(
        &mut self,
        lsn: u64,
        mut stored: Vec<(u64, u64)>,
        transactions: &mut BTreeMap<u64, bool>,
    ) {
        let emptied =
            self.emptied.take().is_some_and(|emptied| emptied.reached(lsn) != Some(false));
        let all = stored.clone();
        if self.number == RANKED {
            // Each priority has positions of its own.
            stored.sort_by_key(|(id, _)| self.places.get(id));
        }
        let mut stored = stored.into_iter().peekable();
        let mut there = BTreeMap::new();
        for (place, mut copy) in std::mem::take(&mut self.copies) {
            let found = stored.next_if(|(id, _)| *id == copy.letter.id);
            let certain = if emptied { Some(false) } else { copy.survives(lsn) };
            let is_there = found.is_some();
            if let Some(expected) = certain {
                let number = self.number;
                assert_eq!(is_there, expected, "queue {number}, {lsn} survived: {copy:?}, {all:?}");
            }
            let parts =
                [(copy.tx, Some(copy.published), is_there), (copy.gone_tx, copy.gone, !is_there)];
            for (tx, window, seen) in parts {
                let (Some(tx), Some(window)) = (tx, window) else { continue };
                if !copy.stored || copy.refused || emptied {
                    continue;
                }
                let done = window.reached(lsn).unwrap_or(seen);
                let other = *transactions.entry(tx).or_insert(done);
                assert_eq!(other, done, "a transaction in part, {lsn} survived: {copy:?}");
            }
            if let Some((_, seq)) = found {
                copy.seq = Some(seq);
                copy.restarted(lsn);
                there.insert(place, copy);
            }
        }
        assert_eq!(stored.next(), None, "queue {}: a message that nobody knows here", self.number);
        self.copies = there;
        let place = |(place, copy): (&u64, &super::Copy)| (copy.letter.id, *place);
        self.places = self.copies.iter().map(place).collect();
        (self.consumers, self.asked) = (0, false);
    }
}
