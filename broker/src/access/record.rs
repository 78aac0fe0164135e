//! Users and permissions as keys and values of the catalog: JSON, with the names of RabbitMQ's definitions.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::limits::UserLimits;
use super::password::{Algorithm, PasswordHash};
use super::user::{Permission, TopicPermission, User};
use crate::declared::Change;

/// The version of the values.
const VERSION: u8 = 1;

/// Something that survives a restart.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// The first users were made once, and are not made again if all are deleted.
    AccessSet {
        /// The version of the value.
        v: u8,
    },
    /// A user.
    User {
        /// The version of the value.
        v: u8,
        /// Who it is.
        #[serde(flatten)]
        user: StoredUser,
    },
    /// What a user may do in a virtual host.
    Permission {
        /// The version of the value.
        v: u8,
        /// What it is.
        #[serde(flatten)]
        permission: Permission,
    },
    /// With which keys a user may use a topic exchange.
    TopicPermission {
        /// The version of the value.
        v: u8,
        /// What it is.
        #[serde(flatten)]
        permission: TopicPermission,
    },
}

/// First octets of keys, which no other records have.
const READY: u8 = b'A';
const USER: u8 = b'U';
const PERMISSION: u8 = b'P';
const TOPIC_PERMISSION: u8 = b'T';

/// Whether a key of the catalog is one of those here.
pub fn is_key(key: &[u8]) -> bool {
    matches!(key.first(), Some(&(READY | USER | PERMISSION | TOPIC_PERMISSION)))
}

/// A user with all that is kept.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredUser {
    name: String,
    /// In base64; none: no password.
    password_hash: Option<String>,
    hashing_algorithm: String,
    tags: Vec<String>,
    #[serde(default)]
    limits: UserLimits,
}

impl From<&User> for StoredUser {
    fn from(user: &User) -> Self {
        let password = user.password.as_ref();
        let algorithm = password.map(|hash| hash.algorithm).unwrap_or_default();
        Self {
            name: user.name.clone(),
            password_hash: password.map(PasswordHash::encode),
            hashing_algorithm: algorithm.name().to_owned(),
            tags: user.tags.clone(),
            limits: user.limits,
        }
    }
}

impl TryFrom<StoredUser> for User {
    type Error = String;

    fn try_from(stored: StoredUser) -> Result<Self, String> {
        let StoredUser { name, password_hash, hashing_algorithm, tags, limits } = stored;
        let algorithm = Algorithm::parse(&hashing_algorithm);
        let algorithm = algorithm.ok_or_else(|| format!("unknown hash {hashing_algorithm}"))?;
        let hash = password_hash.map(|text| PasswordHash::decode(algorithm, &text));
        Ok(Self { name, password: hash.transpose()?, tags, limits })
    }
}

impl Record {
    /// Reads a value.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(value: &[u8]) -> Result<Self, String> {
        let record: Self = serde_json::from_slice(value).map_err(|error| error.to_string())?;
        let (Self::AccessSet { v }
        | Self::User { v, .. }
        | Self::Permission { v, .. }
        | Self::TopicPermission { v, .. }) = &record;
        if *v > VERSION {
            return Err(format!("version {v}, of which only {VERSION} is known"));
        }
        Ok(record)
    }

    fn value(&self) -> Option<Bytes> {
        // Strings, numbers and flags always have a JSON form.
        serde_json::to_vec(self).ok().map(Bytes::from)
    }
}

/// The first users were made.
pub fn put_ready() -> Change {
    (Bytes::from_static(&[READY]), Record::AccessSet { v: VERSION }.value())
}

/// A user was set.
pub fn put_user(user: &User) -> Change {
    let record = Record::User { v: VERSION, user: user.into() };
    (key(USER, &[&user.name]), record.value())
}

/// A user is gone.
pub fn remove_user(name: &str) -> Change {
    (key(USER, &[name]), None)
}

/// A permission was set.
pub fn put_permission(permission: &Permission) -> Change {
    let record = Record::Permission { v: VERSION, permission: permission.clone() };
    (key(PERMISSION, &[&permission.user, &permission.vhost]), record.value())
}

/// A permission is gone.
pub fn remove_permission(user: &str, vhost: &str) -> Change {
    (key(PERMISSION, &[user, vhost]), None)
}

/// A topic permission was set.
pub fn put_topic_permission(permission: &TopicPermission) -> Change {
    let TopicPermission { user, vhost, exchange, .. } = permission;
    let record = Record::TopicPermission { v: VERSION, permission: permission.clone() };
    (key(TOPIC_PERMISSION, &[user, vhost, exchange]), record.value())
}

/// A topic permission is gone.
pub fn remove_topic_permission(user: &str, vhost: &str, exchange: &str) -> Change {
    (key(TOPIC_PERMISSION, &[user, vhost, exchange]), None)
}

/// A name's length stands before it, so that no two keys are the same by chance.
fn key(kind: u8, names: &[&str]) -> Bytes {
    let mut key = vec![kind];
    for name in names {
        key.extend_from_slice(&(name.len() as u32).to_be_bytes());
        key.extend_from_slice(name.as_bytes());
    }
    key.into()
}
