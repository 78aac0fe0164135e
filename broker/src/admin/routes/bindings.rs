//! Bindings.

use amq_protocol::types::FieldTable;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::{Reply, Routes, done, exchange_name, ok};
use crate::access::{Kind, Resource, Topic};
use crate::admin::auth::Caller;
use crate::admin::error::Fault;
use crate::admin::input::{Input, Path};
use crate::admin::properties_key::{properties_key, quote};
use crate::admin::table::get;
use crate::json_table::{from_json, to_json};
use crate::topology::{BindingSpec, Bound, Command, Target};
use crate::vhost::Vhost;

pub(super) fn routes() -> Routes {
    const BETWEEN: &str = "/api/bindings/{vhost}/e/{source}/{kind}/{destination}";
    const OF_EXCHANGE: &str = "/api/exchanges/{vhost}/{exchange}/bindings/{end}";
    Routes::new()
        .route("/api/bindings", get(all).lists("Binding"))
        .route("/api/bindings/{vhost}", get(of_vhost).lists("Binding"))
        .route(BETWEEN, get(between).lists("Binding").post(bind))
        .route(&format!("{BETWEEN}/{{key}}"), get(one).shows("Binding").delete(unbind))
        .route("/api/queues/{vhost}/{queue}/bindings", get(to_queue).lists("Binding"))
        .route(OF_EXCHANGE, get(of_exchange).lists("Binding"))
}

/// The two ends of a binding, in a path.
type Ends = (String, String, String, String);

async fn all(caller: Caller) -> Reply {
    let bindings = caller.vhosts().iter().flat_map(|vhost| list(vhost, |_| true)).collect();
    ok(caller.view.list(bindings)?)
}

async fn of_vhost(caller: Caller, Path(vhost): Path<String>) -> Reply {
    let bindings = list(&*caller.vhost(&vhost)?, |_| true);
    ok(caller.view.list(bindings)?)
}

async fn to_queue(caller: Caller, Path((vhost, queue)): Path<(String, String)>) -> Reply {
    let vhost = caller.vhost(&vhost)?;
    check_queue(&vhost, &queue)?;
    ok(caller.view.list(list(&vhost, |bound| bound.target == Target::Queue(&queue)))?)
}

async fn of_exchange(
    caller: Caller,
    Path((vhost, exchange, end)): Path<(String, String, String)>,
) -> Reply {
    let vhost = caller.vhost(&vhost)?;
    let exchange = exchange_name(&exchange);
    check_exchange(&vhost, exchange)?;
    let bindings = match end.as_str() {
        "source" => list(&vhost, |bound| bound.source == exchange),
        "destination" => list(&vhost, |bound| bound.target == Target::Exchange(exchange)),
        _ => return Err(Fault::unknown()),
    };
    ok(caller.view.list(bindings)?)
}

async fn between(caller: Caller, Path(ends): Path<Ends>) -> Reply {
    let (vhost, source, kind, destination) = ends;
    let vhost = caller.vhost(&vhost)?;
    let (source, target) = (exchange_name(&source), target(&kind, &destination)?);
    check_exchange(&vhost, source)?;
    match target {
        Target::Queue(name) => check_queue(&vhost, name)?,
        Target::Exchange(name) => check_exchange(&vhost, name)?,
    }
    let are = |bound: &Bound<'_>| bound.source == source && bound.target == target;
    ok(caller.view.list(list(&vhost, are))?)
}

async fn one(
    caller: Caller,
    Path((vhost, source, kind, destination, key)): Path<(String, String, String, String, String)>,
) -> Reply {
    let vhost = caller.vhost(&vhost)?;
    let (source, target) = (exchange_name(&source), target(&kind, &destination)?);
    let are = |bound: &Bound<'_>| bound.source == source && bound.target == target;
    let found = list(&vhost, are).into_iter().find(|binding| binding["properties_key"] == key);
    ok(caller.view.one(found.ok_or_else(Fault::unknown)?))
}

fn target<'a>(kind: &str, name: &'a str) -> Result<Target<'a>, Fault> {
    match kind {
        "q" => Ok(Target::Queue(name)),
        "e" => Ok(Target::Exchange(exchange_name(name))),
        _ => Err(Fault::unknown()),
    }
}

fn check_queue(vhost: &Vhost, name: &str) -> Result<(), Fault> {
    let is_there = vhost.read(|topology| topology.has_queue(name));
    if is_there { Ok(()) } else { Err(Fault::unknown()) }
}

