//! Each step of the store is one that the rules allow.

use amq_protocol::types::{AMQPValue, FieldTable};
use lepus_storage::{Op, QueueId, SeqRange};

use super::super::laws::Unique;
use super::super::letter::{Letter, id_of};
use super::{Ledger, Place, Said, Stay, Taken, Told};
use crate::envelope;
use crate::message::{Message, Waiting};
use crate::queue::state::schedule::Bucket;

/// What becomes of one message in a step.
#[derive(Debug, Default)]
pub struct Move {
    id: u64,
    /// Where it was.
    from: Option<Stay>,
    /// Where it came and went at once.
    through: Option<Stay>,
    pub(super) to: Vec<Place>,
    /// Why the message says that it is dead.
    pub(super) reasons: Vec<String>,
}

impl Ledger {
    /// Takes what the store was told in an event. A store that `failed` takes nothing.
    pub fn told(&mut self, all: Vec<Told>, now: u64, failed: bool) {
        self.frozen |= failed;
        self.latest = self.latest.max(now);
        let before = all.iter().filter_map(|(_, at)| *at).min();
        let refused = all.iter().any(|(_, at)| at.is_none());
        self.before = before.map_or(self.before, |at| at - 1);
        for (batch, at) in all {
            let part = batch.part();
            let ops: Vec<Op> = batch.ops().to_vec();
            match (at, part) {
                (None, _) => self.refused(&ops, part.map(|part| part.tx)),
                (Some(_), Some(part)) if !part.last => {
                    self.check_open(&ops, Some(part.tx));
                    self.open.entry(part.tx).or_default().extend(ops);
                }
                (Some(at), part) => {
                    self.check_open(&ops, part.map(|part| part.tx));
                    let earlier = part.and_then(|part| self.open.remove(&part.tx));
                    let mut all = earlier.unwrap_or_default();
                    all.extend(ops);
                    self.step(&all, at, now);
                }
            }
        }
        if self.frozen {
            self.open.clear();
            self.untold.clear();
        }
        self.former = self.policies;
        assert!(self.open.is_empty(), "transactions without an end: {:?}", self.open);
        for id in std::mem::take(&mut self.untold) {
            self.check_told(id, refused, now);
        }
    }

    /// The store knows of a message that was published, unless it was dropped or `refused`.
    fn check_told(&mut self, id: u64, refused: bool, now: u64) {
        let Some(known) = self.letters.get_mut(&id) else { return };
        if known.published.is_some() || known.loose {
            return;
        }
        // With one part of a transaction all that follow are refused without a word to the store.
        known.loose = refused || self.trouble;
        let (letter, loose) = (known.letter, known.loose);
        let double = self.is_double(&letter, now);
        tracing::trace!(now, loose, double, key = letter.dedup_key(), "not told of {letter:?}");
        assert!(loose || double, "the store was not told of message {id}");
        if double {
            self.letters.remove(&id);
        }
    }

    fn refused(&mut self, ops: &[Op], tx: Option<u64>) {
        if let Some(tx) = tx {
            self.open.remove(&tx);
        }
        for op in ops {
            if let Op::Publish { queue, payload, .. } = op
                && self.is_ruled(queue.0)
                && let Some(known) = self.letters.get_mut(&message(*queue, payload.clone()).1)
            {
                known.loose = true;
                tracing::trace!("the store refuses {known:?}");
            }
        }
    }

    /// Nothing may leave a place before the transaction is whole that has brought it there: a crash
    /// between the two would double it.
    fn check_open(&self, ops: &[Op], tx: Option<u64>) {
        let others = self.open.iter().filter(|(open, _)| Some(**open) != tx);
        for put in others.flat_map(|(_, ops)| ops) {
            let Op::Publish { queue, seq, .. } = put else { continue };
            for op in ops {
                let Op::Settle { queue: of, ranges, .. } = op else { continue };
                let taken = of == queue && has(ranges, seq.0);
                assert!(!taken, "{put:?} is not whole yet, and moves on");
            }
        }
    }

