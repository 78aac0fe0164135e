//! Which exchanges, queues and bindings there are: a deterministic state machine like the queue,
//! without clock, lock or I/O. Changes go in, ids of what came and went come out.

pub mod arguments;
mod binding;
mod census;
mod closing;
mod command;
mod declared_queue;
mod exchange;
mod happened;
mod history;
mod listing;
mod policies;
mod predeclared;
pub mod record;
mod restore;
mod route;
mod schedules;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use amq_protocol::types::FieldTable;

pub use census::Census;
pub use closing::deleted;
pub use command::{Command, Outcome};
pub use declared_queue::{QueueRecord, QueueSpec};
pub use exchange::{Exchange, ExchangeSpec};
pub use listing::Bound;
pub use policies::Rerule;
pub use predeclared::predeclared;
pub use route::Route;

use crate::declared::Change;
use crate::error::Refusal;
use crate::events::{self, topology::Happened};
use crate::limits::{EXCHANGES_MAX, QUEUES_MAX};
use crate::names;
use crate::policy::{Applied, Flow, Policies, Subject};
use crate::routing::{Bindings, Destination, ExchangeGraph, ExchangeId, QueueId};
use crate::stats::ExchangeStats;
use arguments::check_property;
use lepus_protocol::reply::ReplyCode;
use predeclared::FIRST_PREDECLARED;
use schedules::held_by;

/// The far end of a binding, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// queue.bind.
    Queue(&'a str),
    /// exchange.bind.
    Exchange(&'a str),
}

/// A binding to add or remove.
#[derive(Clone, Copy, Debug)]
pub struct BindingSpec<'a> {
    /// The exchange that messages come from.
    pub source: &'a str,
    /// Where they go.
    pub target: Target<'a>,
    /// The routing key or pattern.
    pub key: &'a str,
    /// Optional arguments.
    pub arguments: &'a FieldTable,
}

/// The exchanges, queues and bindings of a virtual host. `H` is what the outside knows a queue by.
pub struct Topology<H> {
    vhost: String,
    census: Arc<Census>,
    /// The most queues that there may be here.
    queues_max: Option<usize>,
    /// The virtual host is gone.
    closed: bool,
    exchanges: HashMap<Arc<str>, ExchangeId>,
    exchange: HashMap<ExchangeId, Exchange>,
    queues: HashMap<Arc<str>, QueueId>,
    queue: HashMap<QueueId, Entry<H>>,
    /// The exclusive queues of each connection.
    owned: HashMap<u64, BTreeSet<QueueId>>,
    /// The exchanges that have a binding to a destination.
    sources: HashMap<Destination, BTreeSet<ExchangeId>>,
    /// Exchanges with bindings that look at headers, or a history that does: only with them do
    /// headers matter.
    headers_in_use: BTreeSet<ExchangeId>,
    bindings: usize,
    /// What went through the default exchange.
    default_stats: Arc<ExchangeStats>,
    policies: Policies,
    /// Grows with each change of queues' rules.
    rules_version: u64,
    /// The firehose is on.
    traced: bool,
    /// Somebody wants to be told what comes and goes.
    watched: bool,
    /// Who changes something.
    acting: Arc<str>,
    /// What came and went, and was not collected yet.
    happened: Vec<Happened>,
    /// What was done to things that survive a restart, and not been collected yet.
    changes: Vec<Change>,
    /// What exchanges that are gone have held back, and not been collected yet.
    gone: Vec<H>,
}

struct Entry<H> {
    record: Arc<QueueRecord>,
    handle: H,
    applied: Applied,
    flow: Flow,
}

/// Something that bindings may still lead to.
struct Gone {
    destination: Destination,
    name: Arc<str>,
    durable: bool,
}

impl<H> ExchangeGraph for Topology<H> {
    fn bindings(&self, id: ExchangeId) -> Option<&Bindings> {
        self.exchange.get(&id).map(|exchange| &exchange.bindings)
    }

    fn alternate(&self, id: ExchangeId) -> Option<ExchangeId> {
        let name = self.exchange.get(&id)?.alternate.as_deref()?;
        self.exchanges.get(name).copied()
    }
}

