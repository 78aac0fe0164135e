//! What must be there: followed from what the broker takes in, checked against what it sends, what it
//! tells its store, and what it finds after a crash.

mod copy;
mod notes;
mod restart;

use std::collections::BTreeMap;

use super::laws::is_ruled;
use super::ledger::{self, Ledger, queue_of};
use super::letter::Letter;
pub use copy::{Arrival, Copy, Flag, Holder, To, Window};

/// Queues by number. All but the transient one are durable.
pub const QUEUES: u8 = 6;
/// It has priorities up to that of some letters.
pub const RANKED: u8 = 2;
/// With a single active consumer.
const SINGLE: u8 = 1;
/// Its consumers need not acknowledge.
pub const LOSSY: u8 = 3;
/// Not durable.
pub const TRANSIENT: u8 = 4;
/// Deleted and declared again.
pub const FLEETING: u8 = 5;

/// A message in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The queue's.
    pub incarnation: u64,
    pub id: u64,
}

/// When something was there, by the version of the catalog.
#[derive(Clone, Copy, Debug)]
struct Life {
    made: Window,
    ended: Option<Window>,
}

#[derive(Clone)]
pub struct Queue {
    pub number: u8,
    pub incarnation: u64,
    life: Life,
    /// The store was told to forget all of it.
    emptied: Option<Window>,
    /// Its id, once it is known.
    id: Option<u64>,
    copies: BTreeMap<u64, Copy>,
    /// Positions of messages by number.
    places: BTreeMap<u64, u64>,
    pub consumers: usize,
    /// Somebody has asked for single messages.
    asked: bool,
}

#[derive(Clone, Copy)]
struct Binding {
    exchange: u8,
    key: u8,
    incarnation: u64,
    life: Life,
}

/// What becomes of a published message.
#[derive(Clone, Debug)]
pub enum Fate {
    /// It goes to these.
    Routed(Vec<Held>),
    Unrouted,
    /// The broker takes nothing that it must store.
    Rejected,
}

#[derive(Clone, Default)]
pub struct Model {
    /// Also those that a crash may bring back.
    queues: Vec<Queue>,
    exchanges: Vec<(u8, Life)>,
    bindings: Vec<Binding>,
    incarnations: u64,
    places: u64,
    transactions: u64,
    /// Messages that the store must have been told of by the end of the event.
    untold: Vec<Held>,
    /// What is in the queues with rules.
    pub ledger: Ledger,
}

pub fn is_durable(queue: u8) -> bool {
    queue != TRANSIENT
}

/// Whether a queue has a single active consumer.
pub fn is_single(queue: u8) -> bool {
    queue == SINGLE
}

impl Life {
    fn from(version: Window) -> Self {
        Self { made: version, ended: None }
    }

    /// Whether it was there at a version, if that is certain.
    fn at(&self, version: u64) -> Option<bool> {
        let ended = self.ended.map_or(Some(false), |ended| ended.reached(version))?;
        Some(self.made.reached(version)? && !ended)
    }
}

impl Queue {
    fn find(&self, id: u64) -> Option<&Copy> {
        self.copies.get(self.places.get(&id)?)
    }

    fn find_mut(&mut self, id: u64) -> Option<(u64, &mut Copy)> {
        let place = *self.places.get(&id)?;
        Some((place, self.copies.get_mut(&place)?))
    }

    /// How many messages it has at least and at most.
    pub fn bounds(&self) -> (usize, usize) {
        let there = self.copies.values().filter(|copy| copy.is_there());
        let certain = there.clone().filter(|copy| copy.is_certain());
        (certain.count(), there.count())
    }

    /// Messages that clients hold.
    pub fn held(&self) -> usize {
        self.copies.values().filter(|copy| copy.held.is_some()).count()
    }

    /// Nobody can have been given any of it.
    pub fn is_untouched(&self) -> bool {
        let touched = |copy: &Copy| copy.is_there() && copy.flag != Flag::Fresh;
        self.consumers == 0 && !self.asked && !self.copies.values().any(touched)
    }

