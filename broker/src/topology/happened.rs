//! What came and went, for those who want to be told.

use std::sync::Arc;

use super::Topology;
use crate::events::topology::{Bound, Happened};
use crate::routing::{BindingRef, Destination, ExchangeId};

impl<H: Clone> Topology<H> {
    /// From now on somebody wants to be told what comes and goes, or nobody does.
    pub fn watch(&mut self, wanted: bool) {
        self.watched = wanted;
    }

    /// Who makes the changes to come.
    pub fn act_for(&mut self, user: &str) {
        if *self.acting != *user {
            self.acting = user.into();
        }
    }

    /// Takes what came and went, since the last call.
    pub fn take_happened(&mut self) -> Vec<Happened> {
        std::mem::take(&mut self.happened)
    }

    pub(super) fn note(&mut self, happened: impl FnOnce() -> Happened) {
        if self.watched {
            self.happened.push(happened());
        }
    }

    pub(super) fn note_bound(&mut self, source: ExchangeId, binding: &BindingRef<'_>) {
        if self.watched
            && let Some(source) = self.exchange.get(&source)
            && let Some(destination) = self.name_of(binding.dest)
        {
            let bound = bound(source.name.clone(), destination, binding);
            self.happened.push(Happened::BindingCreated(bound));
        }
    }

    pub(super) fn note_unbound(
        &mut self,
        source: &Arc<str>,
        destination: Option<Arc<str>>,
        binding: &BindingRef<'_>,
    ) {
        let destination = destination.filter(|_| self.watched);
        if let Some(destination) = destination {
            let bound = bound(source.clone(), destination, binding);
            self.happened.push(Happened::BindingDeleted(bound));
        }
    }

    /// All bindings of an exchange to something that is gone go with it.
    pub(super) fn note_unbinding(
        &mut self,
        source: ExchangeId,
        destination: Destination,
        name: &Arc<str>,
    ) {
        if self.watched
            && let Some(exchange) = self.exchange.get(&source)
        {
            let bindings = exchange.bindings.of(destination);
            let deleted =
                bindings.map(|binding| bound(exchange.name.clone(), name.clone(), &binding));
            self.happened.extend(deleted.map(Happened::BindingDeleted));
        }
    }

    pub(super) fn name_of(&self, destination: Destination) -> Option<Arc<str>> {
        match destination {
            Destination::Queue(id) => self.queue.get(&id).map(|entry| entry.record.name.clone()),
            Destination::Exchange(id) => {
                self.exchange.get(&id).map(|exchange| exchange.name.clone())
            }
        }
    }
}

fn bound(source: Arc<str>, destination: Arc<str>, binding: &BindingRef<'_>) -> Bound {
    Bound {
        source,
        destination,
        to_queue: matches!(binding.dest, Destination::Queue(_)),
        key: String::from_utf8_lossy(binding.key).into_owned(),
        arguments: binding.args.clone(),
    }
}
