//! Users and what they may do, as operators set it.

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::limits::UserLimits;
use super::password::PasswordHash;

/// Octets that a pattern may have.
const PATTERN_MAX: usize = 4096;

/// Octets that a compiled pattern may have.
const COMPILED_MAX: usize = 1 << 20;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// Without one the user can't log in by a password.
    pub password: Option<PasswordHash>,
    /// What kind of user it is: `administrator`, `monitoring`, `policymaker`, `management`,
    /// `impersonator`, or anything else, which has no meaning here.
    pub tags: Vec<String>,
    /// How much the user may have open.
    pub limits: UserLimits,
}

/// What a user may do in a virtual host: patterns that the names of exchanges and queues are searched
/// with. An empty one is found in no name but the empty one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permission {
    /// The user.
    pub user: String,
    /// The virtual host.
    pub vhost: String,
    /// What may be declared and deleted.
    pub configure: String,
    /// What may be published to, and bound.
    pub write: String,
    /// What may be consumed, and bound to.
    pub read: String,
}

/// With which routing keys a user may use a topic exchange. `{username}` and `{vhost}` stand for the names
/// of both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicPermission {
    /// The user.
    pub user: String,
    /// The virtual host.
    pub vhost: String,
    /// The exchange.
    pub exchange: String,
    /// The keys of messages.
    pub write: String,
    /// The keys of bindings.
    pub read: String,
}

/// Why a user or a permission was not set.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SetError {
    /// There is no such user.
    #[error("no such user: '{0}'")]
    NoSuchUser(String),
    /// There is no such virtual host.
    #[error("no such virtual host: '{0}'")]
    NoSuchVhost(String),
    /// A password must not be used.
    #[error("{0}")]
    Password(String),
    /// A pattern can't be used.
    #[error("regular expression '{0}' is invalid: {1}")]
    InvalidPattern(String, String),
}

/// A pattern of a permission.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles one. The engine takes time in proportion to the length of a name, whatever the pattern.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str) -> Result<Self, SetError> {
        Self::of(text, if text.is_empty() { "^$" } else { text })
    }

    /// One that is not searched in names, but is for whole ones.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn whole(text: &str) -> Result<Self, SetError> {
        // Parentheses that are not its own must not make it something else.
        Self::new(text)?;
        Self::of(text, &format!(r"\A(?:{text})\z"))
    }

    fn of(text: &str, searched: &str) -> Result<Self, SetError> {
        let invalid = |why: &str| Err(SetError::InvalidPattern(text.to_owned(), why.to_owned()));
        if text.len() > PATTERN_MAX {
            return invalid("it is too long");
        }
        match RegexBuilder::new(searched).size_limit(COMPILED_MAX).build() {
            Ok(regex) => Ok(Self(regex)),
            Err(error) => invalid(error.to_string().lines().last().unwrap_or_default()),
        }
    }

    /// Whether a name may be used.
    pub fn allows(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}

impl TopicPermission {
    /// Puts the names in the place of `{username}` and `{vhost}`, as what they are and not as patterns.
    pub(super) fn expanded(&self, pattern: &str) -> String {
        pattern
            .replace("{username}", &regex::escape(&self.user))
            .replace("{vhost}", &regex::escape(&self.vhost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_found_anywhere_and_empty_ones_in_nothing() {
        let allows = |pattern: &str, name: &str| Pattern::new(pattern).unwrap().allows(name);
        assert!(allows(".*", "") && allows(".*", "any") && allows("b", "abc"));
        assert!(allows("", "") && !allows("", "a"));
        assert!(allows("^amq\\.gen-.*$", "amq.gen-x") && !allows("^amq\\.gen-.*$", "xamq.gen-x"));
        let whole = |pattern: &str, name: &str| Pattern::whole(pattern).unwrap().allows(name);
        assert!(whole("a|b", "b") && !whole("a|b", "ab") && whole("", "") && !whole("a", "a\n"));
        assert!(Pattern::whole("a)|(b").is_err());
    }

    #[test]
    fn names_that_stand_in_patterns_are_no_patterns() {
        let permission = TopicPermission {
            user: "a.c".into(),
            vhost: "/".into(),
            exchange: "amq.topic".into(),
            write: "^{username}-{vhost}$".into(),
            read: String::new(),
        };
        let pattern = Pattern::new(&permission.expanded(&permission.write)).unwrap();
        assert!(pattern.allows("a.c-/") && !pattern.allows("abc-/"));
    }

    #[test]
    fn patterns_that_would_cost_much_are_refused_or_cheap() {
        let name = "a".repeat(255) + "!";
        assert!(!Pattern::new("^(a+)+$").unwrap().allows(&name));
        for pattern in ["(", "(?=a)", &"a".repeat(PATTERN_MAX + 1), "((a{1000}){1000}){1000}"] {
            let error = Pattern::new(pattern).unwrap_err();
            assert!(error.to_string().contains("is invalid"), "{error}");
        }
    }
}
