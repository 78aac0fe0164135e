//! Exchanges as they are declared.

use std::sync::Arc;

use amq_protocol::types::FieldTable;
use lepus_protocol::reply::ReplyCode;

use super::arguments::{self, check_property};
use super::history::History;
use crate::error::Refusal;
use crate::policy::Applied;
use crate::routing::{Bindings, ExchangeId, ExchangeKind, Invalid};
use crate::stats::ExchangeStats;

const ALTERNATE: &str = "alternate-exchange";

/// What exchange.declare asks for.
#[derive(Clone, Debug)]
pub struct ExchangeSpec {
    /// Its name; not empty.
    pub name: String,
    /// How it routes.
    pub kind: ExchangeKind,
    /// Survives a restart.
    pub durable: bool,
    /// Deleted when its last binding goes.
    pub auto_delete: bool,
    /// Closed to publishers, open to bindings.
    pub internal: bool,
    /// Optional arguments.
    pub arguments: FieldTable,
}

/// An exchange.
pub struct Exchange {
    /// Its id.
    pub id: ExchangeId,
    /// Its name.
    pub name: Arc<str>,
    /// What was declared.
    pub spec: ExchangeSpec,
    /// What is bound to it.
    pub bindings: Bindings,
    /// The argument `alternate-exchange`, or else what its policies say.
    pub alternate: Option<String>,
    /// The policies that count for it.
    pub applied: Applied,
    /// What was published lately, of a recent history exchange.
    pub history: Option<History>,
    /// What went through it.
    pub stats: Arc<ExchangeStats>,
    /// Who has declared it.
    pub user: Arc<str>,
}

impl Exchange {
    pub(super) fn new(
        id: ExchangeId,
        spec: ExchangeSpec,
        user: Arc<str>,
        what: &str,
    ) -> Result<Self, Refusal> {
        let alternate = arguments::exchange_name(&spec.arguments, ALTERNATE, what)?;
        let name = spec.name.as_str().into();
        let bindings = Bindings::new(spec.kind, &spec.arguments).map_err(refusal)?;
        let history = History::of(bindings.kind(), &spec.arguments);
        let (applied, stats) = (Applied::default(), Arc::default());
        Ok(Self { id, name, bindings, spec, alternate, applied, history, stats, user })
    }

    /// From now on these policies count.
    pub(super) fn follow(&mut self, applied: Applied) {
        if !self.spec.arguments.contains_key(ALTERNATE) {
            let named = applied.get(ALTERNATE);
            self.alternate = named.and_then(|name| name.as_str().map(str::to_owned));
        }
        self.applied = applied;
    }

    /// Refuses a redeclaration that differs.
    pub(super) fn check_equivalent(&self, new: &ExchangeSpec, what: &str) -> Result<(), Refusal> {
        let old = &self.spec;
        check_property("type", what, new.kind.name(), old.kind.name())?;
        check_property("durable", what, new.durable, old.durable)?;
        check_property("auto_delete", what, new.auto_delete, old.auto_delete)?;
        check_property("internal", what, new.internal, old.internal)?;
        arguments::check_equivalent(&old.arguments, &new.arguments, [ALTERNATE], what)
    }
}

fn refusal(invalid: Invalid) -> Refusal {
    if invalid.is_unknown_type() {
        return Refusal::new(ReplyCode::CommandInvalid, invalid.text());
    }
    Refusal::precondition(invalid.text())
}
