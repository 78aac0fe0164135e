//! Scopes: `read:vhost/name` or `write:vhost/name/routing-key`, each part with `*` for any text and %-codes,
//! or a regular expression of all of a name; `{vhost}` stands for the virtual host that somebody is in.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::access::user::Pattern as Regex;
use crate::access::{Kind, Topic};
use crate::config::oauth2::ScopeSyntax;

/// The variable that is the virtual host.
pub const VHOST: &str = "vhost";

/// What somebody may do.
pub struct Scopes {
    syntax: ScopeSyntax,
    fixed: Vec<Scope>,
    /// Those that say something else in each virtual host.
    varying: Vec<String>,
}

struct Scope {
    kind: Kind,
    vhost: Pattern,
    name: Pattern,
    key: Option<Pattern>,
}

enum Pattern {
    Wildcard(Wildcard),
    Regex(Regex),
}

impl Scopes {
    /// Reads scopes; those that say something else count for nothing.
    pub fn parse(scopes: &[String], syntax: ScopeSyntax) -> Self {
        let varies = |scope: &&String| scope.contains("{vhost}");
        let (varying, fixed): (Vec<&String>, Vec<&String>) = scopes.iter().partition(varies);
        let fixed = fixed.into_iter().filter_map(|scope| Scope::parse(scope, syntax)).collect();
        Self { syntax, fixed, varying: varying.into_iter().cloned().collect() }
    }

    fn any(&self, vhost: &str, allows: impl Fn(&Scope) -> bool) -> bool {
        let here = |scope: &String| {
            let variable = |name| (name == VHOST).then_some(vhost);
            Scope::parse(&fill(scope, self.syntax, variable), self.syntax)
        };
        self.fixed.iter().any(&allows)
            || self.varying.iter().filter_map(here).any(|scope| allows(&scope))
    }

    /// Whether anything may be done in a virtual host.
    pub fn vhost(&self, vhost: &str) -> bool {
        self.any(vhost, |scope| scope.vhost.matches(vhost))
    }

    /// Whether something may be done with a queue or an exchange.
    pub fn resource(&self, vhost: &str, name: &str, kind: Kind) -> bool {
        let allows = |scope: &Scope| {
            scope.kind == kind && scope.vhost.matches(vhost) && scope.name.matches(name)
        };
        self.any(vhost, allows)
    }

    /// Whether a topic exchange may be used with a routing key: only by scopes that say with which.
    pub fn topic(&self, vhost: &str, topic: Topic<'_>, kind: Kind) -> bool {
        let allows = |scope: &Scope| {
            scope.kind == kind
                && scope.vhost.matches(vhost)
                && scope.name.matches(topic.exchange)
                && scope.key.as_ref().is_some_and(|key| key.matches(topic.key))
        };
        self.any(vhost, allows)
    }
}

impl Scope {
    fn parse(scope: &str, syntax: ScopeSyntax) -> Option<Self> {
        let (kind, rest) = scope.split_once(':')?;
        let kind = match kind {
            "configure" => Kind::Configure,
            "write" => Kind::Write,
            "read" => Kind::Read,
            _ => return None,
        };
        let mut parts = rest.split('/').map(|part| Pattern::parse(part, syntax));
        let (vhost, name, key) = (parts.next()??, parts.next()??, parts.next());
        let key = match key {
            Some(key) => Some(key?),
            None => None,
        };
        parts.next().is_none().then_some(Self { kind, vhost, name, key })
    }
}

impl Pattern {
    fn parse(text: &str, syntax: ScopeSyntax) -> Option<Self> {
        if syntax == ScopeSyntax::Wildcard {
            return Some(Self::Wildcard(Wildcard::parse(text)));
        }
        match Regex::whole(text) {
            Ok(regex) => Some(Self::Regex(regex)),
            Err(error) => {
                tracing::warn!("a scope counts for nothing: {error}");
                None
            }
        }
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Wildcard(wildcard) => wildcard.matches(text),
            Self::Regex(regex) => regex.allows(text),
        }
    }
}

/// What any text matches.
pub fn any(syntax: ScopeSyntax) -> &'static str {
    match syntax {
        ScopeSyntax::Wildcard => "*",
        ScopeSyntax::Regex => ".*",
    }
}

/// Puts in what variables (`{name}`) stand for, so that nothing in it is special in a scope. `None`: the
/// variable stays.
pub fn fill<'a>(
    scope: &'a str,
    syntax: ScopeSyntax,
    value: impl Fn(&'a str) -> Option<&'a str>,
) -> String {
    let mut filled = String::with_capacity(scope.len());
    let mut rest = scope;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { break };
        filled.push_str(before);
        match value(name) {
            Some(value) if syntax == ScopeSyntax::Regex => {
                filled += &regex::escape(value).replace('/', "\\x2F");
            }
            Some(value) => filled.extend(utf8_percent_encode(value, NON_ALPHANUMERIC)),
            None => filled.extend(["{", name, "}"]),
        }
        rest = after;
    }
    filled + rest
}

/// A text in which `*` stands for any text.
pub struct Wildcard(Vec<Vec<u8>>);

impl Wildcard {
    /// Reads one; `%2A` is a `*` that stands for itself.
    pub fn parse(text: &str) -> Self {
        let part = |part: &str| percent_decode_str(&part.replace('+', " ")).collect();
        Self(text.split('*').map(part).collect())
    }

    /// The parts stand in the text in their order, the first and the last one at its ends.
    pub fn matches(&self, text: &str) -> bool {
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
