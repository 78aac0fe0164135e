//! Messages that queues with rules move about by themselves: where each is.
//!
//! What the store is told is followed step by step (a batch, or a whole transaction): each step takes a
//! message from one place to exactly those that the rules lead to, for a reason that holds. So nothing
//! is lost or in two places after any step, and a crash leaves the steps up to some position.

mod steps;

use std::collections::{BTreeMap, BTreeSet};

use lepus_storage::{Batch, Op, QueueId};

use super::laws::{LAWS, Law, Owner, RULED, Unique, law};
use super::letter::Letter;
use super::model::{Held, Holder};
use super::policies::Policies;
use crate::queue::state::place::{is_keys, lowest_level};
use crate::queue::state::schedule::Bucket;
use steps::Move;

/// Incarnations of these queues: this and the number.
const INCARNATIONS: u64 = 1 << 40;

/// What the store was told in one batch, and its position; `None`: it was refused.
pub type Told = (Batch, Option<u64>);

/// A place of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Queue(u8),
    /// It waits for its time to be in that queue again.
    Waits(u8),
    /// The delayed exchange.
    Late,
}

/// What a client has said of a message that it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Ack,
    Reject,
}

/// A message in a place.
#[derive(Clone, Debug)]
struct Stay {
    /// Name and position in the store.
    stored: (u64, u64),
    place: Place,
    id: u64,
    /// When it came to its queue, and how long it wants to be there.
    arrived: u64,
    expiration: Option<u64>,
    /// Its time to wait is over.
    due: Option<u64>,
    /// Positions of the steps with which it came and went.
    from: u64,
    until: Option<u64>,
    holder: Option<Holder>,
    said: Option<Said>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    letter: Letter,
    /// The position of its first step.
    published: Option<u64>,
    /// The store has refused it once: it is also where the store does not know it.
    loose: bool,
    /// Its queue was full.
    rejected: bool,
}

/// A message with a key was taken by a queue that remembers such.
#[derive(Clone, Copy, Debug)]
struct Taken {
    queue: u8,
    key: u64,
    until: u64,
    /// The position of the step.
    at: u64,
}

#[derive(Clone, Default)]
pub struct Ledger {
    /// By name in the store.
    owners: BTreeMap<u64, Owner>,
    letters: BTreeMap<u64, Known>,
    stays: Vec<Stay>,
    /// Transactions that are not complete.
    open: BTreeMap<u64, Vec<Op>>,
    /// The store takes nothing more.
    frozen: bool,
    /// It may have taken nothing for a while: what was dead then has gone later.
    trouble: bool,
    /// Messages that the store must have been told of by the end of the event.
    untold: Vec<u64>,
    policies: Policies,
    /// Before this event.
    former: Policies,
    taken: Vec<Taken>,
    /// The last position before the event.
    before: u64,
    /// The latest time that there was, before the clock was set back.
    latest: u64,
}

/// The incarnation of a queue.
pub fn incarnation(queue: u8) -> u64 {
    INCARNATIONS + u64::from(queue)
}

/// The queue of an incarnation, if it is one of these.
pub fn queue_of(incarnation: u64) -> Option<u8> {
    incarnation.checked_sub(INCARNATIONS).map(|queue| queue as u8)
}

impl Stay {
    fn is_there(&self) -> bool {
        self.until.is_none()
    }

    /// Whether its time in a queue with this law is over.
    fn is_over(&self, law: &Law, now: u64) -> bool {
        let ttl = law.ttl.into_iter().chain(self.expiration).min();
        ttl.is_some_and(|ttl| self.arrived + ttl <= now)
    }
}

impl Ledger {
    /// These have rules; that never changes.
    pub fn set_owners(&mut self, owners: BTreeMap<u64, Owner>) {
        self.owners = owners;
    }

    /// The broker has taken in a message.
    pub fn publish(&mut self, letter: Letter) {
        let (published, loose, rejected) = (None, false, false);
        self.letters.insert(letter.id, Known { letter, published, loose, rejected });
        self.untold.push(letter.id);
    }

    fn there(&self, place: Place) -> impl Iterator<Item = &Stay> {
        self.stays.iter().filter(move |stay| stay.place == place && stay.is_there())
    }

    /// Messages in all of these places.
    pub fn len(&self) -> usize {
        self.stays.iter().filter(|stay| stay.is_there()).count()
    }

    /// Nothing is left.
    pub fn check_empty(&self) {
        let left: Vec<&Stay> = self.stays.iter().filter(|stay| stay.is_there()).collect();
        assert!(left.is_empty(), "left: {left:?}");
    }

    fn at(&mut self, held: Held) -> Option<&mut Stay> {
        let place = Place::Queue(queue_of(held.incarnation)?);
        let is = |stay: &&mut Stay| stay.id == held.id && stay.place == place && stay.is_there();
        self.stays.iter_mut().find(is)
    }

