//! The topology as a state machine: commands with the time in, outcomes out.

use std::sync::Arc;

use super::{BindingSpec, ExchangeSpec, QueueRecord, QueueSpec, Topology};
use crate::error::Refusal;
use crate::routing::QueueId;

/// A change of the topology. Whoever carries out the same ones gets the same topology, ids included.
#[derive(Debug)]
pub enum Command<'a> {
    /// exchange.declare.
    DeclareExchange(ExchangeSpec),
    /// exchange.delete.
    DeleteExchange {
        /// Its name.
        name: &'a str,
        /// Only without bindings.
        if_unused: bool,
    },
    /// queue.declare.
    DeclareQueue(QueueSpec),
    /// A queue is gone.
    RemoveQueue(QueueId),
    /// queue.bind or exchange.bind, by a connection.
    Bind(BindingSpec<'a>, u64),
    /// queue.unbind or exchange.unbind, by a connection.
    Unbind(BindingSpec<'a>, u64),
}

/// What a command led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome<H> {
    /// Done, or there was nothing to do.
    Done,
    /// The queue that [`Command::DeclareQueue`] made.
    New(H),
    /// The queue that was there before.
    Found(H),
}

impl<H: Clone> Topology<H> {
    /// Carries out a command; `make` makes the handle of a new queue. Nothing in a topology depends
    /// on the time yet; whatever will takes it from `_now_ms`.
    pub fn apply(
        &mut self,
        _now_ms: u64,
        command: Command<'_>,
        make: impl FnOnce(Arc<QueueRecord>) -> H,
    ) -> Result<Outcome<H>, Refusal> {
        match command {
            Command::DeclareExchange(spec) => self.declare_exchange(spec).map(|_| Outcome::Done),
            Command::DeleteExchange { name, if_unused } => {
                self.delete_exchange(name, if_unused).map(|()| Outcome::Done)
            }
            Command::DeclareQueue(spec) => {
                let (queue, new) = self.declare_queue(spec, make)?;
                Ok(if new { Outcome::New(queue) } else { Outcome::Found(queue) })
            }
            Command::RemoveQueue(id) => {
                self.remove_queue(id);
                Ok(Outcome::Done)
            }
            Command::Bind(spec, connection) => self.bind(spec, connection).map(|()| Outcome::Done),
            Command::Unbind(spec, connection) => {
                self.unbind(spec, connection).map(|()| Outcome::Done)
            }
        }
    }
}