    fn touch(&mut self) {
        for copy in self.copies.values_mut() {
            copy.touch();
        }
    }
}

impl Model {
    /// The queues that exist.
    pub fn queues(&self) -> impl Iterator<Item = &Queue> {
        self.queues.iter().filter(|queue| queue.life.ended.is_none())
    }

    pub fn queue(&self, number: u8) -> Option<&Queue> {
        self.queues().find(|queue| queue.number == number)
    }

    /// Which incarnation of a queue exists.
    pub fn alive(&self, number: u8) -> Option<u64> {
        if is_ruled(number) {
            return Some(ledger::incarnation(number));
        }
        self.queue(number).map(|queue| queue.incarnation)
    }

    fn queue_mut(&mut self, number: u8) -> Option<&mut Queue> {
        self.queues.iter_mut().find(|queue| queue.number == number && queue.life.ended.is_none())
    }

    fn incarnation(&mut self, incarnation: u64) -> Option<&mut Queue> {
        let alive =
            |queue: &&mut Queue| queue.incarnation == incarnation && queue.life.ended.is_none();
        self.queues.iter_mut().find(alive)
    }

    pub fn has_exchange(&self, exchange: u8) -> bool {
        exchange == 0 || self.exchanges.iter().any(|(known, _)| *known == exchange)
    }

    pub fn declare_exchange(&mut self, exchange: u8, version: Window) {
        if !self.has_exchange(exchange) {
            self.exchanges.push((exchange, Life::from(version)));
        }
    }

    pub fn declare(&mut self, number: u8, version: Window) {
        if self.queue(number).is_some() {
            return;
        }
        self.incarnations += 1;
        self.queues.push(Queue {
            number,
            incarnation: self.incarnations,
            life: Life::from(version),
            emptied: None,
            id: None,
            copies: BTreeMap::new(),
            places: BTreeMap::new(),
            consumers: 0,
            asked: false,
        });
    }

    /// Notes the id that the broker has given to a queue.
    pub fn identify(&mut self, number: u8, id: u64) {
        if let Some(queue) = self.queue_mut(number) {
            queue.id.get_or_insert(id);
        }
    }

    pub fn delete(&mut self, number: u8, version: Window, lsn: Window) {
        let Some(queue) = self.queue_mut(number) else { return };
        queue.life.ended = Some(version);
        queue.emptied = Some(lsn);
        let incarnation = queue.incarnation;
        for binding in self.bindings.iter_mut().filter(|of| of.incarnation == incarnation) {
            binding.life.ended.get_or_insert(version);
        }
    }

    /// Binds a queue; `false` if something does not exist.
    pub fn bind(&mut self, exchange: u8, key: u8, number: u8, version: Window) -> bool {
        let Some(queue) = self.queue(number).filter(|_| self.has_exchange(exchange)) else {
            return false;
        };
        let incarnation = queue.incarnation;
        if self.binding(exchange, key, incarnation).is_none() {
            let life = Life::from(version);
            self.bindings.push(Binding { exchange, key, incarnation, life });
        }
        true
    }

    /// Unbinds a queue, if it was bound.
    pub fn unbind(&mut self, exchange: u8, key: u8, number: u8, version: Window) {
        let incarnation = self.queue(number).map(|queue| queue.incarnation);
        if let Some(binding) = incarnation.and_then(|of| self.binding(exchange, key, of)) {
            binding.life.ended = Some(version);
        }
    }

    fn binding(&mut self, exchange: u8, key: u8, incarnation: u64) -> Option<&mut Binding> {
        self.bindings.iter_mut().find(|binding| {
            let same = (binding.exchange, binding.key) == (exchange, key);
            same && binding.incarnation == incarnation && binding.life.ended.is_none()
        })
    }