    /// A message has reached a client.
    pub fn deliver(&mut self, held: Held, holder: Holder) {
        let certain = !self.frozen && self.letters.get(&held.id).is_some_and(|of| !of.loose);
        let trouble = self.trouble;
        match self.at(held) {
            None => assert!(!certain, "{held:?} came from where it is not"),
            Some(stay) => {
                // A transaction that is refused in part has said nothing.
                let unsaid = stay.said.is_none() || !certain || trouble;
                assert!(unsaid, "it came back: {stay:?}");
                assert!(stay.holder.is_none() || !certain, "somebody holds it: {stay:?}");
                (stay.holder, stay.said) = (Some(holder), None);
            }
        }
    }

    /// Who held these has acknowledged them, or does not want them.
    pub fn say(&mut self, all: &[Held], acknowledged: bool) {
        let said = if acknowledged { Said::Ack } else { Said::Reject };
        for held in all {
            // The store may have been told before the client is known to have said it.
            let place = queue_of(held.incarnation).map(Place::Queue);
            let is = |stay: &&mut Stay| stay.id == held.id && Some(stay.place) == place;
            if let Some(stay) = self.stays.iter_mut().rev().find(is) {
                (stay.said, stay.holder) = (Some(said), None);
            }
        }
    }

    /// They return to their queues.
    pub fn requeue(&mut self, all: &[Held]) {
        for held in all {
            if let Some(stay) = self.at(*held) {
                stay.holder = None;
            }
        }
    }

    /// What a connection (or one channel of it) holds returns.
    pub fn release(&mut self, connection: u64, channel: Option<u16>) {
        for stay in &mut self.stays {
            stay.holder = stay.holder.filter(|of| {
                of.connection != connection || channel.is_some_and(|number| number != of.channel)
            });
        }
    }

    pub fn letter(&self, id: u64) -> Option<Letter> {
        self.letters.get(&id).map(|known| known.letter)
    }

    /// Whether a message would survive a crash, here or where it went.
    pub fn is_published(&self, id: u64, safe: u64) -> bool {
        let safe = |known: &Known| known.published.is_some_and(|at| at <= safe);
        self.letters.get(&id).is_none_or(safe)
    }

    /// Whether its queue was too full for a message, if that is known.
    pub fn is_rejected(&self, id: u64) -> Option<bool> {
        self.letters.get(&id).map(|known| known.rejected)
    }

    pub fn policies(&self) -> Policies {
        self.policies
    }

    /// These hold from now on.
    pub fn set_policies(&mut self, policies: Policies) {
        tracing::trace!("{policies:?}");
        self.policies = policies;
    }

    fn law(&self, queue: u8) -> Law {
        if queue == RULED { self.policies.law() } else { *law(queue) }
    }

    /// The law by which a message leaves its queue. What is over when policies change goes by the former
    /// ones still.
    fn law_for(&self, stay: &Stay, change: &Move, now: u64) -> Law {
        let Place::Queue(queue) = stay.place else { panic!("not in a queue: {stay:?}") };
        let former = self.former.law();
        let lapsed = change.reasons.iter().all(|reason| reason == "expired");
        let earlier = queue == RULED && self.former != self.policies && lapsed;
        if earlier && stay.is_over(&former, now) && change.to == Self::targets(&former) {
            return former;
        }
        self.law(queue)
    }

    /// Whether a message can have been dropped because another one with its key was there.
    fn is_double(&self, letter: &Letter, now: u64) -> bool {
        let Some(key) = letter.dedup_key() else { return false };
        if let Some(Unique::Window(_)) = self.law(letter.key).unique {
            let same = |of: &&Taken| (of.queue, of.key) == (letter.key, key);
            return self.taken.iter().filter(same).any(|taken| now < taken.until);
        }
        self.stays.iter().any(|stay| {
            let there = stay.until.is_none_or(|until| until > self.before);
            let here = [Place::Queue(letter.key), Place::Waits(letter.key)].contains(&stay.place);
            there && here && stay.id != letter.id && self.key_of(stay.id) == Some(key)
        })
    }

    fn key_of(&self, id: u64) -> Option<u64> {
        self.letter(id).and_then(|letter| letter.dedup_key())
    }

    pub fn is_refused(&self, id: u64) -> bool {
        self.letters.get(&id).is_some_and(|known| known.loose)
    }

    /// Whether it would survive a crash that a message is acknowledged.
    pub fn is_settled(&self, held: Held, safe: u64) -> bool {
        let place = queue_of(held.incarnation).map(Place::Queue);
        let mut of = self.stays.iter().filter(|of| of.id == held.id && Some(of.place) == place);
        of.all(|stay| stay.said != Some(Said::Ack) || stay.until.is_some_and(|at| at <= safe))
    }

    /// The disk is not what it should be.
    pub fn set_trouble(&mut self, trouble: bool) {
        self.trouble = trouble;
    }

