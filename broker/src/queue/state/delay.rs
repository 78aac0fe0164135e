//! Messages that are not ready before their time: those that say so, and those that came back.

use lepus_protocol::method::Verdict;

use super::accept::publish_op;
use super::schedule::{
    Due, Job, LONGEST_MS, Moved, Note, Postponed, Schedule, is_scheduled, settlement,
};
use super::spans::Spans;
use super::{Effects, Entry, Outcome, Seq, State};
use crate::envelope;
use crate::message::{Message, Waiting};
use crate::routing::delayed;

impl State {
    fn schedule(&mut self) -> &mut Schedule {
        let owner = self.config.durable;
        self.schedule.get_or_insert_with(|| Box::new(Schedule::new(owner)))
    }

    /// Has a message wait if it says so and the queue heeds that; otherwise it is given back.
    pub(super) fn hold_back(
        &mut self,
        now: u64,
        message: Message,
        effects: &mut Effects,
    ) -> Option<Message> {
        if !self.rules.delays {
            return Some(message);
        }
        if self.rules.passes {
            let waiting = Waiting::new(&message, now, (message.arrived(), 0), None);
            self.hold(now, &message, &waiting, effects);
            return None;
        }
        let Some(headers) = envelope::headers(&message) else { return Some(message) };
        let wait = delayed::header(&headers).and_then(|ms| u64::try_from(ms).ok());
        let Some(wait) = wait.filter(|ms| *ms > 0) else { return Some(message) };
        let due = now.saturating_add(wait.min(LONGEST_MS));
        let properties = envelope::with_headers(&message, &delayed::negated(&headers));
        // It counts as arrived when its time has come.
        let waiting = Waiting::new(&message, due, (due, 0), properties.as_deref());
        self.hold(now, &message, &waiting, effects);
        None
    }

    fn hold(&mut self, now: u64, message: &Message, waiting: &Waiting, effects: &mut Effects) {
        let stored = self.config.durable.is_some() && message.persistent();
        self.schedule().add(now, waiting, stored, &mut effects.store);
    }

    /// When a message that came back is to be handed out again, if not at once.
    pub(super) fn retry_at(&self, now: u64, verdict: Verdict, entry: &Entry) -> Option<u64> {
        let retry = self.rules.retry.as_ref()?;
        let draw = entry.seq ^ u64::from(entry.returns) << 40 ^ now << 20;
        let delay = retry.delay(verdict, entry.returns, draw)?;
        Some(now.saturating_add(delay))
    }

    /// Has messages wait that came back.
    pub(super) fn postpone(postponed: Vec<Postponed>, effects: &mut Effects) {
        if !postponed.is_empty() {
            effects.schedule.push(Job::Postpone(postponed));
        }
    }

    pub(super) fn note_schedule(&mut self, now: u64, note: Note, effects: &mut Effects) -> Outcome {
        let due = match note {
            Note::Arrive(messages) => {
                messages.into_iter().for_each(|message| self.arrive(message, effects));
                return Outcome::Done;
            }
            Note::Postpone(postponed) => {
                for postponed in postponed {
                    self.wait_again(now, postponed, effects);
                }
                return Outcome::Done;
            }
            Note::Cancel(wanted) => return self.cancel_waiting(wanted, effects),
            Note::Run(wanted, order) => return self.run_now(wanted, order, effects),
            Note::Found(found) => {
                return self.done(|schedule, _| schedule.found(found), effects);
            }
            Note::Scanned(scanned) => {
                self.forget_lost(&scanned.unreadable);
                return self.done(
                    |schedule, effects| schedule.scanned(scanned, &mut effects.schedule),
                    effects,
                );
            }
            Note::PutBack(moved, until) => {
                return self.done(|schedule, _| schedule.put_back(now, moved, until), effects);
            }
            Note::AllMoved => {
                return self
                    .done(|schedule, effects| schedule.sweep(now, &mut effects.store), effects);
            }
            Note::Refused(refused) => {
                self.forget_lost(&refused.iter().map(|(_, seq)| *seq).collect::<Vec<_>>());
                return self.done(|schedule, _| schedule.refused(&refused), effects);
            }
            Note::Fetched { round, found } => {
                let lost = found.iter().filter(|(_, waiting)| waiting.is_none());
                self.forget_lost(&lost.map(|(seq, _)| *seq).collect::<Vec<_>>());
                self.schedule().fetched(round, found)
            }
        };
        self.carry_on(due, effects);
        Outcome::Done
    }

