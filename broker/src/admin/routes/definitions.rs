//! All that is declared, as one document.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::IntoResponse;
use serde_json::Value;
use tokio::task::block_in_place;

use super::{Reply, Routes, done, ok};
use crate::admin::Admin;
use crate::admin::auth::{Caller, Tag};
use crate::admin::error::Fault;
use crate::admin::input::{Path, Raw};
use crate::admin::table::get;
use crate::definitions::{self, Definitions};

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/api/definitions", get(export).post(import))
        .route("/api/definitions/{vhost}", get(export_vhost).post(import_vhost))
        .route("/api/all-configuration", get(export).post(import))
        // The body's reader has a limit of its own.
        .with_bodies_of_any_size()
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

/// A document that was sent, alone or in a form.
struct Sent {
    document: Bytes,
    /// Where the form wants to go then.
    redirect: Option<String>,
}

impl FromRequest<Arc<Admin>> for Sent {
    type Rejection = Fault;

    async fn from_request(request: Request, admin: &Arc<Admin>) -> Result<Self, Fault> {
        let (parts, body) = request.into_parts();
        let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let is_form = kind.is_some_and(|kind| kind.starts_with("multipart/form-data"));
        let whole = Request::from_parts(parts.clone(), body);
        let Raw(body) = Raw::from_request(whole, admin).await?;
        if !is_form {
            return Ok(Self { document: body, redirect: None });
        }
        let unreadable = |_| Fault::bad_request("multipart_body_malformed");
        let form = Request::from_parts(parts, Body::from(body));
        let mut form = Multipart::from_request(form, admin)
            .await
            .map_err(|_| Fault::bad_request("multipart_body_malformed"))?;
        let mut sent = Self { document: Bytes::new(), redirect: None };
        while let Some(field) = form.next_field().await.map_err(unreadable)? {
            match field.name() {
                Some("file") => sent.document = field.bytes().await.map_err(unreadable)?,
                Some("redirect") => sent.redirect = Some(field.text().await.map_err(unreadable)?),
                _ => {}
            }
        }
        Ok(sent)
    }
}

async fn import(caller: Caller, sent: Sent) -> Reply {
    caller.must_be(Tag::Administrator)?;
    let read = definitions::read(&sent.document).map_err(fault)?;
    carry_out(&caller, &read, sent.redirect)
}

async fn import_vhost(caller: Caller, Path(vhost): Path<String>, sent: Sent) -> Reply {
    caller.must_be(Tag::Administrator)?;
    caller.vhost(&vhost)?;
    let read = definitions::read_vhost(&sent.document, &vhost).map_err(fault)?;
    carry_out(&caller, &read, sent.redirect)
}

fn carry_out(caller: &Caller, read: &Definitions, redirect: Option<String>) -> Reply {
    let done_well = || definitions::import(caller.node(), caller.user(), read);
    block_in_place(done_well).map_err(fault)?;
    match redirect {
        Some(place) => Ok((StatusCode::SEE_OTHER, [(LOCATION, place)]).into_response()),
        None => done(),
    }
}

fn fault(fault: definitions::Fault) -> Fault {
    match fault {
        definitions::Fault::NotJson(_) => Fault::bad_request("failed_to_parse_json"),
        other => Fault::bad_request(other.to_string()),
    }
}
