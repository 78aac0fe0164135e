//! Whether the broker lives, and whether it is of use now: for whoever starts and stops it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use lepus_storage::Health;
use serde_json::{Value, json};

use crate::node::Node;
use crate::watch;

pub(super) fn routes() -> Router<Arc<Node>> {
    Router::new()
        .route("/health/live", get(async || Json(json!({"status": "ok"}))))
        .route("/health/ready", get(ready))
}

/// An alarm is no reason to send clients away: consumers help against it.
async fn ready(State(node): State<Arc<Node>>) -> (StatusCode, Json<Value>) {
    let failed = |reason: String| {
        let told = json!({"status": "failed", "reason": reason});
        (StatusCode::SERVICE_UNAVAILABLE, Json(told))
    };
    if node.is_stopping() {
        return failed("the broker is stopping".to_owned());
    }
    match watch::health(&node) {
        Health::Poisoned(why) => failed(format!("the message store has failed: {why}")),
        Health::Ready | Health::Full => (StatusCode::OK, Json(json!({"status": "ok"}))),
    }
}