    fn cancel_waiting(&mut self, wanted: Vec<Moved>, effects: &mut Effects) -> Outcome {
        let Due { moved, in_place } = self.schedule().withdraw(wanted);
        moved.iter().for_each(|one| self.forget_key(&one.message, is_scheduled));
        in_place.iter().for_each(|entry| self.forget_key(&entry.message, is_scheduled));
        if let Some(owner) = self.config.durable {
            effects.store.extend(settlement(owner, &moved));
            Spans::of(&in_place).settle(owner, &mut effects.store);
        }
        Outcome::Dropped(moved.len() + in_place.len())
    }

    fn run_now(&mut self, wanted: Vec<Moved>, order: u64, effects: &mut Effects) -> Outcome {
        let Due { moved, in_place } = self.schedule().withdraw(wanted);
        let all = moved.len() + in_place.len();
        for entry in in_place {
            self.moved(&entry.message, entry.seq, entry.stored);
            self.put_back(entry);
        }
        effects.schedule.push(Job::Run(moved, order));
        Outcome::Dropped(all)
    }

    /// Messages that waited at these positions are not there any more, or cannot be read.
    fn forget_lost(&mut self, lost: &[Seq]) {
        if !lost.is_empty() {
            self.forget_waiting(|seq| lost.contains(&seq));
        }
    }

    fn done(
        &mut self,
        act: impl FnOnce(&mut Schedule, &mut Effects),
        effects: &mut Effects,
    ) -> Outcome {
        act(self.schedule(), effects);
        Outcome::Done
    }

    /// A message whose time has come is ready. One that came back stands before the others, as if
    /// it had kept its place.
    fn arrive(&mut self, message: Message, effects: &mut Effects) {
        if message.returns_before() == 0 {
            let seq = self.ready.next_of(self.ready.level_for(&message));
            self.moved(&message, seq, message.persistent());
            return self.accept(vec![message], effects);
        }
        let stored = self.config.durable.filter(|_| message.persistent());
        self.some_expire |= message.expires();
        let seq = self.ready.next_of(self.ready.level_for(&message));
        let returns = message.returns_before();
        effects.store.extend(stored.map(|queue| publish_op(queue, seq, &message)));
        let stored = stored.is_some();
        self.moved(&message, seq, stored);
        let entry = Entry { seq, message, redelivered: true, returns, stored };
        self.ready.push_returned(entry, self.config.hot_max);
    }

    fn wait_again(&mut self, now: u64, postponed: Postponed, effects: &mut Effects) {
        let Postponed { entry, due, in_place } = postponed;
        let (message, stored) = (entry.message.clone(), entry.stored);
        if in_place {
            self.schedule().add_in_place(due, entry);
        } else {
            let stamp = (message.arrived(), entry.returns);
            let waiting = Waiting::new(&message, due, stamp, None);
            self.schedule().add(now, &waiting, stored, &mut effects.store);
        }
        self.moved(&message, self.latest_scheduled(), stored);
    }

    /// Does what is due by now.
    pub(super) fn run_schedule(&mut self, now: u64, effects: &mut Effects) {
        if let Some(schedule) = &mut self.schedule {
            let due = schedule.run(now, &mut effects.schedule);
            self.carry_on(due, effects);
        }
    }

    fn carry_on(&mut self, due: super::schedule::Due, effects: &mut Effects) {
        for entry in due.in_place {
            self.moved(&entry.message, entry.seq, entry.stored);
            self.put_back(entry);
        }
        if !due.moved.is_empty() {
            effects.schedule.push(Job::Move(due.moved));
        }
    }

    /// How many messages wait.
    pub(super) fn scheduled(&self) -> usize {
        self.schedule.as_ref().map_or(0, |schedule| schedule.count())
    }

    /// The position of the message that came last to wait.
    pub(super) fn latest_scheduled(&self) -> Seq {
        self.schedule.as_ref().map_or(Seq::MAX, |schedule| schedule.latest())
    }

    /// What waits, to be looked at.
    pub fn waiting(&self) -> Option<&Schedule> {
        self.schedule.as_deref()
    }

    /// Drops all that waits: how many.
    pub(super) fn clear_schedule(&mut self, effects: &mut Effects) -> usize {
        let Some(mut schedule) = self.schedule.take() else { return 0 };
        let mut in_place = Spans::default();
        let dropped = schedule.clear(&mut effects.store, &mut in_place);
        self.forget_waiting(|_| true);
        if let Some(queue) = self.config.durable {
            in_place.settle(queue, &mut effects.store);
        }
        self.schedule = (!self.deleted).then_some(schedule);
        dropped
    }
}