fn check_exchange(vhost: &Vhost, name: &str) -> Result<(), Fault> {
    let is_there = name.is_empty() || vhost.read(|topology| topology.exchange(name).is_ok());
    if is_there { Ok(()) } else { Err(Fault::unknown()) }
}

/// The bindings that are wanted, those of the default exchange among them.
fn list(vhost: &Vhost, wanted: impl Fn(&Bound<'_>) -> bool) -> Vec<Value> {
    let none = FieldTable::default();
    let mut bindings = vhost.read(|topology| {
        let implied = topology.queues().map(|(record, _)| {
            let (name, key) = (&*record.name, record.name.as_bytes());
            Bound { source: "", target: Target::Queue(name), key, arguments: &none }
        });
        let bindings = implied.chain(topology.all_bindings()).filter(|bound| wanted(bound));
        bindings.map(|bound| (place(&bound), show(vhost, &bound))).collect::<Vec<_>>()
    });
    bindings.sort_by(|(a, _), (b, _)| a.cmp(b));
    bindings.into_iter().map(|(_, shown)| shown).collect()
}

fn place(bound: &Bound<'_>) -> (String, String, Vec<u8>) {
    let (Target::Queue(name) | Target::Exchange(name)) = bound.target;
    (bound.source.to_owned(), name.to_owned(), bound.key.to_vec())
}

fn show(vhost: &Vhost, bound: &Bound<'_>) -> Value {
    let (destination, kind) = match bound.target {
        Target::Queue(name) => (name, "queue"),
        Target::Exchange(name) => (name, "exchange"),
    };
    let arguments = to_json(bound.arguments);
    json!({
        "source": bound.source,
        "vhost": vhost.name.to_string(),
        "destination": destination,
        "destination_type": kind,
        "routing_key": String::from_utf8_lossy(bound.key),
        "properties_key": properties_key(bound.key, &arguments),
        "arguments": arguments,
    })
}

async fn bind(caller: Caller, Path(ends): Path<Ends>, input: Input) -> Reply {
    let (vhost, source, kind, destination) = ends;
    let vhost = caller.vhost_to_change(&vhost)?;
    let object = input.object("arguments")?;
    let arguments = from_json(&object).map_err(Fault::bad_request)?;
    let spec = BindingSpec {
        source: exchange_name(&source),
        target: target(&kind, &destination)?,
        key: input.text("routing_key")?,
        arguments: &arguments,
    };
    permit(&caller, &vhost, &spec)?;
    vhost.apply_by(caller.user(), caller.node(), Command::Bind(spec, NO_CONNECTION))?;
    let key = properties_key(spec.key.as_bytes(), &object);
    let location = format!("{}/{}", quote(destination.as_bytes()), quote(key.as_bytes()));
    Ok((StatusCode::CREATED, [(LOCATION, location)]).into_response())
}

/// Nobody's: exclusive queues are out of reach.
const NO_CONNECTION: u64 = 0;

fn permit(caller: &Caller, vhost: &Vhost, spec: &BindingSpec<'_>) -> Result<(), Fault> {
    let destination = match spec.target {
        Target::Queue(name) => Resource::Queue(name),
        Target::Exchange(name) => Resource::Exchange(name),
    };
    caller.permit(&vhost.name, destination, Kind::Write)?;
    caller.permit(&vhost.name, Resource::Exchange(spec.source), Kind::Read)?;
    caller.permit_topic(vhost, Topic { exchange: spec.source, key: spec.key }, Kind::Read)
}

async fn unbind(
    caller: Caller,
    Path((vhost, source, kind, destination, key)): Path<(String, String, String, String, String)>,
) -> Reply {
    let vhost = caller.vhost(&vhost)?;
    let (source, target) = (exchange_name(&source), target(&kind, &destination)?);
    let found = vhost.read(|topology| {
        let mut all = topology.all_bindings();
        let named = |bound: &Bound<'_>| {
            bound.source == source
                && bound.target == target
                && properties_key(bound.key, &to_json(bound.arguments)) == key
        };
        all.find(named).map(|bound| (bound.key.to_vec(), bound.arguments.clone()))
    });
    let (key, arguments) = found.ok_or_else(Fault::unknown)?;
    let key = String::from_utf8_lossy(&key);
    let spec = BindingSpec { source, target, key: &key, arguments: &arguments };
    permit(&caller, &vhost, &spec)?;
    vhost.apply_by(caller.user(), caller.node(), Command::Unbind(spec, NO_CONNECTION))?;
    done()
}
