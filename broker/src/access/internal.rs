//! The broker's own users and permissions as a backend, and as an authority.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use super::backend::{Backend, Login};
use super::password::{Algorithm, PasswordHash, Secret};
use super::remembered::Remembered;
use super::{Answer, Attempt, Authority, Granted, Kind, Refused, Resource, Topic, Users};
use crate::clock::now_ms;

/// How long a password is remembered whose hash takes long to check, ms.
const REMEMBERED_FOR: u64 = 10 * 60 * 1000;

/// Knows users by their passwords.
pub struct Internal {
    users: Arc<Users>,
    /// Passwords that were right, by the hash that they were checked with: with a new password they are
    /// another question.
    right: Remembered<()>,
}

impl Internal {
    /// The users of the broker.
    pub fn new(users: Arc<Users>) -> Self {
        Self { users, right: Remembered::new() }
    }

    fn is_right(&self, hash: &PasswordHash, password: &Secret) -> bool {
        if !hash.is_slow() {
            return hash.matches(password);
        }
        if self.is_remembered(hash, password) {
            return true;
        }
        let right = hash.matches(password);
        if right {
            self.right.put(&[hash.octets(), password.octets()], (), now_ms() + REMEMBERED_FOR);
        }
        right
    }

    /// The hash of a password that nobody has: of the slow kind as soon as anybody's is.
    fn nobody(&self) -> &'static PasswordHash {
        let password = || Secret::from(rand::random::<[u8; 32]>());
        match self.users.have_slow_passwords() {
            false => NOBODY.get_or_init(|| PasswordHash::new(Algorithm::Sha256, &password())),
            true => NOBODY_SLOW.get_or_init(|| PasswordHash::new(Algorithm::Argon2id, &password())),
        }
    }

    fn is_remembered(&self, hash: &PasswordHash, password: &Secret) -> bool {
        self.right.get(&[hash.octets(), password.octets()], now_ms()).is_some()
    }
}

impl Backend for Internal {
    fn log_in(&self, attempt: &Attempt, proven: bool) -> Result<Login, Refused> {
        let Attempt { user, password } = attempt;
        let known = self.users.user(user);
        let refused = || Refused(format!("user '{user}' - invalid credentials"));
        if let Some(password) = password.as_ref().filter(|_| !proven) {
            if password.octets().is_empty() {
                return Err(Refused(format!(
                    "user '{user}' attempted to log in with a blank password, which is prohibited"
                )));
            }
            let hash = known.as_ref().and_then(|known| known.password.as_ref());
            // Who does not exist takes as long as who does.
            if !self.is_right(hash.unwrap_or_else(|| self.nobody()), password) || hash.is_none() {
                return Err(refused());
            }
        }
        let tags = known.ok_or_else(refused)?.tags.clone();
        let authority = Arc::new(Granter { users: self.users.clone(), user: user.clone() });
        Ok(Login { user: user.clone(), tags, authority, expires: None })
    }

    fn is_slow(&self, Attempt { user, password }: &Attempt) -> bool {
        let known = self.users.user(user);
        let hash = known.as_ref().and_then(|known| known.password.as_ref());
        password.as_ref().is_some_and(|password| match hash {
            Some(hash) => hash.is_slow() && !self.is_remembered(hash, password),
            None => self.users.have_slow_passwords(),
        })
    }
}

static NOBODY: OnceLock<PasswordHash> = OnceLock::new();
static NOBODY_SLOW: OnceLock<PasswordHash> = OnceLock::new();

/// Answers for one user by what operators have set.
struct Granter {
    users: Arc<Users>,
    user: String,
}

impl Granter {
    /// What is granted in a virtual host, if anything is.
    fn granted(&self, vhost: &str, allows: impl FnOnce(&Granted) -> bool) -> Option<bool> {
        let state = self.users.state.read();
        state.users.get(&self.user)?.granted.get(vhost).map(allows)
    }
}

impl Authority for Granter {
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
