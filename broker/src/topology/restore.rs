//! What was declared in a former life is there again.

use std::sync::Arc;

use super::record::{self, Record};
use super::{BindingSpec, Exchange, ExchangeSpec, QueueRecord, QueueSpec, Target, Topology};
use crate::events::INTERNAL_USER;
use crate::policy::Flow;
use crate::routing::{ExchangeId, ExchangeKind, QueueId};

impl<H: Clone> Topology<H> {
    /// Brings back what [`Topology::take_changes`] has recorded; `make` makes the handles of queues.
    ///
    /// # Errors
    /// Which record cannot be understood, and why.
    pub fn restore(
        &mut self,
        records: &[&Record],
        mut make: impl FnMut(Arc<QueueRecord>) -> H,
    ) -> Result<(), String> {
        // Things are made by the policies that count for them.
        for record in records {
            self.restore_policy(record).map_err(|why| format!("{record:?}: {why}"))?;
        }
        // Those that are always there follow them, too.
        self.follow_policies();
        for record in records {
            self.restore_thing(record, &mut make).map_err(|why| format!("{record:?}: {why}"))?;
        }
        // Both ends of a binding must be there.
        for record in records {
            self.restore_binding(record).map_err(|why| format!("{record:?}: {why}"))?;
        }
        self.changes.clear();
        Ok(())
    }

    fn restore_thing(
        &mut self,
        record: &Record,
        make: impl FnOnce(Arc<QueueRecord>) -> H,
    ) -> Result<(), String> {
        match record {
            Record::Exchange {
                name,
                id,
                exchange_type,
                auto_delete,
                internal,
                arguments,
                user,
                ..
            } => {
                let spec = ExchangeSpec {
                    name: name.clone(),
                    kind: ExchangeKind::parse(exchange_type).ok_or("an unknown exchange type")?,
                    durable: true,
                    auto_delete: *auto_delete,
                    internal: *internal,
                    arguments: record::arguments(arguments)?,
                };
                let what = self.what("exchange", name);
                let user = user.as_deref().unwrap_or(INTERNAL_USER).into();
                let exchange = Exchange::new(ExchangeId(*id), spec, user, &what);
                self.keep_exchange(exchange.map_err(|refusal| refusal.text)?);
                self.census.id_is_known(*id);
                self.add_schedule(name, make);
            }
            Record::Queue { name, id, auto_delete, arguments, paused, max_rate, .. } => {
                let spec = QueueSpec {
                    name: name.clone(),
                    durable: true,
                    owner: None,
                    auto_delete: *auto_delete,
                    arguments: record::arguments(arguments)?,
                };
                let (id, name) = (QueueId(*id), name.as_str().into());
                self.census.id_is_known(id.0);
                let flow = Flow { paused: *paused, max_rate: *max_rate };
                self.keep_queue(id, name, spec, flow, make);
            }
            _ => {}
        }
        Ok(())
    }

    fn restore_binding(&mut self, record: &Record) -> Result<(), String> {
        let Record::Binding { source, destination, to_queue, routing_key, arguments, .. } = record
        else {
            return Ok(());
        };
        let spec = BindingSpec {
            source,
            target: match to_queue {
                true => Target::Queue(destination),
                false => Target::Exchange(destination),
            },
            key: routing_key,
            arguments: &record::arguments(arguments)?,
        };
        // Durable queues belong to no connection.
        self.bind(spec, 0).map(drop).map_err(|refusal| refusal.text)
    }
}
