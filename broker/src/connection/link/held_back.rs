//! Publishers are held back while a resource is short.

use amq_protocol::protocol::connection::{AMQPMethod, Blocked, Unblocked};

use super::noted::note;
use super::{Link, Phase};
use crate::session::short;

impl Link {
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
