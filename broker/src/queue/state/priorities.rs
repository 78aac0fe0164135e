//! What a queue with priorities does otherwise than a plain one.

use super::accept::publish_op;
use super::{Effects, Notice, State};
use crate::message::Message;

impl State {
    /// Appends each message to the level of its priority.
    pub(super) fn accept_by_priority(&mut self, messages: Vec<Message>, effects: &mut Effects) {
        for message in messages {
            let level = self.ready.level_for(&message);
            if let Some(queue) = self.config.durable
                && message.persistent()
            {
                effects.store.push(publish_op(queue, self.ready.next_of(level), &message));
            }
            self.ready.push_to(level, message, self.config.hot_max);
        }
        self.ready.trim_at_times(self.config.hot_max);
    }

    /// Appends messages where each may make another one go that stands before all those that follow.
    pub(super) fn accept_one_by_one(
        &mut self,
        now: u64,
        messages: Vec<Message>,
        effects: &mut Effects,
    ) {
        for message in messages {
            self.accept(vec![message], effects);
            self.dispatch(now, effects);
            self.drop_excess(now, effects);
        }
    }

    /// Has the store read, as [`Self::load`] does: levels that will have their turn soon if messages
    /// are `wanted`, and the head of each of which nothing is at hand if the rules need to see it.
    pub(super) fn load_levels(&mut self, wanted: bool, effects: &mut Effects) {
        let half = self.config.hot_max / 2;
        let heads = if wanted { self.may_lapse() } else { self.wants_head() };
        let levels = self.ready.occupied();
        let mixed = self.ready.are_mixed();
        let share = if mixed { half / levels.count().max(1) } else { half };
        // Memory that is left for what follows, until something stands before that the store has.
        let mut left = wanted.then_some(share);
        for level in levels {
            let plan = match left {
                Some(left) => Some((left, left)),
                None => heads.then(|| (0, half.min(self.head_octets))),
            };
            let Some((below, octets)) = plan else { break };
            if let Some(from) = self.ready.start_loading(level, below) {
                effects.notices.push(Notice::Load(from, octets));
            }
            if !mixed {
                let hot = self.ready.wholly_in_memory(level);
                left = left.zip(hot).map(|(left, hot)| left.saturating_sub(hot));
            }
        }
    }
}
