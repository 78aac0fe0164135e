//! Who has changed what, as lines of the log.

use std::sync::{Arc, OnceLock};

use axum::RequestExt;
use axum::extract::{ConnectInfo, MatchedPath, RawPathParams, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use tracing::field::display;

use crate::http::Peer;

/// Ends of routes that change nothing but messages, or of what is said more elsewhere.
const TOLD_ELSEWHERE: [&str; 8] = [
    "/publish",
    "/get",
    "/api/login",
    "/api/vhosts/{vhost}",
    "/deletion/protection",
    "/api/x/log-level",
    "/api/x/logs/rotate",
    "/api/x/stop",
];

/// Who sends a request, once that is known.
#[derive(Clone, Default)]
pub(super) struct Sender(Arc<OnceLock<String>>);

impl Sender {
    /// It is this user.
    pub fn is(&self, user: &str) {
        // Nobody is two.
        let _ = self.0.set(user.to_owned());
    }
}

/// Writes a line for a request that has changed something.
pub(super) async fn note(
    ConnectInfo(peer): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let is_change = |route: &&MatchedPath| !request.method().is_safe() && is_told(route.as_str());
    let Some(route) = route.filter(is_change).cloned() else {
        return next.run(request).await;
    };
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let vhost = vhost_of(&mut request).await;
    let sender = Sender::default();
    request.extensions_mut().insert(sender.clone());
    let response = next.run(request).await;
    if !response.status().is_success() {
        return response;
    }
    let (user, vhost) = (sender.0.get().map(display), vhost.as_ref().map(display));
    // Who comes by the socket in the data directory has no address.
    let from = (!peer.is_owner).then(|| display(peer.address));
    if adds(&method, route.as_str()) {
        tracing::debug!(user, vhost, from, "{method} {path}");
    } else {
        tracing::info!(user, vhost, from, "{method} {path}");
    }
    response
}

fn is_told(route: &str) -> bool {
    !route.contains("/messages/") && !TOLD_ELSEWHERE.iter().any(|end| route.ends_with(end))
}

/// What AMQP's clients do all the time, too: there may be very many of these.
fn adds(method: &Method, route: &str) -> bool {
    let kind = route.split('/').nth(2).unwrap_or_default();
    *method != Method::DELETE && matches!(kind, "queues" | "exchanges" | "bindings")
}

async fn vhost_of(request: &mut Request) -> Option<String> {
    let names = request.extract_parts::<RawPathParams>().await.ok()?;
    let vhost = names.iter().find(|(name, _)| *name == "vhost");
    vhost.map(|(_, vhost)| vhost.to_owned())
}
