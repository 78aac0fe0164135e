//! What the broker tells its store is compared with what it must tell it.

use lepus_storage::SeqRange;

use super::super::watched::{Note, WITH_OTHERS};
use super::{Copy, Model, Queue, Window};

impl Model {
    /// Takes what the store was told in an event. `committed`: the transaction that was, if any.
    /// A store that `failed` takes nothing.
    pub fn told(&mut self, notes: Vec<Note>, committed: Option<u64>, failed: bool) {
        let (mut refused, mut unpublished) = (false, false);
        // What was refused together with messages, and must be told again.
        let mut again: Vec<Vec<SeqRange>> = Vec::new();
        for note in notes {
            match note {
                Note::Published { queue, seq, id, at } => {
                    self.told_publish(queue.0, seq, id, at);
                    unpublished |= at.is_none();
                }
                Note::Settled { queue, ranges, at } => {
                    if at.is_none() && !failed {
                        again.push(ranges);
                        continue;
                    }
                    again.retain(|refused| *refused != ranges);
                    for range in ranges {
                        self.told_settled(queue.0, (range.first.0, range.last.0), at, committed);
                    }
                    refused |= at.is_none();
                }
                Note::Dropped { queue, at } => {
                    if let Some((queue, at)) = self.by_id(queue.0).zip(at) {
                        queue.emptied = Some(Window::exactly(at));
                    }
                }
                Note::Refused => (refused, unpublished) = (true, true),
                Note::Committed { at } => {
                    refused |= at.is_none();
                    if let (Some(tx), Some(at)) = (committed, at) {
                        self.commit_at(tx, Window::exactly(at));
                    }
                }
            }
        }
        assert!(again.is_empty(), "the store was not told to forget {again:?}");
        if let Some(tx) = committed.filter(|_| refused || unpublished) {
            self.refuse(tx, unpublished);
        }
        for held in std::mem::take(&mut self.untold) {
            let Some(queue) = self.incarnation(held.incarnation) else { continue };
            if let Some(copy) = queue.find(held.id) {
                assert!(
                    copy.seq.is_some() || copy.refused,
                    "the store was not told of message {}",
                    held.id
                );
            }
        }
    }

    fn by_id(&mut self, id: u64) -> Option<&mut Queue> {
        self.queues.iter_mut().rev().find(|queue| queue.id == Some(id))
    }

    fn told_publish(&mut self, queue: u64, seq: u64, id: u64, at: Option<u64>) {
        let Some((_, copy)) = self.by_id(queue).and_then(|queue| queue.find_mut(id)) else {
            panic!("the store was told of message {id} in queue {queue}, where it is not");
        };
        match at {
            None => copy.refused = true,
            Some(WITH_OTHERS) => copy.seq = Some(seq),
            Some(at) => {
                copy.seq = Some(seq);
                copy.published = Window::exactly(at);
            }
        }
    }

    fn told_settled(
        &mut self,
        queue: u64,
        (first, last): (u64, u64),
        at: Option<u64>,
        tx: Option<u64>,
    ) {
        let Some(queue) = self.by_id(queue) else { return };
        let settled = |copy: &&mut Copy| copy.seq.is_some_and(|seq| (first..=last).contains(&seq));
        for copy in queue.copies.values_mut().filter(settled) {
            let window = match at {
                None | Some(WITH_OTHERS) => Window::NEVER,
                Some(at) => Window::exactly(at),
            };
            match (copy.gone, at) {
                (None, _) => {
                    let expected = copy.loose && copy.held.is_none();
                    assert!(expected, "the store was told to forget what stays: {copy:?}");
                    copy.gone = Some(window);
                    copy.gone_tx = tx.filter(|_| at == Some(WITH_OTHERS));
                    copy.unseen = true;
                }
                // The end of the transaction tells.
                (Some(_), Some(WITH_OTHERS)) => {}
                // Told before.
                (Some(gone), Some(at)) if gone.reached(at - 1) == Some(true) => {}
                (Some(gone), None) if gone.after != gone.by => {}
                (Some(_), _) => copy.gone = Some(window),
            }
        }
    }

    fn commit_at(&mut self, tx: u64, at: Window) {
        for copy in self.queues.iter_mut().flat_map(|queue| queue.copies.values_mut()) {
            if copy.tx == Some(tx) {
                copy.published = at;
            }
            if copy.gone_tx == Some(tx) {
                copy.gone = Some(at);
            }
        }
    }

    /// Nothing of a transaction may survive. With a message that was refused nothing was settled.
    fn refuse(&mut self, tx: u64, unpublished: bool) {
        for copy in self.queues.iter_mut().flat_map(|queue| queue.copies.values_mut()) {
            if copy.tx == Some(tx) {
                copy.refused = true;
            }
            if copy.gone_tx == Some(tx) {
                copy.gone = if unpublished { None } else { Some(Window::NEVER) };
            }
        }
    }
}
