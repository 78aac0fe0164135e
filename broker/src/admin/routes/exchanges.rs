//! Exchanges.

use std::sync::Arc;

use amq_protocol::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};

use super::{Reply, Routes, done, exchange_name, ok, put, stats};
use crate::access::{Kind, Resource};
use crate::admin::auth::Caller;
use crate::admin::error::Fault;
use crate::admin::input::{Input, Path};
use crate::admin::table::get;
use crate::events::INTERNAL_USER;
use crate::json_table::{from_json, to_json};
use crate::policy::Applied;
use crate::routing::ExchangeKind;
use crate::stats::ExchangeStats;
use crate::topology::{Command, Exchange, ExchangeSpec};
use crate::vhost::Vhost;

pub(super) fn routes() -> Routes {
    let one_of_them = get(one).shows("Exchange").put(declare).delete(delete_one);
    Routes::new()
        .route("/api/exchanges", get(all).lists("Exchange"))
        .route("/api/exchanges/{vhost}", get(of_vhost).lists("Exchange"))
        .route("/api/exchanges/{vhost}/{exchange}", one_of_them)
}

async fn all(caller: Caller) -> Reply {
    let exchanges = caller.vhosts().iter().flat_map(|vhost| list(&caller, vhost)).collect();
    ok(caller.view.list(exchanges)?)
}

async fn of_vhost(caller: Caller, Path(vhost): Path<String>) -> Reply {
    let exchanges = list(&caller, &*caller.vhost(&vhost)?);
    ok(caller.view.list(exchanges)?)
}

async fn one(caller: Caller, Path((vhost, name)): Path<(String, String)>) -> Reply {
    let vhost = caller.vhost(&vhost)?;
    let exchange = match exchange_name(&name) {
        "" => Seen::default_of(&vhost),
        name => vhost
            .read(|topology| topology.exchange(name).map(Seen::of))
            .map_err(|_| Fault::unknown())?,
    };
    let mut exchange = exchange.show(&caller, &vhost);
    exchange["incoming"] = json!([]);
    exchange["outgoing"] = json!([]);
    ok(caller.view.one(exchange))
}

fn list(caller: &Caller, vhost: &Vhost) -> Vec<Value> {
    let mut exchanges: Vec<Seen> =
        vhost.read(|topology| topology.exchanges().map(Seen::of).collect());
    exchanges.push(Seen::default_of(vhost));
    exchanges.sort_unstable_by(|a, b| a.spec.name.cmp(&b.spec.name));
    exchanges.into_iter().map(|exchange| exchange.show(caller, vhost)).collect()
}

/// An exchange, what policies count for it, and what has gone through it.
struct Seen {
    spec: ExchangeSpec,
    applied: Applied,
    stats: Arc<ExchangeStats>,
    user: Arc<str>,
}

impl Seen {
    fn of(found: &Exchange) -> Self {
        let (spec, applied) = (found.spec.clone(), found.applied.clone());
        let (stats, user) = (found.stats.clone(), found.user.clone());
        Self { spec, applied, stats, user }
    }

    /// The exchange that every queue is bound to, of which routing needs to know nothing.
    fn default_of(vhost: &Vhost) -> Self {
        let spec = ExchangeSpec {
            name: String::new(),
            kind: ExchangeKind::Direct,
            durable: true,
            auto_delete: false,
            internal: false,
            arguments: FieldTable::default(),
        };
        let stats = vhost.read(|topology| topology.default_stats().clone());
        Self { spec, applied: Applied::default(), stats, user: INTERNAL_USER.into() }
    }

    fn show(&self, caller: &Caller, vhost: &Vhost) -> Value {
        let Self { spec, applied, stats, user } = self;
        let mut exchange = json!({
            "name": spec.name,
            "vhost": vhost.name.to_string(),
            "type": spec.kind.name(),
            "durable": spec.durable,
            "auto_delete": spec.auto_delete,
            "internal": spec.internal,
            "arguments": to_json(&spec.arguments),
            "user_who_performed_action": **user,
        });
        if !caller.leaves_out_stats() {
            exchange["message_stats"] = stats::exchange_messages(stats, &caller.asked());
        }
        let held_back = vhost.read(|topology| topology.held_back(&spec.name));
        if let Some(held_back) = held_back {
            exchange["messages_delayed"] = held_back.counts().scheduled.into();
        }
        if let Some(policy) = &applied.policy {
            exchange["policy"] = policy.name.clone().into();
        }
        exchange
    }
}

async fn declare(
    caller: Caller,
    Path((vhost, name)): Path<(String, String)>,
    input: Input,
) -> Reply {
    let vhost = caller.vhost_to_change(&vhost)?;
    let name = exchange_name(&name);
    let kind = match input.text("type")? {
        "" => "direct",
        kind => kind,
    };
    let kind = ExchangeKind::parse(kind)
        .ok_or_else(|| Fault::bad_request(format!("unknown exchange type '{kind}'")))?;
    let spec = ExchangeSpec {
        name: name.to_owned(),
        kind,
        durable: input.flag("durable")?,
        auto_delete: input.flag("auto_delete")?,
        internal: input.flag("internal")?,
        arguments: from_json(&input.object("arguments")?).map_err(Fault::bad_request)?,
    };
    let is_new = !vhost.read(|topology| topology.exchange(name).is_ok());
    permit(&caller, &vhost, &spec, is_new)?;
    vhost.apply_by(caller.user(), caller.node(), Command::DeclareExchange(spec))?;
    put(is_new)
}

fn permit(caller: &Caller, vhost: &Vhost, spec: &ExchangeSpec, is_new: bool) -> Result<(), Fault> {
    let exchange = Resource::Exchange(&spec.name);
    caller.permit(&vhost.name, exchange, Kind::Configure)?;
    let alternate = spec.arguments.inner().get("alternate-exchange");
    if let (true, Some(AMQPValue::LongString(alternate))) = (is_new, alternate) {
        let alternate = alternate.to_string();
        caller.permit(&vhost.name, exchange, Kind::Read)?;
        caller.permit(&vhost.name, Resource::Exchange(&alternate), Kind::Write)?;
    }
    Ok(())
}

async fn delete_one(caller: Caller, Path((vhost, name)): Path<(String, String)>) -> Reply {
    let vhost = caller.vhost(&vhost)?;
    let name = exchange_name(&name);
    if !name.is_empty() && vhost.read(|topology| topology.exchange(name).is_err()) {
        return Err(Fault::unknown());
    }
    caller.permit(&vhost.name, Resource::Exchange(name), Kind::Configure)?;
    let if_unused = caller.view.flag("if-unused");
    let delete = Command::DeleteExchange { name, if_unused };
    vhost.apply_by(caller.user(), caller.node(), delete)?;
    done()
}
