//! Exchanges.

use amq_protocol::types::{AMQPValue, FieldTable};
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use serde_json::{Value, json};

use super::{Reply, Routes, done, exchange_name, ok, put, stats};
use crate::access::{Kind, Resource};
use crate::admin::auth::Caller;
use crate::admin::error::Fault;
use crate::admin::input::Input;
use crate::json_table::{from_json, to_json};
use crate::policy::Applied;
use crate::routing::ExchangeKind;
use crate::stats::ExchangeStats;
use crate::topology::{Command, Exchange, ExchangeSpec};
use crate::vhost::Vhost;

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/api/exchanges", get(all))
        .route("/api/exchanges/{vhost}", get(of_vhost))
        .route("/api/exchanges/{vhost}/{exchange}", get(one).put(declare).delete(delete_one))
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
    let mut exchange = match exchange_name(&name) {
        "" => show_default(&caller, &vhost),
        name => {
            let found = vhost.read(|topology| {
                topology.exchange(name).map(|found| show_one(&caller, &vhost, found))
            });
            found.map_err(|_| Fault::unknown())?
        }
    };
    exchange["incoming"] = json!([]);
    exchange["outgoing"] = json!([]);
    ok(caller.view.one(exchange))
}

fn list(caller: &Caller, vhost: &Vhost) -> Vec<Value> {
    let mut exchanges = vhost.read(|topology| {
        let shown = topology.exchanges();
        let shown = shown.map(|found| (found.name.clone(), show_one(caller, vhost, found)));
        shown.collect::<Vec<_>>()
    });
    exchanges.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let default = show_default(caller, vhost);
    std::iter::once(default).chain(exchanges.into_iter().map(|(_, shown)| shown)).collect()
}

fn show_default(caller: &Caller, vhost: &Vhost) -> Value {
    let stats = vhost.read(|topology| topology.default_stats().clone());
    show(caller, vhost, &default(), &Applied::default(), &stats)
}

fn show_one(caller: &Caller, vhost: &Vhost, found: &Exchange) -> Value {
    show(caller, vhost, &found.spec, &found.applied, &found.stats)
}

/// The exchange that every queue is bound to, of which routing needs to know nothing.
fn default() -> ExchangeSpec {
    ExchangeSpec {
        name: String::new(),
        kind: ExchangeKind::Direct,
        durable: true,
        auto_delete: false,
        internal: false,
        arguments: FieldTable::default(),
    }
}

fn show(
    caller: &Caller,
    vhost: &Vhost,
    spec: &ExchangeSpec,
    applied: &Applied,
    counted: &ExchangeStats,
) -> Value {
    let mut exchange = json!({
        "name": spec.name,
        "vhost": vhost.name.to_string(),
        "type": spec.kind.name(),
        "durable": spec.durable,
        "auto_delete": spec.auto_delete,
        "internal": spec.internal,
        "arguments": to_json(&spec.arguments),
    });
    if !caller.leaves_out_stats() {
        exchange["message_stats"] = stats::exchange_messages(counted, &caller.asked());
    }
    if let Some(policy) = &applied.policy {
        exchange["policy"] = policy.name.clone().into();
    }
    exchange
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
