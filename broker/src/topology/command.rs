//! The topology as a state machine: commands with the time in, outcomes out.

use std::sync::Arc;

use super::{BindingSpec, ExchangeSpec, QueueRecord, QueueSpec, Rerule, Target, Topology};
use crate::error::Refusal;
use crate::message::Message;
use crate::policy::{Flow, Kind, Policy};
use crate::routing::{ExchangeId, QueueId};

/// A change of the topology. Whoever carries out the same ones gets the same topology, ids included.
#[derive(Debug)]
pub enum Command<'a> {
    /// exchange.declare.
    DeclareExchange(ExchangeSpec),
    /// An exchange that the broker itself needs, unless there is one of that name.
    ProvideExchange(ExchangeSpec),
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
    /// A policy counts from now on.
    SetPolicy(Kind, Arc<Policy>),
    /// A policy, by its name, does not count any more.
    ClearPolicy(Kind, &'a str),
    /// An operator changes how the messages of a queue, by its name, flow.
    SetFlow(&'a str, Flow),
    /// What the broker says of all queues has changed: their rules are made anew.
    RemakeRules,
    /// The firehose is switched on or off.
    SetTracing(bool),
}

/// What a command led to.
#[derive(Debug, PartialEq)]
pub enum Outcome<H> {
    /// Done, or there was nothing to do.
    Done,
    /// The queue that [`Command::DeclareQueue`] made.
    New(H),
    /// The queue that was there before.
    Found(H),
    /// What the history of an exchange has for a queue that was bound to it, oldest first.
    Replay(H, Vec<Message>),
    /// The same for an exchange.
    ReplayThrough(ExchangeId, Vec<Message>),
    /// Queues whose rules are other ones now.
    Reruled(Vec<Rerule<H>>),
    /// There is no policy of that name.
    Missing,
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
        self.check_open()?;
        match command {
            Command::DeclareExchange(spec) => {
                let name = spec.name.clone();
                if self.declare_exchange(spec)? {
                    self.add_schedule(&name, make);
                }
                Ok(Outcome::Done)
            }
            Command::ProvideExchange(spec) => {
                if self.exchange(&spec.name).is_err() {
                    self.create_exchange(spec)?;
                }
                Ok(Outcome::Done)
            }
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
            Command::Bind(spec, connection) => {
                let new = self.bind(spec, connection)?;
                Ok(if new { self.replay(&spec, connection) } else { Outcome::Done })
            }
            Command::Unbind(spec, connection) => {
                self.unbind(spec, connection).map(|()| Outcome::Done)
            }
            Command::SetPolicy(kind, policy) => Ok(Outcome::Reruled(self.set_policy(kind, policy))),
            Command::ClearPolicy(kind, name) => {
                Ok(self.clear_policy(kind, name).map_or(Outcome::Missing, Outcome::Reruled))
            }
            Command::SetTracing(on) => {
                self.set_tracing(on);
                Ok(Outcome::Done)
            }
            Command::RemakeRules => Ok(Outcome::Reruled(self.remake_rules())),
            Command::SetFlow(queue, flow) => {
                self.set_flow(queue, flow).map(|changed| Outcome::Reruled(vec![changed]))
            }
        }
    }

    fn replay(&self, spec: &BindingSpec<'_>, connection: u64) -> Outcome<H> {
        let history = self.exchange(spec.source).ok().and_then(|source| source.history.as_ref());
        let messages = history.map(|history| history.messages()).unwrap_or_default();
        if messages.is_empty() {
            return Outcome::Done;
        }
        let outcome = match spec.target {
            Target::Queue(name) => {
                self.queue(name, connection).map(|queue| Outcome::Replay(queue, messages))
            }
            Target::Exchange(name) => {
                self.exchange(name).map(|next| Outcome::ReplayThrough(next.id, messages))
            }
        };
        outcome.unwrap_or(Outcome::Done)
    }
}
