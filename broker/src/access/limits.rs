//! How much users may have open at a time, and how much they have.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// How much a user may have open at a time; `None`: any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct UserLimits {
    /// Connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u64>,
    /// Channels of all of them together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_channels: Option<u64>,
}

/// What the users of the broker have open, and how much that may be.
#[derive(Debug, Default)]
pub struct Usage(DashMap<String, Arc<UserUse>>);

/// What one of them has open.
#[derive(Debug, Default)]
struct UserUse {
    limits: Mutex<UserLimits>,
    connections: AtomicU64,
    channels: AtomicU64,
}

impl Usage {
    /// From now on a user may have so much; what is open stays.
    pub fn set_limits(&self, user: &str, limits: UserLimits) {
        *self.0.entry(user.to_owned()).or_default().limits.lock() = limits;
        self.forget(user);
    }

    /// One more connection of a user, unless that is more than the number returned.
    pub(crate) fn connect(self: &Arc<Self>, user: &str) -> Result<Open, u64> {
        // The entry is locked until this one is counted.
        let open = self.0.entry(user.to_owned()).or_default();
        match open.limits.lock().max_connections {
            Some(max) if open.connections.load(Ordering::Relaxed) >= max => Err(max),
            _ => {
                open.connections.fetch_add(1, Ordering::Relaxed);
                let (usage, user) = (self.clone(), user.to_owned());
                Ok(Open { usage, user, of_user: open.clone() })
            }
        }
    }

    /// How many connections and channels a user has.
    pub fn of(&self, user: &str) -> (u64, u64) {
        self.0.get(user).map_or((0, 0), |open| {
            (open.connections.load(Ordering::Relaxed), open.channels.load(Ordering::Relaxed))
        })
    }

    /// Of users without limits only those are kept that have something open.
    fn forget(&self, user: &str) {
        self.0.remove_if(user, |_, open| {
            open.connections.load(Ordering::Relaxed) == 0
                && *open.limits.lock() == UserLimits::default()
        });
    }
}

/// A connection of a user, counted for as long as this is kept.
#[derive(Debug)]
pub(crate) struct Open {
    usage: Arc<Usage>,
    user: String,
    of_user: Arc<UserUse>,
}

impl Open {
    /// One more channel, unless that is more than the number returned.
    pub(crate) fn open_channel(&self) -> Result<(), u64> {
        let max = self.of_user.limits.lock().max_channels;
        let one_more = |open| (max.is_none_or(|max| open < max)).then_some(open + 1);
        let channels = &self.of_user.channels;
        let counted = channels.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        counted.map(drop).map_err(|_| max.unwrap_or_default())
    }

    /// A channel is gone.
    pub(crate) fn close_channel(&self) {
        self.of_user.channels.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.of_user.connections.fetch_sub(1, Ordering::Relaxed);
        self.usage.forget(&self.user);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_no_more_than_they_may() {
        let usage = Arc::new(Usage::default());
        usage.set_limits("u", UserLimits { max_connections: Some(2), max_channels: Some(1) });
        let (one, two) = (usage.connect("u").unwrap(), usage.connect("u").unwrap());
        assert_eq!(usage.connect("u").unwrap_err(), 2);
        assert_eq!((one.open_channel(), two.open_channel()), (Ok(()), Err(1)));
        assert_eq!(usage.of("u"), (2, 1));
        one.close_channel();
        assert_eq!(two.open_channel(), Ok(()));
        drop(one);
        assert!(usage.connect("u").is_ok() && usage.connect("other").is_ok());
        usage.set_limits("u", UserLimits { max_connections: Some(0), max_channels: None });
        assert_eq!(usage.connect("u").unwrap_err(), 0);
    }

    #[test]
    fn users_without_limits_are_kept_no_longer_than_they_are_here() {
        let usage = Arc::new(Usage::default());
        let here = usage.connect("u").unwrap();
        usage.set_limits("v", UserLimits { max_connections: Some(1), max_channels: None });
        assert_eq!(usage.0.len(), 2);
        drop(here);
        usage.set_limits("v", UserLimits::default());
        assert!(usage.0.is_empty());
    }
}
