//! What the clients know of every message: sent, confirmed, handed out, settled, and for how long.
//!
//! A crash may take acks with it that are younger than a moment or than what was confirmed last, and the
//! broker may have stored what it had not confirmed yet. All else is certain, and what contradicts it is a
//! violation.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::message::Id;

/// An ack, or a delivery, that the broker processed so long before a kill must have survived it, if a
/// message that was published later was confirmed: a disk may be slow, but the log has one order.
const SETTLED_FOR: Duration = Duration::from_secs(1);
/// The most violations that are told apart.
const MAX_VIOLATIONS: usize = 50;

/// A queue, by its place in [`crate::topology::QUEUES`].
pub type Queue = usize;

/// What became of a message's publishing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Published {
    /// Nobody knows whether it is stored.
    Sent,
    Confirmed,
    /// By a nack.
    Refused,
    /// With the transaction of this number.
    InTransaction(usize),
}

/// Whether a message is still in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Queued,
    /// The ack is sent.
    Acking,
    /// The ack is processed, since then.
    Acked(Instant),
    /// Acked in the transaction of this number.
    InTransaction(usize),
    /// A crash came so soon after the ack that it may or may not have survived.
    Perhaps,
    Gone,
}

/// Whether the next delivery must be flagged as redelivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Never,
    At(Instant),
    Surely,
}

#[derive(Debug, Clone, Copy)]
struct Copy {
    fate: Fate,
    seen: Seen,
}

#[derive(Debug)]
struct Entry {
    sent: Instant,
    published: Published,
    copies: Vec<(Queue, Copy)>,
}

/// A transaction.
#[derive(Debug, Default)]
struct Transaction {
    published: Vec<(Id, Queue)>,
    acked: Vec<(Id, Queue)>,
    outcome: Outcome,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    #[default]
    Open,
    /// tx.commit is sent.
    Committing,
    Committed,
}

/// What was counted over the whole run.
#[derive(Debug, Default, Clone, Copy)]
pub struct Totals {
    pub sent: u64,
    pub confirmed: u64,
    pub delivered: u64,
    pub acked: u64,
    pub committed: u64,
}

/// All that the clients know.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: BTreeMap<Id, Entry>,
    transactions: Vec<Transaction>,
    /// When the latest message was sent of those that were confirmed.
    stored_until: Option<Instant>,
    /// What was handed out in this drain.
    drained: HashSet<(Id, Queue)>,
    pub violations: Vec<String>,
    pub totals: Totals,
    publishers: u32,
}

impl Ledger {
    /// Notes something that must not be.
    pub fn violation(&mut self, what: String) {
        if self.violations.len() < MAX_VIOLATIONS {
            eprintln!("  VIOLATION: {what}");
            self.violations.push(what);
        }
    }

    /// The number of a publisher that nobody else has.
    pub fn new_publisher(&mut self) -> u32 {
        self.publishers += 1;
        self.publishers
    }

    /// A message is about to be published to these queues.
    pub fn sent(&mut self, id: Id, queues: &[Queue]) {
        self.add(id, queues, Published::Sent);
    }

    fn add(&mut self, id: Id, queues: &[Queue], published: Published) {
        self.totals.sent += 1;
        let copy = Copy { fate: Fate::Queued, seen: Seen::Never };
        let copies = queues.iter().map(|queue| (*queue, copy)).collect();
        self.entries.insert(id, Entry { sent: Instant::now(), published, copies });
    }

