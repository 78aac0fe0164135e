//! Bindings come and go.

use super::{BindingSpec, Destination, Target, Topology, record, refuse_default};
use crate::error::Refusal;
use crate::limits::BINDINGS_MAX;
use crate::names;
use crate::routing::{BindingRef, ExchangeId};
use lepus_protocol::reply::ReplyCode;

impl<H: Clone> Topology<H> {
    /// Adds a binding; one that exists is fine. `connection` must be allowed to use the queue.
    /// `true` if it is new.
    pub fn bind(&mut self, spec: BindingSpec<'_>, connection: u64) -> Result<bool, Refusal> {
        let (source, destination) = self.ends(&spec, connection)?;
        names::check_length("routing_key", spec.key).map_err(Refusal::precondition)?;
        let Some(exchange) = self.exchange.get_mut(&source) else { return Ok(false) };
        let added = exchange.bindings.add(destination, spec.key.as_bytes(), spec.arguments);
        let added = added.map_err(|invalid| Refusal::precondition(invalid.text()))?;
        if added {
            if self.bindings >= BINDINGS_MAX {
                exchange.bindings.remove(destination, spec.key.as_bytes(), spec.arguments);
                return Err(Refusal::precondition("limit of bindings reached"));
            }
            let durable = exchange.spec.durable;
            let (key, args) = (spec.key.as_bytes(), spec.arguments);
            self.note_bound(source, &BindingRef { dest: destination, key, args });
            self.bindings += 1;
            self.sources.entry(destination).or_default().insert(source);
            self.bindings_changed(source);
            if durable && self.is_durable(destination) {
                self.changes.push(record::put_binding(&self.vhost, source, destination, &spec));
            }
        }
        Ok(added)
    }

    /// Removes a binding; one that does not exist, or whose ends don't, is fine (RabbitMQ since 3.2).
    pub fn unbind(&mut self, spec: BindingSpec<'_>, connection: u64) -> Result<(), Refusal> {
        let (source, destination) = match self.ends(&spec, connection) {
            Err(Refusal { code: ReplyCode::NotFound, .. }) => return Ok(()),
            ends => ends?,
        };
        let Some(exchange) = self.exchange.get_mut(&source) else { return Ok(()) };
        if !exchange.bindings.remove(destination, spec.key.as_bytes(), spec.arguments) {
            return Ok(());
        }
        self.bindings -= 1;
        let (durable, name) = (exchange.spec.durable, exchange.name.clone());
        if !exchange.bindings.has_destination(destination)
            && let Some(sources) = self.sources.get_mut(&destination)
        {
            sources.remove(&source);
        }
        let (key, args) = (spec.key.as_bytes(), spec.arguments);
        let binding = BindingRef { dest: destination, key, args };
        self.note_unbound(&name, self.name_of(destination), &binding);
        if durable && self.is_durable(destination) {
            self.changes.push(record::remove_binding(&self.vhost, source, &binding));
        }
        let unbound = self.bindings_changed(source);
        self.remove_bindings_to(unbound);
        Ok(())
    }

    /// Both ends of a binding. RabbitMQ names the source first when both are missing.
    fn ends(
        &self,
        spec: &BindingSpec<'_>,
        connection: u64,
    ) -> Result<(ExchangeId, Destination), Refusal> {
        refuse_default(spec.source)?;
        if let Target::Exchange(name) = spec.target {
            refuse_default(name)?;
        }
        let source = self.exchange(spec.source)?.id;
        let destination = match spec.target {
            Target::Queue(name) => Destination::Queue(self.usable(name, connection)?.record.id),
            Target::Exchange(name) => Destination::Exchange(self.exchange(name)?.id),
        };
        Ok((source, destination))
    }
}