    /// A new process has found the steps up to a position.
    pub fn restart(&mut self, at: u64) {
        (self.frozen, self.trouble) = (false, false);
        self.open.clear();
        self.untold.clear();
        self.stays.retain(|stay| stay.from <= at && stay.until.is_none_or(|until| until > at));
        for stay in &mut self.stays {
            (stay.until, stay.holder, stay.said) = (None, None, None);
        }
        self.taken.retain(|taken| taken.at <= at);
        let left: BTreeSet<u64> = self.stays.iter().map(|stay| stay.id).collect();
        self.letters.retain(|id, _| left.contains(id));
        self.letters.values_mut().for_each(|known| known.loose = false);
    }

    /// Forgets what no crash can bring back.
    pub fn prune(&mut self, safe: u64) {
        self.stays.retain(|stay| stay.until.is_none_or(|until| until > safe));
        let left: BTreeSet<u64> = self.stays.iter().map(|stay| stay.id).collect();
        self.letters.retain(|id, known| {
            left.contains(id) || known.loose || known.published.is_none_or(|at| at > safe)
        });
    }

    /// Compares with what the store has under each of its names: positions and messages.
    pub fn check_store(&self, names: BTreeSet<u64>, stored: impl Fn(u64) -> Vec<(u64, u64)>) {
        let all = self.stays.iter().map(|stay| stay.stored.0);
        let names: BTreeSet<u64> = all.chain(names).collect();
        for name in names.into_iter().filter(|name| self.is_ruled(*name)) {
            let here = self.stays.iter().filter(|stay| stay.is_there() && stay.stored.0 == name);
            let mut expected: Vec<(u64, u64)> = here.map(|stay| (stay.stored.1, stay.id)).collect();
            expected.sort_unstable();
            assert_eq!(stored(name), expected, "in the store of {:?}", self.place(name));
        }
    }

    /// Compares with what the queues say that they have: ready and held, waiting. In trouble
    /// dead letters may be on their way, and messages be where the store does not know them.
    pub fn check_counts(&self, counts: impl Fn(Owner) -> (usize, usize)) {
        let loose = self.letters.values().any(|known| known.loose);
        if self.owners.is_empty() || self.frozen || self.trouble || loose {
            return;
        }
        for law in &LAWS {
            let expected = [Place::Queue(law.queue), Place::Waits(law.queue)];
            let expected = expected.map(|place| self.there(place).count());
            let found = counts(Owner::Queue(law.queue));
            assert_eq!([found.0, found.1], expected, "queue {}", law.queue);
        }
        assert_eq!(counts(Owner::Late), (0, self.there(Place::Late).count()), "late");
    }

    /// After a long rest nothing waits, and nothing is there that is over; what limits its own time
    /// may stand behind what does not.
    pub fn check_after_rest(&self, now: u64) {
        for stay in self.stays.iter().filter(|stay| stay.is_there()) {
            let Place::Queue(queue) = stay.place else { panic!("it waits: {stay:?}") };
            let limited = self.law(queue).ttl.is_some();
            let over = limited && stay.is_over(&self.law(queue), now);
            assert!(!over, "after a long rest: {stay:?}, now {now}");
        }
        for law in LAWS.iter().map(|law| self.law(law.queue)).filter(|law| !law.refuses) {
            let there = self.there(Place::Queue(law.queue)).count() as u64;
            let max = law.max_length.unwrap_or(u64::MAX);
            assert!(there <= max, "queue {} has {there} messages", law.queue);
        }
    }

    /// Whether a queue has messages whose time is over.
    pub fn has_over(&self, queue: u8, now: u64) -> bool {
        let law = self.law(queue);
        self.there(Place::Queue(queue)).any(|stay| stay.is_over(&law, now))
    }

    fn is_ruled(&self, name: u64) -> bool {
        self.owners.contains_key(&owner_of(name)) && !is_keys(QueueId(name))
    }

    /// The place that a name in the store stands for.
    fn place(&self, name: u64) -> Option<Place> {
        let waits = Bucket::parse(QueueId(name)).is_some();
        if is_keys(QueueId(name)) {
            return None;
        }
        Some(match *self.owners.get(&owner_of(name))? {
            Owner::Queue(queue) if waits => Place::Waits(queue),
            Owner::Queue(queue) => Place::Queue(queue),
            Owner::Late => Place::Late,
        })
    }

    /// The first place of a message.
    fn source(letter: &Letter) -> Place {
        if letter.is_late() { Place::Late } else { Place::Queue(letter.key) }
    }

    fn targets(law: &Law) -> Vec<Place> {
        law.targets().iter().map(|queue| Place::Queue(*queue)).collect()
    }
}

/// The name of the queue or exchange that a name in the store belongs to.
pub fn owner_of(name: u64) -> u64 {
    lowest_level(QueueId(name)).0
}
