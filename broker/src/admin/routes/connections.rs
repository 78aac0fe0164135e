//! Connections.

use std::sync::Arc;

use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::{Reply, Routes, channels, done, idle_process, ok, stats};
use crate::admin::auth::{Caller, Tag};
use crate::admin::error::Fault;
use crate::admin::input::Path;
use crate::admin::query::Item;
use crate::admin::samples::Asked;
use crate::admin::table::get;
use crate::connection::Open;
use crate::json_table::to_json;
use crate::node::Node;

pub(super) fn routes() -> Routes {
    let of_one_user = get(of_user).lists("Connection").delete(close_all);
    Routes::new()
        .route("/api/connections", get(all).lists("Connection"))
        .route("/api/vhosts/{vhost}/connections", get(of_vhost).lists("Connection"))
        .route("/api/connections/{name}", get(one).shows("Connection").delete(close))
        .route("/api/connections/{name}/channels", get(channels_of).lists("Channel"))
        .route("/api/connections/username/{user}", of_one_user)
}

async fn all(caller: Caller) -> Reply {
    list(&caller, seen(&caller))
}

async fn of_vhost(caller: Caller, Path(vhost): Path<String>) -> Reply {
    let vhost = caller.vhost(&vhost)?;
    let mut connections = seen(&caller);
    connections.retain(|connection| Arc::ptr_eq(&connection.vhost, &vhost));
    list(&caller, connections)
}

fn list(caller: &Caller, connections: Vec<Arc<Open>>) -> Reply {
    let seen = connections.into_iter().map(|open| Seen::new(caller, open));
    let mut seen: Vec<Seen> = seen.collect();
    seen.sort_unstable_by(|a, b| (&a.open.vhost.name, &a.name).cmp(&(&b.open.vhost.name, &b.name)));
    ok(caller.view.list(seen)?)
}

async fn one(caller: Caller, Path(name): Path<String>) -> Reply {
    let open = find(&caller, &name)?;
    let texts: Vec<_> = open.facts.tls_texts().map(|(field, text)| (field, text.to_owned())).into();
    let mut shown = Seen::new(&caller, open).show();
    // RabbitMQ has no value for them in lists only.
    texts.into_iter().for_each(|(field, text)| shown[field] = text.into());
    ok(caller.view.one(shown))
}

async fn channels_of(caller: Caller, Path(name): Path<String>) -> Reply {
    let open = find(&caller, &name)?;
    ok(caller.view.list(channels::of(&caller, vec![open]).await)?)
}

async fn close(caller: Caller, Path(name): Path<String>, headers: HeaderMap) -> Reply {
    find(&caller, &name)?.close(reason(&headers));
    done()
}

async fn of_user(caller: Caller, Path(user): Path<String>) -> Reply {
    let shown = of_name(&caller, &user)?.into_iter().map(|open| {
        json!({
            "name": open.facts.name(),
            "node": Node::NAME,
            "user": open.user,
            "vhost": *open.vhost.name,
        })
    });
    ok(caller.view.list(shown.collect())?)
}

async fn close_all(caller: Caller, Path(user): Path<String>, headers: HeaderMap) -> Reply {
    for open in of_name(&caller, &user)? {
        open.close(reason(&headers));
    }
    done()
}

/// What the client is told.
fn reason(headers: &HeaderMap) -> &str {
    let told = headers.get("x-reason").and_then(|reason| reason.to_str().ok());
    told.unwrap_or("Closed via management plugin")
}

/// The connections that the caller may see: all, or the own ones.
pub(super) fn seen(caller: &Caller) -> Vec<Arc<Open>> {
    let mut connections = caller.node().connections();
    connections.retain(|connection| may_see(caller, &connection.user));
    connections
}

fn may_see(caller: &Caller, user: &str) -> bool {
    caller.user() == user || caller.is(Tag::Monitoring)
}

/// Refuses who may not see what a user has open.
pub(super) fn must_see(caller: &Caller, user: &str) -> Result<(), Fault> {
    let refused = || Fault::not_authorised("User not authorised to access object");
    if may_see(caller, user) { Ok(()) } else { Err(refused()) }
}

/// A connection that the caller may see.
pub(super) fn find(caller: &Caller, name: &str) -> Result<Arc<Open>, Fault> {
    let found = caller.node().connection_named(name).ok_or_else(Fault::unknown)?;
    must_see(caller, &found.user)?;
    Ok(found)
}

fn of_name(caller: &Caller, user: &str) -> Result<Vec<Arc<Open>>, Fault> {
    must_see(caller, user)?;
    let mut connections = caller.node().connections();
    connections.retain(|connection| connection.user == user);
    Ok(connections)
}

struct Seen {
    open: Arc<Open>,
    name: String,
    state: &'static str,
    asked: Asked,
}

impl Seen {
    fn new(caller: &Caller, open: Arc<Open>) -> Self {
        let (node, asked) = (caller.node(), caller.asked());
        let (name, state) = (open.facts.name(), open.state(node.alarms().any(), node.now_ms()));
        Self { open, name, state, asked }
    }
}

impl Item for Seen {
    fn name(&self) -> &str {
        &self.name
    }

    fn field(&self, path: &[&str]) -> Value {
        match path {
            ["name"] => self.name.as_str().into(),
            ["user"] => self.open.user.as_str().into(),
            ["vhost"] => (*self.open.vhost.name).into(),
            ["channels"] => self.open.channel_count().into(),
            path => show(self).field(path),
        }
    }

    fn show(self) -> Value {
        show(&self)
    }
}

fn show(Seen { open, name, state, asked }: &Seen) -> Value {
    let facts = &open.facts;
    let (peer, local) = facts.ends();
    let mut shown = json!({
        "name": name,
        "node": Node::NAME,
        "type": "network",
        "protocol": "AMQP 0-9-1",
        "state": state,
        "user": open.user,
        "user_who_performed_action": open.user,
        "vhost": *open.vhost.name,
        "connected_at": facts.connected_at(),
        "host": local.ip().to_canonical().to_string(),
        "port": local.port(),
        "peer_host": peer.ip().to_canonical().to_string(),
        "peer_port": peer.port(),
        "channels": open.channel_count(),
        "channel_max": open.tuning.channel_max,
        "frame_max": open.tuning.frame_max,
        "timeout": open.tuning.heartbeat,
        "auth_mechanism": facts.mechanism(),
        "ssl": facts.is_tls(),
        "client_properties": to_json(facts.client_properties()),
        "send_pend": 0,
    });
    for (field, text) in facts.tls_texts() {
        shown[field] = Some(text).filter(|text| !text.is_empty()).into();
    }
    for (field, counted) in stats::connection_octets(&open.stats, asked) {
        shown[field] = counted;
    }
    shown["message_stats"] = stats::connection_messages(&open.stats, asked);
    if let Some(name) = facts.provided_name() {
        shown["user_provided_name"] = name.into();
    }
    if open.blocks_own_consumers() {
        shown["blocks_own_consumers"] = true.into();
    }
    idle_process(shown)
}