impl<H: Clone> Topology<H> {
    /// A virtual host with the exchanges that every one has.
    pub fn new(vhost: &str, census: Arc<Census>) -> Self {
        let mut topology = Self {
            vhost: vhost.to_owned(),
            census,
            queues_max: None,
            closed: false,
            exchanges: HashMap::new(),
            exchange: HashMap::new(),
            queues: HashMap::new(),
            queue: HashMap::new(),
            owned: HashMap::new(),
            sources: HashMap::new(),
            headers_in_use: BTreeSet::new(),
            bindings: 0,
            default_stats: Arc::default(),
            policies: Policies::default(),
            rules_version: 0,
            traced: false,
            watched: false,
            acting: events::INTERNAL_USER.into(),
            happened: Vec::new(),
            changes: Vec::new(),
            gone: Vec::new(),
        };
        for (id, spec) in (FIRST_PREDECLARED..).zip(predeclared(vhost)) {
            // It has no arguments that could be refused.
            if let Ok(exchange) = Exchange::new(ExchangeId(id), spec, topology.acting.clone(), "") {
                topology.keep_exchange(exchange);
            }
        }
        topology
    }

    /// Takes what was done, since the last call, to things that survive a restart.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// The virtual host's name.
    pub fn vhost(&self) -> &str {
        &self.vhost
    }

    fn what(&self, kind: &str, name: &str) -> String {
        format!("{kind} '{name}' in vhost '{}'", self.vhost)
    }

    /// Finds an exchange.
    pub fn exchange(&self, name: &str) -> Result<&Exchange, Refusal> {
        let found = self.exchanges.get(name).and_then(|id| self.exchange.get(id));
        found.ok_or_else(|| Refusal::not_found("exchange", name, &self.vhost))
    }

    fn entry(&self, name: &str) -> Result<&Entry<H>, Refusal> {
        let found = self.queues.get(name).and_then(|id| self.queue.get(id));
        found.ok_or_else(|| Refusal::not_found("queue", name, &self.vhost))
    }

    /// Finds a queue that `connection` may use.
    pub fn queue(&self, name: &str, connection: u64) -> Result<H, Refusal> {
        self.usable(name, connection).map(|entry| entry.handle.clone())
    }

    fn usable(&self, name: &str, connection: u64) -> Result<&Entry<H>, Refusal> {
        let entry = self.entry(name)?;
        match entry.record.spec.owner {
            Some(owner) if owner != connection => Err(self.locked(name)),
            _ => Ok(entry),
        }
    }

    fn locked(&self, name: &str) -> Refusal {
        Refusal::new(
            ReplyCode::ResourceLocked,
            format_args!(
                "cannot obtain exclusive access to locked {}. It could be originally declared on \
                 another connection or the exclusive property value does not match that of the \
                 original declaration.",
                self.what("queue", name)
            ),
        )
    }

    /// Declares an exchange, or checks that it is what was asked for. `true` if it is new.
    pub fn declare_exchange(&mut self, spec: ExchangeSpec) -> Result<bool, Refusal> {
        refuse_default(&spec.name)?;
        if let Ok(existing) = self.exchange(&spec.name) {
            let what = self.what("exchange", &spec.name);
            return existing.check_equivalent(&spec, &what).map(|()| false);
        }
        check_name("exchange", &spec.name)?;
        names::check("exchange", &spec.name).map_err(Refusal::precondition)?;
        if self.exchange.len() >= EXCHANGES_MAX {
            return Err(Refusal::precondition("limit of exchanges reached"));
        }
        self.create_exchange(spec).map(|()| true)
    }

    fn create_exchange(&mut self, spec: ExchangeSpec) -> Result<(), Refusal> {
        let what = self.what("exchange", &spec.name);
        let id = ExchangeId(self.census.new_id());
        let exchange = Exchange::new(id, spec, self.acting.clone(), &what)?;
        self.changes.extend(record::put_exchange(&self.vhost, &exchange));
        self.note(|| Happened::ExchangeCreated(exchange.spec.clone()));
        self.keep_exchange(exchange);
        Ok(())
    }

    fn keep_exchange(&mut self, mut exchange: Exchange) {
        let id = exchange.id;
        exchange.follow(self.policies.applied(Subject::Exchange(&exchange.name)));
        self.exchanges.insert(exchange.name.clone(), id);
        self.exchange.insert(id, exchange);
        self.note_headers_use(id);
    }

    /// Deletes an exchange; one that does not exist is fine (RabbitMQ since 3.2).
    pub fn delete_exchange(&mut self, name: &str, if_unused: bool) -> Result<(), Refusal> {
        refuse_default(name)?;
        if name.starts_with("amq.") {
            let what = self.what("exchange", name);
            let text = format_args!("deletion of system {what} not allowed");
            return Err(Refusal::access(text));
        }
        let Ok(exchange) = self.exchange(name) else { return Ok(()) };
        if if_unused && !exchange.bindings.is_empty() {
            let what = self.what("exchange", name);
            return Err(Refusal::precondition(format_args!("{what} in use")));
        }
        let id = exchange.id;
        self.remove_exchange(id);
        Ok(())
    }

