//! Who asks, and what that one may ask.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::HeaderValue;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::task::block_in_place;
use tokio::time::sleep;

use super::changes::Sender;
use super::error::Fault;
use super::query::View;
use super::samples::Asked;
use super::{Admin, Port};
use crate::access::attempts::Protocol;
use crate::access::{Answer, Attempt, Identity, Kind, Resource, Topic};
use crate::config::management::RatesMode;
use crate::http::Peer;
use crate::node::Node;
use crate::reload::Running;
use crate::routing::ExchangeKind;
use crate::vhost::Vhost;

/// A request of somebody who may use the API at all, but for its path and body.
pub(super) struct Caller {
    admin: Arc<Admin>,
    identity: Identity,
    from: IpAddr,
    is_owner: bool,
    /// What of the answer is wanted.
    pub view: View,
}

/// What a user's tags allow, the least first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    /// What all who have any tag may see.
    Management,
    /// Policies and parameters.
    Policymaker,
    /// All that happens in the broker.
    Monitoring,
    /// All.
    Administrator,
}

impl Tag {
    const ALL: [Self; 4] =
        [Self::Management, Self::Policymaker, Self::Monitoring, Self::Administrator];

    fn name(self) -> &'static str {
        match self {
            Self::Management => "management",
            Self::Policymaker => "policymaker",
            Self::Monitoring => "monitoring",
            Self::Administrator => "administrator",
        }
    }

    /// Whether who has this one may do what the other one allows.
    fn allows(self, other: Self) -> bool {
        self == other || self == Self::Administrator || other == Self::Management
    }

    fn refusal(self) -> &'static str {
        match self {
            Self::Management => "Not management user",
            Self::Policymaker => "User not authorised to access object",
            Self::Monitoring => "Not monitor user",
            Self::Administrator => "Not administrator user",
        }
    }
}

impl FromRequestParts<Arc<Admin>> for Caller {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, admin: &Arc<Admin>) -> Result<Self, Fault> {
        let ConnectInfo(peer) = ConnectInfo::<Peer>::from_request_parts(parts, admin)
            .await
            .map_err(|_| Fault::no_login())?;
        let from = peer.address.ip();
        let identity = match parts.headers.get(AUTHORIZATION) {
            None if peer.is_owner => Identity::of_owner(),
            None => return Err(Fault::no_login()),
            Some(header) => {
                if !is_token(header) {
                    must_take_passwords(&admin.node)?;
                }
                let attempt = attempt(header.as_bytes()).ok_or_else(Fault::login_failed)?;
                log_in(&admin.node, &attempt, from).await?
            }
        };
        let rated = admin.node.config().management.rates_mode != RatesMode::None;
        let view = View::parse(parts.uri.query().unwrap_or_default())?.with_rates(rated);
        let is_owner = peer.is_owner;
        if let Some(sender) = parts.extensions.get::<Sender>() {
            sender.is(&identity.user);
        }
        let caller = Self { admin: admin.clone(), identity, from, is_owner, view };
        caller.must_be(Tag::Management)?;
        Ok(caller)
    }
}

