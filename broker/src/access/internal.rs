//! The broker's own users and permissions as an authority.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Access, Answer, Authority, Granted, Kind, Resource, Topic};

/// Answers for one user by what operators have set.
pub struct Internal {
    /// Where that is.
    pub access: Arc<Access>,
    /// The user.
    pub user: String,
}

impl Internal {
    /// What is granted in a virtual host, if anything is.
    fn granted(&self, vhost: &str, allows: impl FnOnce(&Granted) -> bool) -> Option<bool> {
        let state = self.access.state.read();
        state.users.get(&self.user)?.granted.get(vhost).map(allows)
    }
}

impl Authority for Internal {
    fn vhost(&self, vhost: &str, _from: IpAddr) -> Answer {
        self.granted(vhost, |granted| granted.permission.is_some()).unwrap_or(false).into()
    }

    fn resource(&self, vhost: &str, resource: Resource<'_>, kind: Kind) -> Answer {
        let allows = |granted: &Granted| {
            let permission = granted.permission.as_ref();
            permission.is_some_and(|permission| permission.allows(kind, resource.name()))
        };
        self.granted(vhost, allows).unwrap_or(false).into()
    }

    /// Where nothing is set for an exchange, every key is fine.
    fn topic(&self, vhost: &str, topic: Topic<'_>, kind: Kind) -> Answer {
        let allows = |granted: &Granted| {
            let set = granted.topics.get(topic.exchange);
            set.is_none_or(|permission| permission.allows(kind, topic.key))
        };
        self.granted(vhost, allows).unwrap_or(true).into()
    }
}