    fn remove_exchange(&mut self, id: ExchangeId) {
        let unbound = self.take_exchange(id);
        self.remove_bindings_to(unbound);
    }

    /// Removes an exchange with its bindings as a source; what is left are those as a destination.
    fn take_exchange(&mut self, id: ExchangeId) -> Option<Gone> {
        let exchange = self.exchange.remove(&id)?;
        self.changes.extend(record::remove_exchange(&self.vhost, &exchange));
        self.note(|| Happened::ExchangeDeleted(exchange.name.clone()));
        for binding in exchange.bindings.iter() {
            let itself = binding.dest == Destination::Exchange(id);
            let name = self.name_of(binding.dest).or_else(|| itself.then(|| exchange.name.clone()));
            self.note_unbound(&exchange.name, name, &binding);
            let durable =
                binding.dest == Destination::Exchange(id) || self.is_durable(binding.dest);
            if exchange.spec.durable && durable {
                self.changes.push(record::remove_binding(&self.vhost, id, &binding));
            }
        }
        self.exchanges.remove(&exchange.name);
        self.gone.extend(self.queue.remove(&held_by(id)).map(|entry| entry.handle));
        self.headers_in_use.remove(&id);
        self.bindings -= exchange.bindings.len();
        for binding in exchange.bindings.iter() {
            if let Some(sources) = self.sources.get_mut(&binding.dest) {
                sources.remove(&id);
            }
        }
        let (destination, durable) = (Destination::Exchange(id), exchange.spec.durable);
        Some(Gone { destination, name: exchange.name, durable })
    }

    /// Whether something that exists survives a restart.
    fn is_durable(&self, destination: Destination) -> bool {
        match destination {
            Destination::Queue(id) => {
                self.queue.get(&id).is_some_and(|entry| entry.record.spec.durable)
            }
            Destination::Exchange(id) => {
                self.exchange.get(&id).is_some_and(|exchange| exchange.spec.durable)
            }
        }
    }

    /// Removes all bindings to a destination, then the auto-delete exchanges that lose their last
    /// one with it, the bindings to those, and so on: chains may be long, so not by recursion.
    fn remove_bindings_to(&mut self, gone: impl IntoIterator<Item = Gone>) {
        let mut gone: Vec<Gone> = gone.into_iter().collect();
        while let Some(Gone { destination, name, durable }) = gone.pop() {
            for source in self.sources.remove(&destination).unwrap_or_default() {
                self.note_unbinding(source, destination, &name);
                let Some(exchange) = self.exchange.get_mut(&source) else { continue };
                if durable && exchange.spec.durable {
                    let removed = exchange.bindings.of(destination);
                    let vhost = &self.vhost;
                    self.changes.extend(
                        removed.map(|binding| record::remove_binding(vhost, source, &binding)),
                    );
                }
                self.bindings -= exchange.bindings.remove_destination(destination);
                gone.extend(self.bindings_changed(source));
            }
        }
    }

    /// The queue of that name, if there is one, and if it is what is asked for.
    pub fn declared_queue(&self, spec: &QueueSpec) -> Option<Result<H, Refusal>> {
        let existing = self.entry(&spec.name).ok()?;
        let equivalent = self.check_equivalent_queue(&existing.record, spec);
        Some(equivalent.map(|()| existing.handle.clone()))
    }

    /// Declares a queue, whose handle `make` makes, or checks that it is what was asked for.
    /// The flag tells if it is new.
    pub fn declare_queue(
        &mut self,
        spec: QueueSpec,
        make: impl FnOnce(Arc<QueueRecord>) -> H,
    ) -> Result<(H, bool), Refusal> {
        if let Some(declared) = self.declared_queue(&spec) {
            return declared.map(|handle| (handle, false));
        }
        names::check("queue", &spec.name).map_err(Refusal::precondition)?;
        self.check_queue_limits(&spec.name)?;
        let what = self.what("queue", &spec.name);
        arguments::check_queue(&spec, &what)?;
        if self.queue.len() >= QUEUES_MAX {
            return Err(Refusal::precondition("limit of queues reached"));
        }
        let id = QueueId(self.census.new_id());
        let name: Arc<str> = spec.name.as_str().into();
        if let Some(owner) = spec.owner {
            self.owned.entry(owner).or_default().insert(id);
        }
        let (handle, record) = self.keep_queue(id, name, spec, Flow::default(), make);
        self.changes.extend(record::put_queue(&self.vhost, &record, Flow::default()));
        self.note(|| Happened::QueueCreated(record));
        Ok((handle, true))
    }

