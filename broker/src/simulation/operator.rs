//! An operator deletes messages, or moves them to another queue, as `/api/x` does.

use super::letter::id_of;
use super::model::{Held, LOSSY, QUEUES};
use super::scene::Scene;
use crate::queue::orders::Move;
use crate::queue::state::Entry;

impl Scene {
    /// Does something with the messages at the head of a queue.
    pub fn operate(&mut self) {
        let from = self.random.below(u64::from(QUEUES)) as u8;
        // What its consumers were given may be gone before anybody sees it.
        let queue = self.broker.queue(from).filter(|_| from != LOSSY);
        let Some((queue, spot)) =
            queue.and_then(|queue| Some((queue.clone(), queue.first_spot()?)))
        else {
            return;
        };
        let Ok((entries, _)) = queue.look(spot, 1 + self.random.index(3)) else { return };
        let Some(incarnation) = self.model.alive(from) else { return };
        let held = |entry: &Entry| Held { incarnation, id: id_of(entry.message.body()) };
        let held: Vec<Held> = entries.iter().map(held).collect();
        if self.random.chance(30) {
            let before = self.marks();
            let order = queue.drop_messages(entries);
            assert_eq!(order.done(), held.len(), "messages that were ready were deleted");
            let span = self.marks().since(before);
            self.model.settle(&held, span.lsn, None);
            return self.told(None);
        }
        self.move_messages(from, entries, &held);
    }

    fn move_messages(&mut self, from: u8, entries: Vec<Entry>, held: &[Held]) {
        let to = self.random.below(u64::from(QUEUES)) as u8;
        let (Some(source), Some(target)) = (self.broker.queue(from), self.broker.queue(to)) else {
            return;
        };
        let Some(incarnation) = self.model.alive(to) else { return };
        let there = |held: &Held| Held { incarnation, id: held.id };
        // The same message may be there from the beginning; the model knows it once only.
        if from == to || held.iter().any(|held| self.model.letter(there(held)).is_some()) {
            return;
        }
        let way = |entry: Entry| {
            let message = entry.message.readdressed(self.now, entry.message.route());
            Move { entry, message, to: vec![target.clone()] }
        };
        let before = self.marks();
        let order = source.move_elsewhere(entries.into_iter().map(way).collect());
        assert_eq!(order.done(), held.len(), "messages that were ready were moved");
        let span = self.marks().since(before);
        let tx = self.model.transaction();
        for held in held {
            let letter = self.model.letter(*held).expect("a message that was ready");
            self.model.publish(letter, &[there(held)], span.lsn, Some(tx));
        }
        self.model.settle(held, span.lsn, Some(tx));
        self.told(Some(tx));
    }
}
