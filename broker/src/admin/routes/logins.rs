//! Logging in, and how often that was tried.

use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::HeaderValue;
use axum::http::header::SET_COOKIE;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::task::block_in_place;

use super::{Reply, Routes, done, nodes, ok};
use crate::access::Attempt;
use crate::access::attempts::Attempted;
use crate::access::password::{PasswordHash, Secret};
use crate::admin::Admin;
use crate::admin::auth::{Caller, Tag, log_in, must_take_passwords};
use crate::admin::error::Fault;
use crate::admin::input::{Path, Raw};
use crate::admin::table::{get, post};
use crate::http::Peer;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/api/login", post(login))
        .route("/api/auth", get(settings))
        .route("/api/auth/attempts/{node}", get(attempts).lists("Attempts").delete(forget))
        .route("/api/auth/attempts/{node}/source", get(sources).delete(forget))
        .route("/api/auth/hash_password/{password}", get(hash_password))
}

/// With a form instead of a header: whoever gets a cookie need not ask the user again.
async fn login(
    State(admin): State<Arc<Admin>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Raw(body): Raw,
) -> Reply {
    must_take_passwords(&admin.node)?;
    let field = |wanted: &str| {
        let mut fields = form_urlencoded::parse(&body);
        fields.find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
    };
    let (Some(user), Some(password)) = (field("username"), field("password")) else {
        return Err(Fault::login_failed());
    };
    let cookie = STANDARD.encode(format!("{user}:{password}"));
    let attempt = Attempt { user, password: Some(password.into()) };
    log_in(&admin.node, &attempt, peer.address.ip()).await?;
    let lasts = admin.node.config().management.login_session_timeout;
    let lasts = lasts.map(|time| format!("; Max-Age={}", time.as_secs())).unwrap_or_default();
    let mut response = ok(json!("ok"))?;
    let cookie = HeaderValue::from_str(&format!("auth={cookie}; Version=1{lasts}"));
    response.headers_mut().extend(cookie.map(|cookie| (SET_COOKIE, cookie)));
    Ok(response)
}

/// What the management pages want to know before somebody logs in.
async fn settings() -> Json<Value> {
    Json(json!({"enable_uaa": false, "uaa_client_id": "", "uaa_location": ""}))
}

async fn attempts(caller: Caller, Path(node): Path<String>) -> Reply {
    nodes::must_watch(&caller, &node)?;
    let shown = caller.node().access().attempts().list().into_iter().map(|tried| {
        let Attempted { protocol, succeeded, failed } = tried;
        json!({
            "protocol": protocol,
            "auth_attempts": succeeded + failed,
            "auth_attempts_failed": failed,
            "auth_attempts_succeeded": succeeded,
        })
    });
    ok(caller.view.list(shown.collect())?)
}

/// They are not told apart by where they come from, as in RabbitMQ if nothing else is configured.
async fn sources(caller: Caller, Path(node): Path<String>) -> Reply {
    nodes::must_watch(&caller, &node)?;
    ok(json!([]))
}

async fn forget(caller: Caller, Path(node): Path<String>) -> Reply {
    nodes::must_watch(&caller, &node)?;
    caller.node().access().attempts().forget();
    done()
}

async fn hash_password(caller: Caller, Path(password): Path<String>) -> Reply {
    caller.must_be(Tag::Administrator)?;
    let algorithm = caller.node().config().password_hashing;
    let secret = Secret::from(password);
    let hash = block_in_place(|| PasswordHash::new(algorithm, &secret));
    ok(json!({"ok": hash.encode()}))
}
