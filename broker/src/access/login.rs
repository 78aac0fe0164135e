//! Logging in: the backends are asked in their order, until one knows the user.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::backend::{Login, Pair};
use super::password::Secret;
use super::{Access, Identity};
use crate::config::Config;
use crate::config::auth::BackendKind;

/// What a client offers to prove who it is.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// User name.
    pub user: String,
    /// Without one it was proven already, by a certificate.
    pub password: Option<Secret>,
}

/// Why somebody did not get in: for the log, not for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

impl Access {
    /// Whether judging an attempt may take a while: then it must not be done where others wait.
    pub fn is_slow(&self, attempt: &Attempt) -> bool {
        let slow = |pair: &Pair| {
            let authz = pair.authz.as_ref();
            pair.authn.is_slow(attempt) || authz.is_some_and(|(authz, _)| authz.is_slow(attempt))
        };
        self.chain.iter().any(slow)
    }

    /// Who judges the attempts that take a while.
    pub fn judges(&self) -> &Arc<Semaphore> {
        &self.judges
    }

    /// Judges an attempt to log in from an address.
    ///
    /// # Errors
    /// Why it failed.
    pub fn log_in(
        &self,
        config: &Config,
        attempt: &Attempt,
        from: IpAddr,
    ) -> Result<Identity, Refused> {
        let mut refused = Refused(format!("No modules checked '{}'", attempt.user));
        for pair in &self.chain {
            match pair.log_in(attempt) {
                Ok(identity) => {
                    let user = &identity.user;
                    let is_local = from.to_canonical().is_loopback();
                    if config.loopback_users.contains(user) && !is_local {
                        return Err(Refused(format!(
                            "user '{user}' can only connect via localhost"
                        )));
                    }
                    return Ok(identity);
                }
                Err(why) => refused = why,
            }
        }
        Err(refused)
    }
}

impl Pair {
    fn log_in(&self, attempt: &Attempt) -> Result<Identity, Refused> {
        let Login { user, mut tags, authority, expires } = self.authn.log_in(attempt, false)?;
        let Some((authz, kind)) = &self.authz else {
            return Ok(Identity { user, tags, authorities: vec![authority], expires });
        };
        let known = Attempt { user: user.clone(), password: attempt.password.clone() };
        let other = authz.log_in(&known, true)?;
        // Of the others only those tell tags who say what somebody may do.
        if *kind == BackendKind::Internal {
            tags.extend(other.tags);
        }
        let expires = other.expires.into_iter().chain(expires).min();
        Ok(Identity { user, tags, authorities: vec![other.authority], expires })
    }
}
