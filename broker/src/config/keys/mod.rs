//! The keys that there are: how each is read, what it sets, whether that can change while the broker
//! runs.

mod access;
mod definitions;
mod ignored;
mod limits;
mod log;
mod management;
mod network;
mod oauth2;
mod rows;
mod tls;

use std::borrow::Cow;
use std::sync::LazyLock;

use super::Config;
use super::value::Reader;

/// The words that stand where a pattern has `$name`, in order.
pub type Names<'a> = [Cow<'a, str>];

type Apply = Box<dyn Fn(&mut Config, &Names<'_>, &str) -> bool + Send + Sync>;

/// A key, or a family of keys.
pub struct Key {
    /// Words with dots between them. `$name` is any one word, `$n` a number, `$$name` one word or
    /// more, `**` all words that follow.
    pub pattern: Cow<'static, str>,
    /// What its value may be.
    pub allowed: Cow<'static, str>,
    /// What holds if it is not there, as it would be written; empty: nothing.
    pub default: &'static str,
    /// What it sets, or why it is ignored.
    pub means: Cow<'static, str>,
    /// Whether a change counts without a restart.
    pub live: bool,
    /// Whether its value is nobody's business.
    pub secret: bool,
    /// Whether it is one of the command line and the environment only.
    pub outside: bool,
    apply: Option<Apply>,
}

/// A key that sets something. `apply` is given what `$name` stands for, and the value.
fn set<T: 'static>(
    pattern: impl Into<Cow<'static, str>>,
    reader: Reader<T>,
    default: &'static str,
    means: impl Into<Cow<'static, str>>,
    apply: fn(&mut Config, &Names<'_>, T),
) -> Key {
    let allowed = reader.allowed.clone();
    let apply = move |config: &mut Config, names: &Names<'_>, value: &str| {
        reader.read(value).map(|value| apply(config, names, value)).is_some()
    };
    let (pattern, means) = (pattern.into(), means.into());
    let (live, secret, outside) = (false, false, false);
    Key { pattern, allowed, default, means, live, secret, outside, apply: Some(Box::new(apply)) }
}

/// Rows `pattern, default, reader, meaning, flags => what it sets;` of the table.
macro_rules! keys {
    ($($pattern:expr, $default:literal, $reader:expr, $means:expr $(, $flag:ident)* => $apply:expr;)*) => {
        vec![$($crate::config::keys::set($pattern, $reader, $default, $means, $apply)$(.$flag())*),*]
    };
}
use keys;

/// A key of RabbitMQ's that sets nothing here.
fn ignored(pattern: &'static str, why: &'static str) -> Key {
    let (pattern, allowed) = (pattern.into(), "anything".into());
    let (live, secret, outside) = (false, false, false);
    Key { pattern, allowed, default: "", means: why.into(), live, secret, outside, apply: None }
}

impl Key {
    fn live(self) -> Self {
        Self { live: true, ..self }
    }

    fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    fn outside(self) -> Self {
        Self { outside: true, ..self }
    }

    /// Whether it sets nothing.
    pub fn is_ignored(&self) -> bool {
        self.apply.is_none()
    }

    /// Whether it stands for one key only.
    pub fn is_single(&self) -> bool {
        !self.pattern.contains(['$', '*'])
    }

    /// What `$name` stands for if this is the key.
    fn names<'a>(&self, key: &'a [String]) -> Option<Vec<Cow<'a, str>>> {
        let mut names = Vec::new();
        let mut rest = key;
        let mut parts = self.pattern.split('.');
        while let Some(part) = parts.next() {
            let (word, after) = rest.split_first()?;
            let number = || word.bytes().all(|octet| octet.is_ascii_digit());
            rest = after;
            match part {
                "**" => return Some(names),
                "$n" if number() => names.push(word.into()),
                "$n" => return None,
                _ if part.starts_with("$$") => {
                    let more = after.len().checked_sub(parts.clone().count())?;
                    let (words, after) =
                        key.get(key.len() - rest.len() - 1..)?.split_at_checked(1 + more)?;
                    names.push(words.join(".").into());
                    rest = after;
                }
                _ if part.starts_with('$') => names.push(word.into()),
                _ if part == word => {}
                _ => return None,
            }
        }
        rest.is_empty().then_some(names)
    }

    /// Sets what it sets. `false`: the value is not allowed.
    pub fn apply(&self, config: &mut Config, key: &[String], value: &str) -> bool {
        match (&self.apply, self.names(key)) {
            (Some(apply), Some(names)) => apply(config, &names, value),
            _ => true,
        }
    }
}

/// All keys. Of two of one source the later one in this table holds where they contradict each other.
pub fn all() -> &'static [Key] {
    static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
        [
            network::keys(),
            limits::keys(),
            access::keys(),
            oauth2::keys(),
            definitions::keys(),
            management::keys(),
            log::keys(),
            ignored::keys(),
        ]
        .into_iter()
        .flatten()
        .collect()
    });
    &KEYS
}

/// The place in [`all`] of the key that these words are; a key that is named before a family.
pub fn find(words: &[String]) -> Option<usize> {
    let matches = || all().iter().enumerate().filter(|(_, key)| key.names(words).is_some());
    let single = matches().find(|(_, key)| key.is_single());
    single.or_else(|| matches().next()).map(|(place, _)| place)
}

/// A key that is written almost like this one, or has a word more.
pub fn nearest(written: &str) -> Option<&'static str> {
    let keys = || all().iter().filter(|key| !key.outside && !key.pattern.ends_with("**"));
    let goes_on =
        |key: &&Key| key.pattern.strip_prefix(written).is_some_and(|rest| rest.starts_with('.'));
    if let Some(longer) = keys().find(|key| goes_on(key) && !key.is_ignored()) {
        return Some(&longer.pattern);
    }
    let alike =
        keys().map(|key| (strsim::damerau_levenshtein(written, &key.pattern), &*key.pattern));
    let near = alike.min_by_key(|(distance, _)| *distance);
    near.filter(|(distance, _)| *distance <= written.len().max(6) / 3).map(|(_, key)| key)
}
