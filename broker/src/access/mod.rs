//! Who may log in, and what they may do then.
//!
//! [`Access`] keeps users and permissions. A login makes an [`Identity`], whose authorities are asked
//! before each thing that is done.

pub mod attempts;
mod authority;
mod backend;
mod changes;
mod distinguished_name;
mod failures;
mod http;
mod internal;
pub mod limits;
mod login;
mod oauth2;
mod owner;
pub mod password;
pub mod peer_certificate;
pub mod record;
mod remembered;
pub mod sasl;
#[cfg(test)]
mod tests;
mod user;
pub(crate) mod web;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::RwLock;
use tokio::sync::Semaphore;

pub use authority::{Answer, Authority, Identity, Kind, Renewed, Resource, Topic};
pub use limits::UserLimits;
pub use login::{Attempt, Refused};
pub use user::{Permission, SetError, TopicPermission, User};

use crate::config::auth::Auth;
use attempts::Attempts;
use backend::{Backend, Pair};
pub use failures::Failures;
use internal::Internal;
use password::PasswordHash;
use record::Record;
use user::Pattern;

/// Users and permissions, and all that is asked at a login.
pub struct Access {
    users: Arc<Users>,
    chain: Vec<Pair>,
    failures: Failures,
    attempts: Attempts,
    judges: Arc<Semaphore>,
}

/// Logins that may be judged at a time, of those that take a while.
const JUDGES: usize = 16;

/// The broker's own users and permissions.
#[derive(Default)]
struct Users {
    state: RwLock<State>,
    version: AtomicU64,
}

#[derive(Default)]
struct State {
    users: BTreeMap<String, Known>,
    /// The first users were made.
    set: bool,
}

/// A user, with the permissions.
struct Known {
    user: Arc<User>,
    /// By virtual host.
    granted: BTreeMap<String, Granted>,
}

impl Known {
    fn new(user: User) -> Self {
        Self { user: Arc::new(user), granted: BTreeMap::new() }
    }
}

/// What a user may do in a virtual host.
#[derive(Default)]
struct Granted {
    permission: Option<Compiled<Permission, 3>>,
    /// By exchange.
    topics: BTreeMap<String, Compiled<TopicPermission, 2>>,
}

/// A permission with its patterns: read, write, configure.
struct Compiled<P, const N: usize> {
    permission: P,
    patterns: [Pattern; N],
}

impl Compiled<Permission, 3> {
    fn new(permission: Permission) -> Result<Self, SetError> {
        let Permission { read, write, configure, .. } = &permission;
        let patterns = [Pattern::new(read)?, Pattern::new(write)?, Pattern::new(configure)?];
        Ok(Self { permission, patterns })
    }
}

impl Compiled<TopicPermission, 2> {
    fn new(permission: TopicPermission) -> Result<Self, SetError> {
        let pattern = |text| Pattern::new(&permission.expanded(text));
        let patterns = [pattern(&permission.read)?, pattern(&permission.write)?];
        Ok(Self { permission, patterns })
    }
}

impl<P, const N: usize> Compiled<P, N> {
    fn allows(&self, kind: Kind, name: &str) -> bool {
        let at = match kind {
            Kind::Read => 0,
            Kind::Write => 1,
            Kind::Configure => 2,
        };
        self.patterns.get(at).is_some_and(|pattern| pattern.allows(name))
    }
}

impl Access {
    /// Without any users, and with the backends that are configured.
    pub fn new(auth: &Auth) -> Self {
        let users = Arc::<Users>::default();
        let internal: Arc<dyn Backend> = Arc::new(Internal::new(users.clone()));
        Self {
            users,
            chain: backend::chain(auth, &internal),
            failures: Failures::default(),
            attempts: Attempts::default(),
            judges: Arc::new(Semaphore::new(JUDGES)),
        }
    }

    /// Rises with each change: what was answered under an older version may be wrong.
    #[inline]
    pub fn version(&self) -> u64 {
        self.users.version.load(Ordering::Acquire)
    }