    /// Where a message goes.
    fn route(&self, letter: &Letter) -> Vec<u64> {
        if letter.is_ruled() {
            return vec![ledger::incarnation(letter.key)];
        }
        if letter.exchange == 0 {
            return self.queue(letter.key).map(|queue| queue.incarnation).into_iter().collect();
        }
        let leads = |binding: &&Binding| {
            binding.life.ended.is_none()
                && binding.exchange == letter.exchange
                && (letter.exchange == 2 || binding.key == letter.key)
        };
        let mut queues: Vec<u64> =
            self.bindings.iter().filter(leads).map(|binding| binding.incarnation).collect();
        queues.sort_unstable();
        queues.dedup();
        queues
    }

    /// What becomes of a message that the broker has taken in, which `takes` messages or does not.
    pub fn fate(&self, letter: &Letter, takes: bool) -> Fate {
        let queues = self.route(letter);
        let durable = |incarnation: &u64| {
            queue_of(*incarnation).is_some()
                || self.queues().any(|of| of.incarnation == *incarnation && is_durable(of.number))
        };
        if queues.is_empty() {
            Fate::Unrouted
        } else if letter.persistent && !takes && queues.iter().any(durable) {
            Fate::Rejected
        } else {
            let held = |incarnation| Held { incarnation, id: letter.id };
            Fate::Routed(queues.into_iter().map(held).collect())
        }
    }

    /// A message is in its queues, maybe as part of a transaction.
    pub fn publish(&mut self, letter: Letter, to: &[Held], lsn: Window, tx: Option<u64>) {
        if letter.is_ruled() {
            return self.ledger.publish(letter);
        }
        for held in to {
            self.places += 1;
            let place = self.places;
            let Some(queue) = self.incarnation(held.incarnation) else { continue };
            let stored = letter.persistent && is_durable(queue.number);
            let touched = queue.consumers > 0 || queue.asked;
            let loose = queue.number == LOSSY && queue.consumers > 0;
            let mut copy = Copy::new(letter, stored, lsn, tx);
            if touched {
                copy.touch();
            }
            copy.loose = loose;
            queue.copies.insert(place, copy);
            queue.places.insert(letter.id, place);
            if stored {
                self.untold.push(*held);
            }
        }
    }

    /// A number for a transaction.
    pub fn transaction(&mut self) -> u64 {
        self.transactions += 1;
        self.transactions
    }

    /// Messages are done, by the verdict of who held them.
    pub fn settle(&mut self, held: &[Held], lsn: Window, tx: Option<u64>) {
        for held in held {
            let Some(queue) = self.incarnation(held.incarnation) else { continue };
            let Some((_, copy)) = queue.find_mut(held.id) else { continue };
            copy.held = None;
            copy.gone = Some(lsn);
            copy.gone_tx = tx;
        }
    }

    /// Messages return to their queues.
    pub fn requeue(&mut self, held: &[Held]) {
        self.ledger.requeue(held);
        for held in held {
            let Some(queue) = self.incarnation(held.incarnation) else { continue };
            if let Some((_, copy)) = queue.find_mut(held.id) {
                copy.held = None;
            }
        }
    }

    /// What a connection (or one channel of it) holds returns.
    pub fn release(&mut self, connection: u64, channel: Option<u16>) {
        self.ledger.release(connection, channel);
        for queue in &mut self.queues {
            for copy in queue.copies.values_mut() {
                let ends = |of: Holder| {
                    of.connection == connection && channel.is_none_or(|number| number == of.channel)
                };
                if copy.held.is_some_and(ends) {
                    copy.held = None;
                }
            }
        }
    }

    /// Drops what is ready; what that is only the broker knows.
    pub fn purge(&mut self, number: u8) {
        let Some(queue) = self.queue_mut(number) else { return };
        for copy in queue.copies.values_mut().filter(|copy| copy.held.is_none()) {
            copy.loose = true;
        }
    }

    /// Somebody consumes from now on.
    pub fn consume(&mut self, number: u8) {
        let Some(queue) = self.queue_mut(number) else { return };
        queue.consumers += 1;
        queue.touch();
        if number == LOSSY {
            queue.copies.values_mut().for_each(|copy| copy.loose = true);
        }
    }

