//! What is said of messages that cannot be read: a dead disk below a deep queue must not flood the
//! log.

use std::collections::HashMap;

use lepus_storage::QueueId;
use parking_lot::Mutex;

use super::Queue;
use super::state::Seq;
use super::state::place::{at_in_store, level_of};

/// Between two lines about a queue.
pub(super) const PAUSE_MS: u64 = 5_000;

/// What was not said yet, of each queue of which something was said a moment ago.
#[derive(Default)]
pub(super) struct Complaints {
    queues: Mutex<HashMap<QueueId, Pause>>,
}

struct Pause {
    since: u64,
    /// How many complaints there were meanwhile, and the last of them.
    left_out: u64,
    last: Option<Complaint>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Complaint {
    vhost: String,
    queue: String,
    /// The level, of a queue with priorities.
    priority: Option<u8>,
    position: u64,
    what: String,
}

impl Complaints {
    /// Says what happened at a position of a queue: now, or later with how many others.
    pub fn tell(&self, queue: &Queue, seq: Seq, what: String, now: u64) {
        let Some(id) = queue.stored_as() else { return };
        let (vhost, queue) = (queue.vhost.to_string(), queue.name().to_owned());
        let (priority, position) = (Some(level_of(seq)), at_in_store(seq).0);
        let priority = priority.filter(|level| *level > 0);
        let complaint = Complaint { vhost, queue, priority, position, what };
        if let Some(complaint) = self.add(id, complaint, now) {
            let Complaint { vhost, queue, priority, position, what } = complaint;
            tracing::error!(vhost, queue, priority, position, "{what}");
        }
    }

    /// Says what waits, of queues of which nothing was said for a while.
    pub fn tell_overdue(&self, now: u64) {
        for (left_out, complaint) in self.take_overdue(now) {
            let Complaint { vhost, queue, priority, position, what } = complaint;
            tracing::error!(
                vhost,
                queue,
                priority,
                position,
                "{what} (one of {left_out} since the last line)"
            );
        }
    }

    /// Whether something will have to be said.
    pub fn is_waiting(&self) -> bool {
        self.queues.lock().values().any(|pause| pause.last.is_some())
    }

    /// Gives it back if it is to be said now.
    fn add(&self, id: QueueId, complaint: Complaint, now: u64) -> Option<Complaint> {
        let mut queues = self.queues.lock();
        match queues.get_mut(&id) {
            Some(pause) => {
                pause.left_out += 1;
                pause.last = Some(complaint);
                None
            }
            None => {
                queues.insert(id, Pause { since: now, left_out: 0, last: None });
                Some(complaint)
            }
        }
    }

    fn take_overdue(&self, now: u64) -> Vec<(u64, Complaint)> {
        let mut overdue = Vec::new();
        self.queues.lock().retain(|_, pause| {
            if now.saturating_sub(pause.since) < PAUSE_MS {
                return true;
            }
            let Some(last) = pause.last.take() else { return false };
            overdue.push((pause.left_out, last));
            *pause = Pause { since: now, left_out: 0, last: None };
            true
        });
        overdue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(position: u64) -> Complaint {
        let text = || "text".to_owned();
        Complaint { vhost: text(), queue: text(), priority: None, position, what: text() }
    }

    #[test]
    fn a_flood_is_a_line_at_times() {
        let complaints = Complaints::default();
        let is_told = |id, now| complaints.add(QueueId(id), complaint(now), now).is_some();
        assert!(is_told(1, 100) && !complaints.is_waiting());
        assert!((101..110).all(|now| !is_told(1, now)));
        assert!(is_told(2, 200), "another queue");
        assert!(complaints.is_waiting());
        assert_eq!(complaints.take_overdue(99 + PAUSE_MS), []);
        let now = 200 + PAUSE_MS;
        assert_eq!(complaints.take_overdue(now), [(9, complaint(109))]);
        assert!(!complaints.is_waiting());
        assert!(is_told(2, now), "its pause is over");
        assert!(!is_told(1, now), "something was just said");
        assert_eq!(complaints.take_overdue(now + PAUSE_MS), [(1, complaint(now))]);
        assert_eq!(complaints.take_overdue(now + 2 * PAUSE_MS), []);
        assert!(is_told(1, now + 2 * PAUSE_MS));
    }
}
