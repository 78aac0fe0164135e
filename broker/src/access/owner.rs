//! Who runs the broker: may do everything, and is no user.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Answer, Authority, Identity, Kind, Resource, Topic};

/// What events call the one who runs the broker, as RabbitMQ calls its own command line.
const NAME: &str = "rmq-cli";

struct Owner;

impl Authority for Owner {
    fn vhost(&self, _: &str, _: IpAddr) -> Answer {
        Answer::Allow
    }

    fn resource(&self, _: &str, _: Resource<'_>, _: Kind) -> Answer {
        Answer::Allow
    }

    fn topic(&self, _: &str, _: Topic<'_>, _: Kind) -> Answer {
        Answer::Allow
    }
}

impl Identity {
    /// Who runs the broker.
    pub fn of_owner() -> Self {
        Self {
            user: NAME.to_owned(),
            tags: vec!["administrator".to_owned()],
            authorities: vec![Arc::new(Owner)],
            expires: None,
        }
    }
}
