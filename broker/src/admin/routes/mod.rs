//! What there is under `/api`, by kind of object.

mod bindings;
mod certificates;
mod channels;
mod connections;
mod consumers;
mod definitions;
mod elsewhere;
mod exchanges;
mod health;
mod limits;
mod logins;
mod messages;
mod nodes;
mod overview;
mod parameters;
mod permissions;
mod policies;
mod process;
mod properties;
mod queues;
mod stats;
mod users;
mod vhosts;
mod x;

use std::sync::{Arc, LazyLock};

use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing};
use serde_json::{Value, json};

use super::auth::Caller;
use super::error::Fault;
use super::table::Routes;
use super::{Admin, openapi};

/// An answer.
type Reply = Result<Response, Fault>;

/// What all routes are: made when it is first asked for, since a start should not wait for it.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| json!(openapi::document(table().operations())));

/// All routes, and what they are.
pub(super) fn all() -> Router<Arc<Admin>> {
    let index = async || (StatusCode::MOVED_PERMANENTLY, [(LOCATION, "/api/index.html")]);
    let document = async |_: Caller| Json(&*DOCUMENT);
    let router = table().into_router().route("/api", routing::get(index));
    router.route("/api/openapi.json", routing::get(document))
}

fn table() -> Routes {
    Routes::new()
        .merge(overview::routes())
        .merge(queues::routes())
        .merge(exchanges::routes())
        .merge(bindings::routes())
        .merge(vhosts::routes())
        .merge(users::routes())
        .merge(permissions::routes())
        .merge(policies::routes())
        .merge(parameters::routes())
        .merge(limits::routes())
        .merge(definitions::routes())
        .merge(health::routes())
        .merge(messages::routes())
        .merge(nodes::routes())
        .merge(connections::routes())
        .merge(channels::routes())
        .merge(consumers::routes())
        .merge(logins::routes())
        .merge(certificates::routes())
        .merge(process::routes())
        .merge(elsewhere::routes())
        .merge(x::routes())
}

fn ok(value: Value) -> Reply {
    Ok(Json(value).into_response())
}

/// 201 for what is new, 204 for what was there.
fn put(is_new: bool) -> Reply {
    Ok(if is_new { StatusCode::CREATED } else { StatusCode::NO_CONTENT }.into_response())
}

fn done() -> Reply {
    put(false)
}

/// 404 for what was not there.
fn deleted(was_there: bool) -> Reply {
    if was_there { done() } else { Err(Fault::unknown()) }
}

/// What RabbitMQ calls the default exchange in a path.
fn exchange_name(segment: &str) -> &str {
    if segment == "amq.default" { "" } else { segment }
}

/// Adds what RabbitMQ says of the process behind an object. There is none here, and it does nothing.
fn idle_process(mut object: Value) -> Value {
    object["reductions"] = 0.into();
    object["reductions_details"] = json!({"rate": 0.0});
    object["garbage_collection"] = json!({
        "fullsweep_after": 65535, "max_heap_size": 0, "min_bin_vheap_size": 46422,
        "min_heap_size": 233, "minor_gcs": 0,
    });
    object
}
