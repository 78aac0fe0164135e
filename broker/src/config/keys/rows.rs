//! Keys that several families have alike.

use super::{Apply, Config, Key, Names};
use crate::config::value::Reader;

/// The part of the configuration that a family sets; the names are those of its whole key.
pub(super) type Of<S> = for<'a> fn(&'a mut Config, &Names<'_>) -> &'a mut S;

/// A family.
pub(super) struct Rows<S> {
    /// What its keys begin with.
    pub prefix: &'static str,
    /// What stands before the meanings of its keys, if anything.
    pub whose: &'static str,
    pub of: Of<S>,
}

impl<S: 'static> Rows<S> {
    /// One of its keys.
    pub fn key<T: 'static>(
        &self,
        name: &str,
        reader: Reader<T>,
        means: &str,
        apply: fn(&mut S, &Names<'_>, T),
    ) -> Key {
        let of = self.of;
        let allowed = reader.allowed.clone();
        let apply: Apply = Box::new(move |config, names, value| {
            reader.read(value).map(|value| apply(of(config, names), names, value)).is_some()
        });
        let means = match self.whose {
            "" => means.to_owned(),
            whose => format!("{whose}: {means}"),
        };
        Key {
            pattern: format!("{}.{name}", self.prefix).into(),
            allowed,
            default: "",
            means: means.into(),
            live: false,
            secret: false,
            outside: false,
            apply: Some(apply),
        }
    }
}
