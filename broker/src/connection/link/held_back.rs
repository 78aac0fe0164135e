//! Publishers are held back while a resource is short, or their queues are long.

use amq_protocol::protocol::connection::{AMQPMethod, Blocked, Unblocked};

use super::noted::note;
use super::{Link, Phase};
use crate::session::short;

impl Link {
    /// The client is left alone for so many ms, so that its queues get rid of messages.
    pub fn held_back(&self, now: u64, pause: u64) {
        let traffic = &self.node.stats().traffic;
        traffic.pauses.add(1);
        traffic.paused_ms.add(pause);
        if let Phase::Running(session) = &self.phase {
            session.seen().hold_back(now);
        }
    }

    /// RabbitMQ blocks a connection with its first publish under an alarm: the frames after it wait.
    pub(super) fn block_if_due(&mut self) -> bool {
        let Phase::Running(session) = &mut self.phase else { return false };
        if !session.has_published() || !self.node.alarms().any() {
            return false;
        }
        self.blocked = true;
        session.seen().set_blocked(true);
        if session.consumes() {
            // RabbitMQ does the same and says nothing: the alarm may wait for these very verdicts.
            session.seen().set_blocks_own_consumers(true);
            note!(
                warn,
                self,
                "blocked with consumers of its own: what they acknowledge is not read until the alarm \
                 ends; publish on another connection"
            );
        }
        if self.capabilities.blocked {
            self.send(AMQPMethod::Blocked(Blocked { reason: short(self.node.alarms().reason()) }));
        }
        true
    }

    pub(super) fn unblock_if_due(&mut self) {
        if self.node.alarms().any() || !std::mem::take(&mut self.blocked) {
            return;
        }
        if let Phase::Running(session) = &self.phase {
            session.seen().set_blocked(false);
            session.seen().set_blocks_own_consumers(false);
        }
        if self.capabilities.blocked {
            self.send(AMQPMethod::Unblocked(Unblocked {}));
        }
    }
}