    fn step(&mut self, ops: &[Op], at: u64, now: u64) {
        let mut moves: Vec<Move> = Vec::new();
        for op in ops {
            match op {
                Op::Publish { queue, seq, payload, .. } => {
                    let Some(place) = self.place(queue.0) else { continue };
                    let (message, id, due) = message(*queue, payload.clone());
                    let future = due.is_none() && message.arrived() > self.latest;
                    assert!(!future, "{id} comes from the future");
                    let (arrived, expiration) = (message.arrived(), message.expiration());
                    let stored = (queue.0, seq.0);
                    let (until, holder, said) = (None, None, None);
                    let stay = Stay {
                        stored,
                        place,
                        id,
                        arrived,
                        expiration,
                        due,
                        from: at,
                        until,
                        holder,
                        said,
                    };
                    self.stays.push(stay);
                    let change = of(&mut moves, id);
                    change.to.push(place);
                    change.reasons.extend(reason(&message));
                }
                Op::Settle { queue, ranges, .. } => {
                    let taken = self.stays.iter_mut().filter(|stay| {
                        stay.is_there() && stay.stored.0 == queue.0 && has(ranges, stay.stored.1)
                    });
                    for stay in taken {
                        stay.until = Some(at);
                        let change = of(&mut moves, stay.id);
                        let through = stay.from == at;
                        let from = if through { &mut change.through } else { &mut change.from };
                        if from.is_none() {
                            *from = Some(stay.clone());
                            continue;
                        }
                        // A commit may settle what came of it in several queues.
                        assert!(!through && stay.said.is_some(), "from two places: {stay:?}");
                        let (id, from) = (stay.id, Some(stay.clone()));
                        moves.push(Move { id, from, ..Move::default() });
                    }
                }
                Op::DropQueue { queue } => {
                    let left = |stay: &&Stay| stay.is_there() && stay.stored.0 == queue.0;
                    let left = self.stays.iter().find(left);
                    assert!(left.is_none(), "dropped with {left:?}");
                }
                _ => {}
            }
        }
        let came: Vec<(u64, Place)> =
            moves.iter().flat_map(|of| of.to.iter().map(|to| (of.id, *to))).collect();
        for (id, place) in came {
            self.check_double(id, place, at, now);
        }
        for change in moves {
            tracing::trace!(at, now, "{change:?}");
            self.check_move(change, at, now);
        }
    }

    fn check_move(&mut self, mut change: Move, at: u64, now: u64) {
        let Some(known) = self.letters.get_mut(&change.id) else {
            panic!("message {} was never published", change.id);
        };
        let letter = known.letter;
        let first = known.published.is_none();
        known.published.get_or_insert(at);
        let source = Self::source(&letter);
        let rejected = first && letter.may_be_rejected() && !change.to.contains(&source);
        known.rejected |= rejected;
        // Refused with another part of its transaction: what somebody has had goes on without the store.
        known.loose |= self.trouble && first && !rejected && !change.to.contains(&source);
        if known.loose {
            return;
        }
        change.to.sort_unstable();
        if let Some(stay) = change.through.take() {
            self.check_leaving(&stay, &Move::default(), now);
        }
        if rejected {
            return self.check_rejected(&letter, &change);
        }
        if first {
            let here = change.to.iter().position(|place| *place == Self::source(&letter));
            let Some(here) = here else { panic!("{letter:?} came to {:?}", change.to) };
            change.to.remove(here);
        }
        assert_eq!(first, change.from.is_none(), "{letter:?} is there already");
        match change.from.take() {
            Some(stay) => self.check_leaving(&stay, &change, now),
            None => assert_eq!(change.to, [], "{letter:?} came to more places"),
        }
    }

    /// Whether a message may leave a place like this.
    fn check_leaving(&self, stay: &Stay, change: &Move, now: u64) {
        let to = change.to.as_slice();
        let queue = match stay.place {
            Place::Queue(queue) => queue,
            Place::Waits(_) | Place::Late => {
                let letter = self.letter(stay.id).expect("a letter that is known");
                let target = match stay.place {
                    Place::Waits(queue) => queue,
                    _ => letter.key,
                };
                let double = to.is_empty() && {
                    let letter = self.letter(stay.id).expect("a letter that is known");
                    stay.place == Place::Late && self.is_double(&letter, now)
                };
                assert!(double || to == [Place::Queue(target)], "waited: {stay:?}, {to:?}");
                assert!(stay.due.is_some_and(|due| due <= now), "too early, {now}: {stay:?}");
                return;
            }
        };
        assert_eq!(stay.holder, None, "somebody holds it: {stay:?}, {to:?}");
        // A transaction that is refused in part has said nothing.
        if stay.said == Some(Said::Ack) && (to.is_empty() || !self.trouble) {
            return assert_eq!(to, [], "acknowledged: {stay:?}");
        }
        let law = self.law_for(stay, change, now);
        if to == [Place::Waits(queue)] {
            let unsaid = stay.said.is_none() || self.trouble;
            assert!(law.retry.is_some() && unsaid, "it waits: {stay:?}");
            return;
        }
        let expired = stay.is_over(&law, now);
        // It has left already.
        let there = self.there(Place::Queue(queue)).count() as u64 + 1;
        let too_many = law.max_length.is_some_and(|max| self.trouble || there > max);
        let rejected = stay.said == Some(Said::Reject);
        assert_eq!(to, Self::targets(&law), "dead: {stay:?}");
        if law.dead_letter.is_none() {
            let given_up = law.limits_deliveries();
            assert!(
                expired || too_many || rejected || given_up,
                "nothing is wrong with {stay:?}, {now}"
            );
        }
        for reason in &change.reasons {
            let holds = match reason.as_str() {
                "rejected" => rejected,
                "expired" => expired,
                "maxlen" => too_many,
                "delivery_limit" => law.limits_deliveries(),
                _ => false,
            };
            assert!(holds, "dead ({reason}) without a reason: {stay:?}, {now}, of {there}");
        }
        let said = !law.targets().is_empty();
        assert_eq!(change.reasons.len(), if said { to.len() } else { 0 }, "{stay:?}");
    }
}