/// What the header `Authorization` says: a user name and a password (Basic), or a token, which stands for
/// both (Bearer).
pub(super) fn attempt(header: &[u8]) -> Option<Attempt> {
    let (scheme, credentials) = str::from_utf8(header).ok()?.split_once(' ')?;
    let credentials = credentials.trim();
    if is_bearer(scheme) {
        let token = credentials.as_bytes().to_vec();
        return Some(Attempt { user: String::new(), password: Some(token.into()) });
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let credentials = STANDARD.decode(credentials).ok()?;
    let colon = credentials.iter().position(|octet| *octet == b':')?;
    let (user, password) = (credentials.get(..colon)?, credentials.get(colon + 1..)?);
    let user = String::from_utf8(user.to_vec()).ok()?;
    Some(Attempt { user, password: Some(password.to_vec().into()) })
}

/// Whether a header brings a token.
fn is_token(header: &HeaderValue) -> bool {
    let scheme = header.to_str().ok().and_then(|text| text.split(' ').next());
    scheme.is_some_and(is_bearer)
}

fn is_bearer(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("bearer")
}

/// Refuses passwords where only tokens are wanted.
pub(super) fn must_take_passwords(node: &Node) -> Result<(), Fault> {
    const WHY: &str = "HTTP access denied: basic auth disabled";
    if node.config().management.disable_basic_auth {
        tracing::warn!("{WHY}");
        return Err(Fault::not_authorised(WHY));
    }
    Ok(())
}

/// The same login as for AMQP, with the same answer that comes later and later to who guesses.
pub(super) async fn log_in(
    node: &Node,
    attempt: &Attempt,
    from: IpAddr,
) -> Result<Identity, Fault> {
    let config = Arc::clone(&node.config());
    let access = node.access();
    let judged = if access.is_slow(attempt) {
        let _judge = access.judges().acquire().await;
        block_in_place(|| access.log_in(&config, attempt, from))
    } else {
        access.log_in(&config, attempt, from)
    };
    access.attempts().note(Protocol::Http, judged.is_err());
    let wait = access.failures().note(from, &attempt.user, judged.is_err(), node.now_ms());
    if wait > 0 {
        sleep(Duration::from_millis(wait)).await;
    }
    judged.map_err(|refused| {
        tracing::warn!(%from, user = %attempt.user, "HTTP access denied: {}", refused.0);
        match refused.0.ends_with("can only connect via localhost") {
            true => Fault::not_authorised("User can only log in via localhost"),
            false => Fault::login_failed(),
        }
    })
}

/// Refuses who may not see what happens in the broker.
pub(crate) async fn must_monitor(
    node: &Arc<Node>,
    login: Option<&HeaderValue>,
    from: IpAddr,
) -> Result<(), Response> {
    let judged = async {
        let attempt = login.map(|header| attempt(header.as_bytes())).ok_or_else(Fault::no_login)?;
        let attempt = attempt.ok_or_else(Fault::login_failed)?;
        let identity = log_in(node, &attempt, from).await?;
        match allows(&identity, Tag::Monitoring) {
            true => Ok(()),
            false => Err(Fault::not_authorised(Tag::Monitoring.refusal())),
        }
    };
    judged.await.map_err(Fault::into_response)
}

/// Whether a user's tags allow something.
fn allows(identity: &Identity, tag: Tag) -> bool {
    let tags = identity.tags.iter();
    let known = tags.filter_map(|name| Tag::ALL.into_iter().find(|tag| tag.name() == name));
    known.into_iter().any(|own| own.allows(tag))
}

impl Caller {
    /// The broker.
    pub fn node(&self) -> &Arc<Node> {
        &self.admin.node
    }

    /// Since when there are answers.
    pub fn uptime(&self) -> Duration {
        self.admin.started.elapsed()
    }

    /// Where the broker listens.
    pub fn ports(&self) -> &[Port] {
        &self.admin.ports
    }

    /// What the broker runs with.
    pub fn running(&self) -> &Running {
        &self.admin.running
    }

    /// Refuses who does not run the broker.
    pub fn must_be_owner(&self) -> Result<(), Fault> {
        match self.is_owner {
            true => self.must_be(Tag::Administrator),
            false => Err(Fault::not_authorised("Only by the socket in the data directory")),
        }
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The user's name.
    pub fn user(&self) -> &str {
        &self.identity.user
    }

    /// The user's tags.
    pub fn tags(&self) -> &[String] {
        &self.identity.tags
    }

    /// Whether the user's tags allow something.
    pub fn is(&self, tag: Tag) -> bool {
        allows(&self.identity, tag)
    }

    /// Refuses users whose tags do not allow it.
    pub fn must_be(&self, tag: Tag) -> Result<(), Fault> {
        if self.is(tag) { Ok(()) } else { Err(Fault::not_authorised(tag.refusal())) }
    }

    /// The times that numbers are wanted of.
    pub fn asked(&self) -> Asked {
        Asked { ages: self.view.ages(), now: self.node().now_ms() }
    }

    /// Whether what is counted is to be left out.
    pub fn leaves_out_stats(&self) -> bool {
        self.view.flag("disable_stats") || self.node().config().management.disable_stats
    }

    /// Whether queues are to say what they have even so.
    pub fn wants_queue_totals(&self) -> bool {
        self.view.flag("enable_queue_totals") || self.node().config().management.enable_queue_totals
    }

    /// A virtual host that the user may use.
    pub fn vhost(&self, name: &str) -> Result<Arc<Vhost>, Fault> {
        let vhost = self.node().vhost(name).ok_or_else(Fault::unknown)?;
        match self.may_enter(&vhost) {
            true => Ok(vhost),
            false => Err(Fault::not_authorised("User not authorised to access virtual host")),
        }
    }

    /// The same, for changes, which say what is missing.
    pub fn vhost_to_change(&self, name: &str) -> Result<Arc<Vhost>, Fault> {
        self.node().vhost(name).ok_or_else(|| Fault::not_found("vhost_not_found"))?;
        self.vhost(name)
    }

    /// The virtual hosts that the user may use.
    pub fn vhosts(&self) -> Vec<Arc<Vhost>> {
        let mut vhosts = self.node().vhosts();
        vhosts.retain(|vhost| self.may_enter(vhost));
        vhosts
    }

    fn may_enter(&self, vhost: &Vhost) -> bool {
        self.ask(|identity| identity.ask(|authority| authority.vhost(&vhost.name, self.from)))
            == Answer::Allow
    }

    /// Whether the user may do something with a queue or an exchange.
    pub fn permit(&self, vhost: &str, on: Resource<'_>, kind: Kind) -> Result<(), Fault> {
        self.permitted(
            self.ask(|identity| identity.ask(|authority| authority.resource(vhost, on, kind))),
        )
    }

    /// Whether the user may use an exchange with a routing key, if it looks at the words of that.
    pub fn permit_topic(&self, vhost: &Vhost, topic: Topic<'_>, kind: Kind) -> Result<(), Fault> {
        let found =
            |exchange: &crate::topology::Exchange| exchange.spec.kind == ExchangeKind::Topic;
        if !vhost.read(|topology| topology.exchange(topic.exchange).is_ok_and(found)) {
            return Ok(());
        }
        self.permitted(
            self.ask(|identity| {
                identity.ask(|authority| authority.topic(&vhost.name, topic, kind))
            }),
        )
    }

    fn permitted(&self, answer: Answer) -> Result<(), Fault> {
        match answer {
            Answer::Allow => Ok(()),
            _ => Err(Fault::not_authorised("Access refused.")),
        }
    }

    fn ask(&self, question: impl FnOnce(&Identity) -> Answer) -> Answer {
        if self.identity.is_slow() {
            block_in_place(|| question(&self.identity))
        } else {
            question(&self.identity)
        }
    }
}
