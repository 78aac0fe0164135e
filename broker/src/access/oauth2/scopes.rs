//! Scopes: `read:vhost/name` or `write:vhost/name/routing-key`, each part with `*` for any text and %-codes.

use percent_encoding::percent_decode_str;

use crate::access::{Kind, Topic};

/// What somebody may do.
pub struct Scopes(Vec<Scope>);

struct Scope {
    kind: Kind,
    vhost: Wildcard,
    name: Wildcard,
    key: Option<Wildcard>,
}

impl Scopes {
    /// Reads scopes; those that say something else count for nothing.
    pub fn parse(scopes: &[String]) -> Self {
        Self(scopes.iter().filter_map(|scope| Scope::parse(scope)).collect())
    }

    /// Whether anything may be done in a virtual host.
    pub fn vhost(&self, vhost: &str) -> bool {
        self.0.iter().any(|scope| scope.vhost.matches(vhost))
    }

    /// Whether something may be done with a queue or an exchange.
    pub fn resource(&self, vhost: &str, name: &str, kind: Kind) -> bool {
        let allows = |scope: &Scope| {
            scope.kind == kind && scope.vhost.matches(vhost) && scope.name.matches(name)
        };
        self.0.iter().any(allows)
    }

    /// Whether a topic exchange may be used with a routing key: only by scopes that say with which.
    pub fn topic(&self, vhost: &str, topic: Topic<'_>, kind: Kind) -> bool {
        let allows = |scope: &Scope| {
            scope.kind == kind
                && scope.vhost.matches(vhost)
                && scope.name.matches(topic.exchange)
                && scope.key.as_ref().is_some_and(|key| key.matches(topic.key))
        };
        self.0.iter().any(allows)
    }
}

impl Scope {
    fn parse(scope: &str) -> Option<Self> {
        let (kind, rest) = scope.split_once(':')?;
        let kind = match kind {
            "configure" => Kind::Configure,
            "write" => Kind::Write,
            "read" => Kind::Read,
            _ => return None,
        };
        let mut parts = rest.split('/').map(Wildcard::parse);
        let (vhost, name, key) = (parts.next()?, parts.next()?, parts.next());
        parts.next().is_none().then_some(Self { kind, vhost, name, key })
    }
}

/// A text in which `*` stands for any text.
struct Wildcard(Vec<Vec<u8>>);

impl Wildcard {
    fn parse(text: &str) -> Self {
        let part = |part: &str| percent_decode_str(&part.replace('+', " ")).collect();
        Self(text.split('*').map(part).collect())
    }

    /// The parts stand in the text in their order, the first and the last one at its ends.
    fn matches(&self, text: &str) -> bool {
        let text = text.as_bytes();
        let [first, between @ .., last] = self.0.as_slice() else {
            return self.0.first().is_some_and(|only| only == text);
        };
        let Some(rest) = text.strip_prefix(first.as_slice()) else { return false };
        let Some(mut rest) = rest.strip_suffix(last.as_slice()) else { return false };
        for part in between {
            // The first place leaves the most for the others.
            let Some(at) = memchr::memmem::find(rest, part) else { return false };
            rest = rest.get(at + part.len()..).unwrap_or_default();
        }
        true
    }
}
