//! Who somebody is, and whom to ask what they may do.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Somebody who has logged in.
#[derive(Clone)]
pub struct Identity {
    /// The name of the user.
    pub user: String,
    /// The user's tags.
    pub tags: Vec<String>,
    /// Who is asked what the user may do. All of them must agree.
    pub authorities: Vec<Arc<dyn Authority>>,
    /// When all this ends, ms since 1970.
    pub expires: Option<u64>,
}

/// The tag of users who may put any name into a message's user-id.
const IMPERSONATOR: &str = "impersonator";

/// Who decides what one user may do.
pub trait Authority: Send + Sync {
    /// Whether the user may connect to a virtual host, from an address.
    fn vhost(&self, vhost: &str, from: IpAddr) -> Answer;

    /// Whether the user may do something with a queue or an exchange.
    fn resource(&self, vhost: &str, resource: Resource<'_>, permission: Kind) -> Answer;

    /// Whether the user may use a topic exchange with a routing key.
    fn topic(&self, vhost: &str, topic: Topic<'_>, permission: Kind) -> Answer;

    /// Whether it may take a while to answer.
    fn is_slow(&self) -> bool {
        false
    }

    /// Takes a newer proof of who the user is, by the time in ms since 1970. `None`: there is nothing to
    /// renew.
    fn renewed(&self, _secret: &super::password::Secret, _now: u64) -> Option<Renewed> {
        None
    }
}

/// An authority by a newer proof, and what that says of the user; or why it is none.
pub type Renewed = Result<(Arc<dyn Authority>, Vec<String>, Option<u64>), String>;

/// What an authority says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Allow,
    /// No.
    Deny,
    /// It can't tell, which counts as no: its name, and why.
    Error(&'static str, String),
}

impl Answer {
    /// A refusal's text, with what the authority could not do.
    pub fn explain(&self, text: String) -> String {
        match self {
            Self::Error(name, why) => format!("{text}, backend {name} returned an error: {why}"),
            _ => text,
        }
    }
}

impl From<bool> for Answer {
    fn from(allow: bool) -> Self {
        if allow { Self::Allow } else { Self::Deny }
    }
}

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Declare and delete.
    Configure,
    /// Publish to, and bind.
    Write,
    /// Consume, and bind to.
    Read,
}

impl Kind {
    /// RabbitMQ's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Configure => "configure",
            Self::Write => "write",
            Self::Read => "read",
        }
    }
}

/// Something that permissions are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource<'a> {
    /// An exchange.
    Exchange(&'a str),
    /// A queue.
    Queue(&'a str),
}

impl<'a> Resource<'a> {
    /// RabbitMQ's word for the kind of thing that it is.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Exchange(_) => "exchange",
            Self::Queue(_) => "queue",
        }
    }

    /// The name that patterns are compared with. The default exchange has one for this.
    pub fn name(self) -> &'a str {
        match self {
            Self::Exchange("") => "amq.default",
            Self::Exchange(name) | Self::Queue(name) => name,
        }
    }
}

/// A routing key at a topic exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic<'a> {
    /// The exchange.
    pub exchange: &'a str,
    /// The routing key.
    pub key: &'a str,
}

impl Identity {
    /// Whether the user may put any name into a message's user-id.
    pub fn is_impersonator(&self) -> bool {
        self.tags.iter().any(|tag| tag == IMPERSONATOR)
    }

    /// Whether asking may take a while.
    pub fn is_slow(&self) -> bool {
        self.authorities.iter().any(|authority| authority.is_slow())
    }

    /// What all authorities say together: the first that does not allow it counts. Without any it is no.
    pub fn ask(&self, question: impl Fn(&dyn Authority) -> Answer) -> Answer {
        let mut answers = self.authorities.iter().map(|authority| question(&**authority));
        let refused = answers.find(|answer| *answer != Answer::Allow);
        refused.unwrap_or(Answer::from(!self.authorities.is_empty()))
    }

    /// Renews what can be renewed.
    ///
    /// # Errors
    /// Why the newer proof is none.
    pub fn renew(&mut self, secret: &super::password::Secret, now: u64) -> Result<(), String> {
        let mut next = self.clone();
        for authority in &mut next.authorities {
            if let Some(renewed) = authority.renewed(secret, now) {
                let (newer, tags, expires) = renewed?;
                (*authority, next.tags, next.expires) = (newer, tags, expires);
            }
        }
        *self = next;
        Ok(())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, tags, expires, .. } = self;
        f.debug_struct("Identity")
            .field("user", user)
            .field("tags", tags)
            .field("expires", expires)
            .finish_non_exhaustive()
    }
}
