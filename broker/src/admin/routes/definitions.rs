//! All that is declared, as one document.

use axum::Router;
use axum::extract::Path;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_DISPOSITION;
use axum::routing::get;
use serde_json::Value;
use tokio::task::block_in_place;

use super::{Reply, Routes, done, ok};
use crate::admin::auth::{Caller, Tag};
use crate::admin::error::Fault;
use crate::admin::input::Raw;
use crate::definitions::{self, Definitions};

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/api/definitions", get(export).post(import))
        .route("/api/definitions/{vhost}", get(export_vhost).post(import_vhost))
        .route("/api/all-configuration", get(export).post(import))
}

async fn export(caller: Caller) -> Reply {
    caller.must_be(Tag::Administrator)?;
    let document = block_in_place(|| definitions::export(caller.node()));
    send(&caller, definitions::document(&document))
}

async fn export_vhost(caller: Caller, Path(vhost): Path<String>) -> Reply {
    caller.must_be(Tag::Policymaker)?;
    let vhost = caller.vhost(&vhost)?;
    let document = block_in_place(|| definitions::export_vhost(caller.node(), &vhost));
    send(&caller, definitions::vhost_document(&document, &vhost.name))
}

/// As a file to keep, if that is asked for.
fn send(caller: &Caller, document: Value) -> Reply {
    let mut response = ok(document)?;
    let header = |name: &str| HeaderValue::from_str(&format!("attachment; filename={name}")).ok();
    if let Some(header) = caller.view.get("download").and_then(header) {
        response.headers_mut().insert(CONTENT_DISPOSITION, header);
    }
    Ok(response)
}

async fn import(caller: Caller, Raw(body): Raw) -> Reply {
    caller.must_be(Tag::Administrator)?;
    let read = definitions::read(&body).map_err(fault)?;
    carry_out(&caller, &read)
}

async fn import_vhost(caller: Caller, Path(vhost): Path<String>, Raw(body): Raw) -> Reply {
    caller.must_be(Tag::Administrator)?;
    caller.vhost(&vhost)?;
    let read = definitions::read_vhost(&body, &vhost).map_err(fault)?;
    carry_out(&caller, &read)
}

fn carry_out(caller: &Caller, read: &Definitions) -> Reply {
    let done_well = || definitions::import(caller.node(), caller.user(), read);
    block_in_place(done_well).map_err(fault)?;
    done()
}

fn fault(fault: definitions::Fault) -> Fault {
    match fault {
        definitions::Fault::NotJson(_) => Fault::bad_request("failed_to_parse_json"),
        other => Fault::bad_request(other.to_string()),
    }
}