    /// The broker's confirm, or its refusal.
    pub fn confirmed(&mut self, id: Id, ack: bool) {
        self.totals.confirmed += u64::from(ack);
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.published = if ack { Published::Confirmed } else { Published::Refused };
            self.stored_until = self.stored_until.max(Some(entry.sent).filter(|_| ack));
        }
    }

    /// A message was handed to a client. Returns whether it is one that can be there.
    pub fn delivered(&mut self, id: Id, queue: Queue, redelivered: bool) -> bool {
        self.totals.delivered += 1;
        let found = self.entries.get_mut(&id).and_then(|entry| {
            let (_, copy) = entry.copies.iter_mut().find(|(at, _)| *at == queue)?;
            Some((entry.published, copy))
        });
        let Some((published, copy)) = found else {
            self.violation(format!("{id:?} is in queue {queue}, where it cannot be"));
            return false;
        };
        let wrong = match copy.fate {
            _ if published == Published::Refused => Some("was refused"),
            Fate::Acking | Fate::Acked(_) => Some("came again although it was acked"),
            Fate::Gone => Some("came back although it had gone for good"),
            _ => None,
        };
        let unflagged = copy.seen != Seen::Never && !redelivered;
        if let (Fate::Perhaps, None) = (copy.fate, wrong) {
            copy.fate = Fate::Queued;
        }
        if copy.seen == Seen::Never {
            copy.seen = Seen::At(Instant::now());
        }
        if let Some(wrong) = wrong {
            self.violation(format!("{id:?} in queue {queue} {wrong}"));
        } else if unflagged {
            self.violation(format!("{id:?} in queue {queue} came again without redelivered"));
        }
        wrong.is_none()
    }

    /// The ack of a message is sent.
    pub fn acking(&mut self, id: Id, queue: Queue) {
        self.totals.acked += 1;
        self.set_fate(id, queue, Fate::Acking);
    }

    /// The broker has processed acks.
    pub fn acked(&mut self, ids: impl IntoIterator<Item = Id>, queue: Queue) {
        let now = Instant::now();
        for id in ids {
            self.set_fate(id, queue, Fate::Acked(now));
        }
    }

    fn set_fate(&mut self, id: Id, queue: Queue, fate: Fate) {
        if let Some(copy) = self.copy(id, queue) {
            copy.fate = fate;
        }
    }

    fn copy(&mut self, id: Id, queue: Queue) -> Option<&mut Copy> {
        let copies = &mut self.entries.get_mut(&id)?.copies;
        copies.iter_mut().find(|(at, _)| *at == queue).map(|(_, copy)| copy)
    }

    /// Begins a transaction that takes one set of messages and publishes another.
    pub fn transaction(&mut self, acked: Vec<(Id, Queue)>, published: Vec<(Id, Queue)>) -> usize {
        let number = self.transactions.len();
        for (id, queue) in &published {
            self.add(*id, &[*queue], Published::InTransaction(number));
        }
        for (id, queue) in &acked {
            self.set_fate(*id, *queue, Fate::InTransaction(number));
        }
        self.transactions.push(Transaction { published, acked, outcome: Outcome::Open });
        number
    }

    /// tx.commit is about to be sent.
    pub fn committing(&mut self, number: usize) {
        self.set_outcome(number, Outcome::Committing);
    }

    /// tx.commit-ok came.
    pub fn committed(&mut self, number: usize) {
        self.totals.committed += 1;
        self.set_outcome(number, Outcome::Committed);
    }

    fn set_outcome(&mut self, number: usize, outcome: Outcome) {
        if let Some(transaction) = self.transactions.get_mut(number) {
            transaction.outcome = outcome;
        }
    }

    /// The broker was killed, or asked to stop, at this moment: what is certain now?
    pub fn ended(&mut self, at: Instant, clean: bool) {
        let outcomes: Vec<Outcome> = self.transactions.iter().map(|each| each.outcome).collect();
        let outcome = |number: usize| outcomes.get(number).copied().unwrap_or_default();
        let stored_until = self.stored_until;
        let survived = |since: Instant| {
            clean || since + SETTLED_FOR <= at && stored_until.is_some_and(|sent| since < sent)
        };
        self.entries.retain(|id, entry| {
            if let Published::InTransaction(number) = entry.published {
                entry.published = match outcome(number) {
                    Outcome::Open => return false,
                    Outcome::Committing => Published::InTransaction(number),
                    Outcome::Committed => Published::Confirmed,
                };
            }
            for (_, copy) in &mut entry.copies {
                copy.fate = match copy.fate {
                    Fate::Acking => Fate::Perhaps,
                    Fate::Acked(since) if survived(since) => Fate::Gone,
                    Fate::Acked(_) => Fate::Perhaps,
                    Fate::InTransaction(number) => match outcome(number) {
                        Outcome::Open => Fate::Queued,
                        Outcome::Committing => Fate::Perhaps,
                        Outcome::Committed => Fate::Gone,
                    },
                    fate => fate,
                };
                copy.seen = match copy.seen {
                    Seen::At(since) if survived(since) => Seen::Surely,
                    Seen::At(_) => Seen::Never,
                    seen => seen,
                };
            }
            id.persistent
        });
    }

    /// How many messages a queue must have at least, and at most.
    pub fn bounds(&self, queue: Queue) -> (u64, u64) {
        let (mut least, mut most) = (0, 0);
        for entry in self.entries.values() {
            for (_, copy) in entry.copies.iter().filter(|(at, _)| *at == queue) {
                let sure = entry.published == Published::Confirmed && copy.fate == Fate::Queued;
                let possible = copy.fate != Fate::Gone && entry.published != Published::Refused;
                least += u64::from(sure);
                most += u64::from(possible);
            }
        }
        (least, most)
    }

    /// A drain took this message.
    pub fn drained(&mut self, id: Id, queue: Queue) {
        self.drained.insert((id, queue));
    }

    /// All queues are empty now: is all there that must have been?
    pub fn check_drained(&mut self) {
        let drained = std::mem::take(&mut self.drained);
        let mut wrong = Vec::new();
        for (id, entry) in &self.entries {
            for (queue, copy) in &entry.copies {
                let must = entry.published == Published::Confirmed && copy.fate == Fate::Queued;
                if must && !drained.contains(&(*id, *queue)) {
                    wrong.push(format!("{id:?} was confirmed, and is lost from queue {queue}"));
                }
            }
        }
        for transaction in &self.transactions {
            wrong.extend(transaction.torn(&drained));
        }
        wrong.into_iter().for_each(|what| self.violation(what));
        self.transactions.clear();
        // What was drained is acked just now, and might come back; the rest never can.
        self.entries.retain(|id, entry| {
            entry.copies.retain(|(queue, _)| drained.contains(&(*id, *queue)));
            !entry.copies.is_empty()
        });
        for entry in self.entries.values_mut() {
            entry.published = Published::Confirmed;
        }
    }
}