impl Ledger {
    /// A full queue has refused a message, which is dead now.
    fn check_rejected(&self, letter: &Letter, change: &Move) {
        let law = self.law(letter.key);
        assert_eq!(change.to, Self::targets(&law), "refused: {letter:?}");
        let full = change.reasons.iter().all(|reason| reason == "maxlen");
        let there = self.there(Place::Queue(letter.key)).count() as u64;
        // What a client has given back is there, too, though the store has refused it.
        let full = full && law.max_length.is_some_and(|max| self.trouble || there >= max);
        assert!(full, "refused by a queue with {there} messages: {letter:?}");
    }

    /// What has come with a key is there once, and was not taken lately.
    fn check_double(&mut self, id: u64, place: Place, at: u64, now: u64) {
        let Some(key) = self.key_of(id) else { return };
        let (Place::Queue(queue) | Place::Waits(queue)) = place else { return };
        let loose = self.trouble || self.letters.values().any(|known| known.loose);
        let law = self.law(queue);
        match law.unique {
            Some(Unique::UntilAcked) => {
                let here = [Place::Queue(queue), Place::Waits(queue)];
                let there = self.stays.iter().filter(|stay| {
                    let there = stay.is_there() && here.contains(&stay.place);
                    // What is over goes in the next step, and would after a crash.
                    let goes = stay.holder.is_none() && stay.is_over(&law, now);
                    there && !goes && self.key_of(stay.id) == Some(key)
                });
                let there: Vec<&Stay> = there.collect();
                assert!(there.len() <= 1 || loose, "twice: {there:?}");
            }
            Some(Unique::Window(ms)) => {
                let same = |of: &&Taken| (of.queue, of.key) == (queue, key);
                // What was over once may be forgotten, or not, when the clock is set back.
                let lately = self.taken.iter().filter(same).find(|taken| self.latest < taken.until);
                assert!(lately.is_none() || loose, "{id} is taken after {lately:?}, {now}");
                self.taken.push(Taken { queue, key, until: now + ms, at });
            }
            None => {}
        }
    }
}

fn of(moves: &mut Vec<Move>, id: u64) -> &mut Move {
    let at = moves.iter().position(|change| change.id == id).unwrap_or_else(|| {
        moves.push(Move { id, ..Move::default() });
        moves.len() - 1
    });
    &mut moves[at]
}

fn has(ranges: &[SeqRange], seq: u64) -> bool {
    ranges.iter().any(|range| (range.first.0..=range.last.0).contains(&seq))
}

/// A message as the store has it, its number, and when it is due.
fn message(queue: QueueId, payload: bytes::Bytes) -> (Message, u64, Option<u64>) {
    let (message, due) = match Bucket::parse(queue) {
        None => (Message::from_stored(payload), None),
        Some(_) => {
            let waiting = Waiting::from_stored(payload);
            (waiting.message(), Some(waiting.due()))
        }
    };
    let message = message.expect("a message");
    let id = id_of(message.body());
    (message, id, due)
}

fn reason(message: &Message) -> Option<String> {
    let headers: FieldTable = envelope::headers(message)?;
    match headers.inner().get("x-last-death-reason")? {
        AMQPValue::LongString(reason) => Some(reason.to_string()),
        _ => None,
    }
}