    /// From now on there may be so many queues; those that there are stay.
    pub fn set_queues_max(&mut self, max: Option<usize>) {
        self.queues_max = max;
    }

    fn check_queue_limits(&self, name: &str) -> Result<(), Refusal> {
        match self.queues_max {
            Some(max) if self.queues.len() >= max => Err(Refusal::precondition(format_args!(
                "cannot declare queue '{name}': queue limit in vhost '{}' ({max}) is reached",
                self.vhost
            ))),
            _ => self.census.check_queues(name),
        }
    }

    fn check_equivalent_queue(&self, old: &QueueRecord, new: &QueueSpec) -> Result<(), Refusal> {
        if old.spec.owner != new.owner {
            return Err(self.locked(&new.name));
        }
        let what = self.what("queue", &new.name);
        check_property("durable", &what, new.durable, old.spec.durable)?;
        check_property("auto_delete", &what, new.auto_delete, old.spec.auto_delete)?;
        let names = arguments::queue_argument_names(&old.spec.arguments);
        arguments::check_equivalent(&old.spec.arguments, &new.arguments, names, &what)
    }

    /// Forgets a queue and its bindings; `None` if it is gone.
    pub fn remove_queue(&mut self, id: QueueId) -> Option<H> {
        let record = &self.queue.get(&id)?.record;
        let (destination, name, durable) =
            (Destination::Queue(id), record.name.clone(), record.spec.durable);
        self.note(|| Happened::QueueDeleted(name.clone()));
        self.remove_bindings_to([Gone { destination, name, durable }]);
        let Entry { record, handle, .. } = self.queue.remove(&id)?;
        self.changes.extend(record::remove_queue(&self.vhost, &record));
        self.queues.remove(&record.name);
        self.census.queue_went();
        if let Some(owner) = record.spec.owner
            && let Some(owned) = self.owned.get_mut(&owner)
        {
            owned.remove(&id);
            if owned.is_empty() {
                self.owned.remove(&owner);
            }
        }
        Some(handle)
    }

    /// After a change to an exchange's bindings: keeps [`Self::headers_in_use`] right, and takes the
    /// exchange away if it is to be deleted with its last binding.
    fn bindings_changed(&mut self, id: ExchangeId) -> Option<Gone> {
        let exchange = self.exchange.get(&id)?;
        if exchange.bindings.is_empty() && exchange.spec.auto_delete {
            return self.take_exchange(id);
        }
        self.note_headers_use(id);
        None
    }

    fn note_headers_use(&mut self, id: ExchangeId) {
        if self.bindings(id).is_some_and(Bindings::needs_headers) {
            self.headers_in_use.insert(id);
        } else {
            self.headers_in_use.remove(&id);
        }
    }

    /// The queues that survive a restart, and what durable exchanges hold back, oldest first.
    pub fn durable_queues(&self) -> Vec<H> {
        let durable = self.queue.values().filter(|entry| entry.record.spec.durable);
        let mut durable: Vec<_> = durable.collect();
        durable.sort_by_key(|entry| entry.record.id);
        durable.into_iter().map(|entry| entry.handle.clone()).collect()
    }

    /// The queues that only `connection` may use, oldest first.
    pub fn owned_by(&self, connection: u64) -> Vec<H> {
        let owned = self.owned.get(&connection).into_iter().flatten();
        owned.filter_map(|id| self.queue.get(id)).map(|entry| entry.handle.clone()).collect()
    }
}

fn refuse_default(exchange: &str) -> Result<(), Refusal> {
    if exchange.is_empty() {
        return Err(Refusal::access("operation not permitted on the default exchange"));
    }
    Ok(())
}

/// Names beginning `amq.` are the broker's (0-9-1 §3.1.3.1).
pub fn check_name(kind: &str, name: &str) -> Result<(), Refusal> {
    if name.starts_with("amq.") {
        let text = format_args!("{kind} name '{name}' contains reserved prefix 'amq.*'");
        return Err(Refusal::access(text));
    }
    Ok(())
}
