//! Replies that must wait: what they promise is on its way to the disk, or must be read from there.
//!
//! Meanwhile nothing more is taken from the connection, so that its replies stay in order; its
//! deliveries go on.

use std::sync::Arc;

use amq_protocol::protocol::{AMQPClass, basic, tx};
use lepus_protocol::method::MethodId;
use lepus_protocol::reply::ReplyCode;
use lepus_storage::Health;

use super::Session;
use crate::error::Refusal;
use crate::node::Node;
use crate::out::Out;
use crate::queue::{Fate, Receipt};

/// What a connection waits for.
pub enum Hold {
    /// tx.commit: what it holds must be durable.
    Commit {
        /// Follows the writes.
        receipt: Arc<Receipt>,
        /// The channel.
        channel: u16,
        /// What comes before the reply.
        reply: Out,
        /// Whether no queue was too full for its messages.
        whole: bool,
    },
    /// A declaration must be in the catalog.
    Declared {
        /// The version of the catalog that has it.
        version: u64,
        /// The channel.
        channel: u16,
        /// The method.
        method: MethodId,
        /// The reply.
        reply: Out,
    },
    /// basic.get: the queue's messages must be read first.
    Get(u16, basic::Get),
}

impl Session {
    /// Whether nothing may be taken in for now.
    pub fn is_holding(&self) -> bool {
        self.hold.is_some()
    }

    /// Something that was awaited may have happened. An error closes the connection.
    pub fn resume(&mut self, out: &mut Out) -> Result<(), Refusal> {
        self.told_of_durable = false;
        self.confirm_durable(out);
        self.await_durable(out);
        let Some(hold) = self.hold.take() else { return Ok(()) };
        self.hold(hold, out)
    }

    /// Lets a reply go when its time has come, at once if that is now.
    pub(super) fn hold(&mut self, hold: Hold, out: &mut Out) -> Result<(), Refusal> {
        if !self.is_due(&hold) {
            // Asked first, so that no news is missed between looking and asking.
            self.ask_for_news(&hold);
            if !self.is_due(&hold) {
                self.hold = Some(hold);
                return Ok(());
            }
        }
        let node = self.peer.node.clone();
        match hold {
            Hold::Commit { receipt, channel, reply, whole } => {
                if receipt.fate(node.durability()) == Fate::Refused {
                    return self.settle_refusal(channel, commit_id(), not_stored(&node), out);
                }
                out.append(reply);
                if !whole {
                    let partial = Refusal::precondition("partial tx completion");
                    return self.settle_refusal(channel, commit_id(), partial, out);
                }
                out.method(channel, &AMQPClass::Tx(tx::AMQPMethod::CommitOk(tx::CommitOk {})));
                Ok(())
            }
            Hold::Declared { version, channel, method, reply } => {
                if !node.declared().durability().has(version) {
                    return self.settle_refusal(channel, method, not_stored(&node), out);
                }
                out.append(reply);
                Ok(())
            }
            Hold::Get(channel, get) => {
                let id = MethodId { class: 60, method: 70 };
                let done = self.get(channel, &get, out);
                done.or_else(|refusal| self.settle_refusal(channel, id, refusal, out))
            }
        }
    }

    fn is_due(&self, hold: &Hold) -> bool {
        let node = &self.peer.node;
        match hold {
            Hold::Commit { receipt, .. } => receipt.fate(node.durability()) != Fate::Open,
            Hold::Declared { version, .. } => {
                let durability = node.declared().durability();
                durability.has(*version) || durability.has_failed()
            }
            Hold::Get(..) => true,
        }
    }

    fn ask_for_news(&self, hold: &Hold) {
        let node = &self.peer.node;
        match hold {
            Hold::Commit { .. } => node.durability().tell(&self.peer.mailbox),
            Hold::Declared { .. } => node.declared().durability().tell(&self.peer.mailbox),
            Hold::Get(..) => {}
        }
    }
}

fn commit_id() -> MethodId {
    MethodId { class: 90, method: 20 }
}

fn not_stored(node: &Node) -> Refusal {
    let why = match node.store().status().health {
        Health::Poisoned(_) => "the store has failed",
        _ => "the store has no room",
    };
    Refusal::new(ReplyCode::InternalError, why)
}
