//! May this be done? The question before a method is carried out, in RabbitMQ's words.

use super::Session;
use crate::access::password::Secret;
use crate::access::{Answer, Authority, Kind, Resource, Topic};
use crate::error::Refusal;

/// Answers that are remembered.
const REMEMBERED: usize = 12;

/// What the user was allowed lately, valid for one version of users and permissions.
#[derive(Debug, Default)]
pub struct Allowed {
    version: u64,
    /// The oldest first.
    list: Vec<Permit>,
}

/// Something that was allowed.
#[derive(Debug, PartialEq, Eq)]
struct Permit {
    is_queue: bool,
    name: String,
    /// The routing key at a topic exchange.
    key: Option<String>,
    kind: Kind,
}

impl Permit {
    fn is(&self, resource: Resource<'_>, key: Option<&str>, kind: Kind) -> bool {
        self.kind == kind
            && self.is_queue == matches!(resource, Resource::Queue(_))
            && self.name == resource.name()
            && self.key.as_deref() == key
    }
}

impl Session {
    /// Whether the user may do something with a queue or an exchange.
    pub(super) fn permit(&mut self, resource: Resource<'_>, kind: Kind) -> Result<(), Refusal> {
        let vhost = self.peer.vhost.name.clone();
        let ask = |authority: &dyn Authority| authority.resource(&vhost, resource, kind);
        self.allowed(resource, None, kind, ask, || {
            let (what, name) = (resource.kind(), resource.name());
            format!("access to {what} '{name}' in vhost '{vhost}'")
        })
    }

    /// Whether the user may use a topic exchange with a routing key.
    pub(super) fn permit_topic(&mut self, topic: Topic<'_>, kind: Kind) -> Result<(), Refusal> {
        let vhost = self.peer.vhost.name.clone();
        let ask = |authority: &dyn Authority| authority.topic(&vhost, topic, kind);
        self.allowed(Resource::Exchange(topic.exchange), Some(topic.key), kind, ask, || {
            let Topic { exchange, key } = topic;
            format!("access to topic '{key}' in exchange '{exchange}' in vhost '{vhost}'")
        })
    }

    /// Takes a newer proof of who the user is; returns when it ends, ms since 1970.
    pub fn renew(&mut self, secret: &Secret, now: u64) -> Result<Option<u64>, String> {
        self.peer.identity.renew(secret, now)?;
        self.allowed = Allowed::default();
        for channel in self.channels.iter_mut().flatten() {
            channel.route.route.clear();
        }
        Ok(self.peer.identity.expires)
    }

    fn allowed(
        &mut self,
        resource: Resource<'_>,
        key: Option<&str>,
        kind: Kind,
        ask: impl Fn(&dyn Authority) -> Answer,
        what: impl Fn() -> String,
    ) -> Result<(), Refusal> {
        let version = self.peer.node.access().version();
        if self.allowed.version != version {
            (self.allowed.version, self.allowed.list) = (version, Vec::new());
        }
        let list = &mut self.allowed.list;
        if list.iter().any(|permit| permit.is(resource, key, kind)) {
            return Ok(());
        }
        match self.peer.identity.ask(ask) {
            Answer::Allow => {
                if list.len() == REMEMBERED {
                    list.remove(0);
                }
                list.push(Permit {
                    is_queue: matches!(resource, Resource::Queue(_)),
                    name: resource.name().to_owned(),
                    key: key.map(str::to_owned),
                    kind,
                });
                Ok(())
            }
            refused => {
                let text = format!("{} refused for user '{}'", what(), self.peer.user);
                Err(Refusal::access(refused.explain(text)))
            }
        }
    }
}