    /// Somebody asks for a message.
    pub fn ask(&mut self, number: u8) {
        let Some(queue) = self.queue_mut(number) else { return };
        queue.asked = true;
        queue.touch();
    }

    /// A consumer is gone. What was on its way to it returns as if it had never left.
    pub fn end_consumer(&mut self, incarnation: u64) {
        let Some(queue) = self.incarnation(incarnation) else { return };
        queue.consumers -= 1;
        queue.copies.values_mut().for_each(|copy| copy.may_return = true);
    }

    /// A message has reached a client; `None` if its queue is gone.
    pub fn deliver(&mut self, at: Held, again: bool, to: To, latest: u64) -> Option<Arrival> {
        if let (Some(_), To::Holder(holder)) = (queue_of(at.incarnation), to) {
            self.ledger.deliver(at, holder);
            return None;
        }
        let queue = self.incarnation(at.incarnation)?;
        let number = queue.number;
        let Some((place, copy)) = queue.find_mut(at.id) else {
            panic!("message {} came from queue {number}, where it is not", at.id);
        };
        copy.deliver(again, to, latest);
        let may_return = copy.may_return;
        let high = number == RANKED && copy.letter.is_high();
        Some(Arrival { place, high, may_return })
    }

    /// The queue of that number that a message is in, which may have been deleted since.
    pub fn find(&self, number: u8, id: u64) -> Option<Held> {
        if is_ruled(number) {
            return Some(Held { incarnation: ledger::incarnation(number), id });
        }
        let has = |queue: &&Queue| queue.number == number && queue.find(id).is_some();
        let found = self.queues.iter().find(has).or_else(|| self.queue(number))?;
        Some(Held { incarnation: found.incarnation, id })
    }

    pub fn letter(&self, at: Held) -> Option<Letter> {
        let queue = self.queues.iter().find(|queue| queue.incarnation == at.incarnation)?;
        queue.find(at.id).map(|copy| copy.letter)
    }

    /// A message, as long as its queue exists and a crash may make a difference to it.
    fn copy(&self, at: Held) -> Option<&Copy> {
        let queue = self.queues().find(|queue| queue.incarnation == at.incarnation)?;
        queue.find(at.id).filter(|copy| copy.stored)
    }

    /// Whether a message would survive a crash.
    pub fn is_published(&self, at: Held, safe: u64) -> bool {
        if queue_of(at.incarnation).is_some() {
            return self.ledger.is_published(at.id, safe);
        }
        let published = |copy: &Copy| !copy.refused && copy.published.reached(safe) == Some(true);
        self.copy(at).is_none_or(published)
    }

    /// Whether it would survive a crash that a message is done.
    pub fn is_settled(&self, at: Held, safe: u64) -> bool {
        if queue_of(at.incarnation).is_some() {
            return self.ledger.is_settled(at, safe);
        }
        let settled = |gone: Window| gone.reached(safe) == Some(true);
        self.copy(at).is_none_or(|copy| copy.refused || copy.gone.is_some_and(settled))
    }

    /// Whether the store has refused a message.
    pub fn is_refused(&self, at: Held) -> bool {
        let ruled = queue_of(at.incarnation).is_some();
        ruled && self.ledger.is_refused(at.id) || self.copy(at).is_some_and(|copy| copy.refused)
    }

    /// Forgets what no crash can bring back.
    pub fn prune(&mut self, safe: u64) {
        self.ledger.prune(safe);
        for queue in &mut self.queues {
            let Queue { copies, places, emptied, .. } = queue;
            let dropped = emptied.is_some_and(|emptied| emptied.reached(safe) == Some(true));
            copies.retain(|_, copy| {
                let stays = !dropped && !copy.is_over(safe);
                if !stays {
                    places.remove(&copy.letter.id);
                }
                stays
            });
        }
    }
}
