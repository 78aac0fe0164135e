//! What becomes of messages that were handed out: they are done, or come back.

use lepus_protocol::method::Verdict;

use super::schedule::Postponed;
use super::spans::Spans;
use super::{ANY_DELIVERY, Delivery, Effects, Entry, Reason, Seq, SeqRange, State, Unacked};

/// What verdicts on messages lead to.
#[derive(Default)]
struct Settled {
    now: u64,
    spans: Spans,
    dead: Vec<Entry>,
    postponed: Vec<Postponed>,
}

impl State {
    pub(super) fn settle(
        &mut self,
        now: u64,
        ranges: &[SeqRange],
        verdict: Verdict,
        effects: &mut Effects,
    ) {
        let mut settled = Settled { now, ..Settled::default() };
        for range in ranges {
            if range.first == range.last {
                if let Some(unacked) = self.unacked.remove(range.first) {
                    self.settle_held(range, range.first, unacked, verdict, &mut settled);
                }
                continue;
            }
            for (seq, unacked) in self.unacked.remove_range(range.first..=range.last) {
                self.settle_held(range, seq, unacked, verdict, &mut settled);
            }
        }
        self.tell_settled(verdict, settled, effects);
    }

    /// Messages come back that were held for too long.
    pub(super) fn give_back(
        &mut self,
        now: u64,
        messages: Vec<(Seq, Unacked)>,
        effects: &mut Effects,
    ) {
        let mut settled = Settled { now, ..Settled::default() };
        for (seq, unacked) in messages {
            self.settle_one(seq, unacked, Verdict::Fail, &mut settled);
        }
        self.tell_settled(Verdict::Fail, settled, effects);
    }

    /// Tells what became of messages.
    fn tell_settled(&self, verdict: Verdict, settled: Settled, effects: &mut Effects) {
        let Settled { spans, dead, postponed, .. } = settled;
        let reason = if verdict.returns() { Reason::DeliveryLimit } else { Reason::Rejected };
        self.bury(reason, dead, effects);
        Self::postpone(postponed, effects);
        let Some(queue) = self.config.durable else { return };
        match verdict {
            verdict if verdict.returns() => spans.give_back(queue, &mut effects.store),
            _ => spans.settle(queue, &mut effects.store),
        }
    }

    /// Settles a message, unless it was handed out once more since the delivery that is meant.
    fn settle_held(
        &mut self,
        meant: &SeqRange,
        seq: Seq,
        unacked: Unacked,
        verdict: Verdict,
        settled: &mut Settled,
    ) {
        if meant.returns != ANY_DELIVERY && meant.returns != unacked.returns {
            self.unacked.insert(seq, unacked);
            return;
        }
        self.deadlines.lift(seq);
        self.settle_one(seq, unacked, verdict, settled);
    }

    fn settle_one(&mut self, seq: Seq, unacked: Unacked, verdict: Verdict, settled: &mut Settled) {
        if let Some(slot) = unacked.consumer {
            let acked = (verdict == Verdict::Ack).then_some(settled.now);
            self.consumers.settled(slot, acked);
        }
        let Unacked { message, returns, stored, .. } = unacked;
        let entry = Entry { seq, message, redelivered: true, returns: returns + 1, stored };
        let is_dead = match verdict {
            Verdict::Ack => {
                self.tally.ack(1);
                false
            }
            Verdict::Discard => self.rules.dead_letter.is_some(),
            Verdict::Requeue | Verdict::Fail => self.rules.gives_up(entry.returns),
        };
        if is_dead {
            settled.dead.push(entry);
            return;
        }
        if let Some(due) = self.retry_at(settled.now, verdict, &entry) {
            self.leaves_to_wait(&entry);
            settled.postponed.push(Postponed { entry, due, in_place: false });
            return;
        }
        settled.spans.add(&entry);
        if verdict.returns() {
            self.put_back(entry);
        }
    }

    pub(super) fn undo(&mut self, deliveries: Vec<Delivery>) {
        for Delivery { mut entry, no_ack, .. } in deliveries {
            match self.unacked.remove(entry.seq) {
                Some(unacked) if unacked.returns == entry.returns => {
                    self.deadlines.lift(entry.seq);
                    unacked
                        .consumer
                        .into_iter()
                        .for_each(|slot| self.consumers.settled(slot, None));
                    entry.stored = unacked.stored;
                }
                // Its time was over before it was sent: it has come back already.
                Some(unacked) => {
                    self.unacked.insert(entry.seq, unacked);
                    continue;
                }
                None if no_ack => {}
                None => continue,
            }
            self.tally.undo(no_ack, entry.redelivered);
            self.put_back(entry);
        }
    }

    pub(super) fn put_back(&mut self, entry: Entry) {
        self.some_expire |= entry.message.expires();
        self.ready.put_back(entry);
    }
}