    /// How often somebody has tried to log in.
    pub fn attempts(&self) -> &Attempts {
        &self.attempts
    }

    /// Who has failed to log in lately.
    pub fn failures(&self) -> &Failures {
        &self.failures
    }

    /// A user.
    pub fn user(&self, name: &str) -> Option<Arc<User>> {
        self.users.user(name)
    }

    /// All users, by name.
    pub fn users(&self) -> Vec<Arc<User>> {
        self.users.state.read().users.values().map(|known| known.user.clone()).collect()
    }

    /// All permissions, by user and virtual host.
    pub fn permissions(&self) -> Vec<Permission> {
        let state = self.users.state.read();
        let granted = state.users.values().flat_map(|known| known.granted.values());
        granted
            .filter_map(|granted| Some(granted.permission.as_ref()?.permission.clone()))
            .collect()
    }

    /// All topic permissions, by user, virtual host and exchange.
    pub fn topic_permissions(&self) -> Vec<TopicPermission> {
        let state = self.users.state.read();
        let granted = state.users.values().flat_map(|known| known.granted.values());
        let topics = granted.flat_map(|granted| granted.topics.values());
        topics.map(|topic| topic.permission.clone()).collect()
    }

    /// Whether the first users were made, in this life or a former one.
    pub fn is_set(&self) -> bool {
        self.users.state.read().set
    }

    /// Brings back what was kept of it in the catalog.
    ///
    /// # Errors
    /// Which record cannot be understood, and why.
    pub fn restore(&self, entries: &BTreeMap<Bytes, Bytes>) -> Result<(), String> {
        let entries = entries.iter().filter(|(key, _)| record::is_key(key));
        let records = entries.map(|(_, value)| Record::decode(value));
        let records: Vec<Record> = records.collect::<Result<_, _>>()?;
        // Users before what they may do.
        let (users, granted): (Vec<_>, Vec<_>) =
            records.into_iter().partition(|record| matches!(record, Record::User { .. }));
        let mut state = self.users.state.write();
        for record in users.into_iter().chain(granted) {
            state.restore(record)?;
        }
        self.users.version.fetch_add(1, Ordering::Release);
        Ok(())
    }
}

impl Users {
    fn user(&self, name: &str) -> Option<Arc<User>> {
        self.state.read().users.get(name).map(|known| known.user.clone())
    }

    fn have_slow_passwords(&self) -> bool {
        let state = self.state.read();
        let mut hashes = state.users.values().filter_map(|known| known.user.password.as_ref());
        hashes.any(PasswordHash::is_slow)
    }
}

impl State {
    fn restore(&mut self, record: Record) -> Result<(), String> {
        match record {
            Record::AccessSet { .. } => self.set = true,
            Record::User { user, .. } => {
                let user = User::try_from(user)?;
                self.users.insert(user.name.clone(), Known::new(user));
            }
            Record::Permission { permission, .. } => {
                let granted = self.granted(&permission.user, &permission.vhost)?;
                let compiled = Compiled::<Permission, 3>::new(permission);
                granted.permission = Some(compiled.map_err(|error| error.to_string())?);
            }
            Record::TopicPermission { permission, .. } => {
                let granted = self.granted(&permission.user, &permission.vhost)?;
                let exchange = permission.exchange.clone();
                let compiled = Compiled::<TopicPermission, 2>::new(permission);
                granted.topics.insert(exchange, compiled.map_err(|error| error.to_string())?);
            }
        }
        Ok(())
    }

    fn granted(&mut self, user: &str, vhost: &str) -> Result<&mut Granted, SetError> {
        let known = self.users.get_mut(user);
        let known = known.ok_or_else(|| SetError::NoSuchUser(user.to_owned()))?;
        Ok(known.granted.entry(vhost.to_owned()).or_default())
    }
}

impl From<SetError> for String {
    fn from(error: SetError) -> Self {
        error.to_string()
    }
}