impl Transaction {
    /// What is wrong with a transaction whose commit was not answered: half of it is there.
    fn torn(&self, drained: &HashSet<(Id, Queue)>) -> Option<String> {
        if self.outcome != Outcome::Committing {
            return None;
        }
        let there = |list: &[(Id, Queue)]| list.iter().filter(|it| drained.contains(it)).count();
        let (published, acked) = (there(&self.published), there(&self.acked));
        let whole = published == self.published.len() && acked == 0;
        let absent = published == 0 && acked == self.acked.len();
        (!whole && !absent).then(|| {
            format!(
                "a transaction is torn: {published} of its {} messages are there, and {acked} of the {} that it took",
                self.published.len(),
                self.acked.len()
            )
        })
    }
}

/// Messages of one publisher must come in the order in which they were sent.
#[derive(Debug, Default)]
pub struct Order(HashMap<u32, u32>);

impl Order {
    /// Whether this message follows those before it.
    pub fn follows(&mut self, id: Id) -> bool {
        self.0.insert(id.publisher, id.number).is_none_or(|last| last < id.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: Queue = 0;

    fn id(number: u32) -> Id {
        Id { publisher: 1, number, size: 1, persistent: true }
    }

    /// A ledger with a confirmed message.
    fn confirmed() -> Ledger {
        let mut ledger = Ledger::default();
        ledger.sent(id(1), &[QUEUE]);
        ledger.confirmed(id(1), true);
        ledger
    }

    fn end(ledger: &mut Ledger) {
        ledger.ended(Instant::now(), true);
    }

    #[track_caller]
    fn assert_found(ledger: &Ledger, what: &str) {
        assert!(matches!(ledger.violations.as_slice(), [one] if one.contains(what)), "{what}");
    }

    #[test]
    fn a_kept_message_is_right() {
        let mut ledger = confirmed();
        end(&mut ledger);
        assert_eq!(ledger.bounds(QUEUE), (1, 1));
        assert!(ledger.delivered(id(1), QUEUE, false));
        ledger.drained(id(1), QUEUE);
        ledger.check_drained();
        assert_eq!(ledger.violations, [""; 0]);
    }

    #[test]
    fn a_lost_message_is_found() {
        let mut ledger = confirmed();
        end(&mut ledger);
        ledger.check_drained();
        assert_found(&ledger, "is lost");
    }

    #[test]
    fn an_acked_message_that_comes_back_is_found() {
        let mut ledger = confirmed();
        ledger.delivered(id(1), QUEUE, false);
        ledger.acking(id(1), QUEUE);
        ledger.acked([id(1)], QUEUE);
        end(&mut ledger);
        assert_eq!(ledger.bounds(QUEUE), (0, 0));
        assert!(!ledger.delivered(id(1), QUEUE, true));
        assert_found(&ledger, "came back");
    }

    #[test]
    fn an_old_ack_counts_when_something_later_was_confirmed() {
        for later in [false, true] {
            let mut ledger = confirmed();
            ledger.acked([id(1)], QUEUE);
            if later {
                ledger.sent(id(2), &[]);
                ledger.confirmed(id(2), true);
            }
            ledger.ended(Instant::now() + SETTLED_FOR, false);
            assert_eq!(ledger.delivered(id(1), QUEUE, true), !later);
        }
    }

    #[test]
    fn a_message_that_comes_twice_is_found() {
        let mut ledger = confirmed();
        end(&mut ledger);
        ledger.delivered(id(1), QUEUE, false);
        ledger.acking(id(1), QUEUE);
        ledger.delivered(id(1), QUEUE, true);
        assert_found(&ledger, "came again");
    }

    #[test]
    fn a_missing_flag_is_found() {
        let mut ledger = confirmed();
        ledger.delivered(id(1), QUEUE, false);
        end(&mut ledger);
        ledger.delivered(id(1), QUEUE, false);
        assert_found(&ledger, "without redelivered");
    }

    #[test]
    fn a_refused_or_unknown_or_transient_message_is_found() {
        let mut ledger = Ledger::default();
        ledger.sent(id(1), &[QUEUE]);
        ledger.confirmed(id(1), false);
        ledger.delivered(id(1), QUEUE, false);
        assert_found(&ledger, "was refused");
        let mut ledger = confirmed();
        ledger.delivered(id(1), QUEUE + 1, false);
        assert_found(&ledger, "where it cannot be");
        let (mut ledger, transient) = (Ledger::default(), Id { persistent: false, ..id(1) });
        ledger.sent(transient, &[QUEUE]);
        end(&mut ledger);
        ledger.delivered(transient, QUEUE, false);
        assert_found(&ledger, "where it cannot be");
    }

    #[test]
    fn half_a_transaction_is_found() {
        for (drained, torn) in [(vec![2, 3], false), (vec![1], false), (vec![2], true)] {
            let mut ledger = confirmed();
            let number =
                ledger.transaction(vec![(id(1), QUEUE)], vec![(id(2), QUEUE), (id(3), QUEUE)]);
            ledger.committing(number);
            end(&mut ledger);
            drained.into_iter().for_each(|number| ledger.drained(id(number), QUEUE));
            ledger.check_drained();
            assert_eq!(ledger.violations.len(), usize::from(torn));
        }
    }

    #[test]
    fn wrong_order_is_found() {
        let mut order = Order::default();
        assert!(order.follows(id(1)) && order.follows(id(3)) && !order.follows(id(2)));
    }
}
