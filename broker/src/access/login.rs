//! Logging in.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use super::internal::Internal;
use super::password::{Algorithm, PasswordHash, Secret};
use super::{Access, Authority, Identity};
use crate::config::Config;

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
    /// Judges an attempt to log in from an address.
    ///
    /// # Errors
    /// Why it failed.
    pub fn log_in(
        self: &Arc<Self>,
        config: &Config,
        attempt: &Attempt,
        from: IpAddr,
    ) -> Result<Identity, Refused> {
        let identity = self.judge(attempt)?;
        let user = &identity.user;
        if config.loopback_users.contains(user) && !from.to_canonical().is_loopback() {
            return Err(Refused(format!("user '{user}' can only connect via localhost")));
        }
        Ok(identity)
    }

    fn judge(self: &Arc<Self>, Attempt { user, password }: &Attempt) -> Result<Identity, Refused> {
        let known = self.user(user);
        if let Some(password) = password {
            if password.octets().is_empty() {
                return Err(Refused(format!(
                    "user '{user}' attempted to log in with a blank password, which is prohibited"
                )));
            }
            let hash = known.as_ref().and_then(|known| known.password.as_ref());
            // Who does not exist takes as long as who does.
            if !hash.unwrap_or_else(|| nobody()).matches(password) || hash.is_none() {
                return Err(Refused(format!("user '{user}' - invalid credentials")));
            }
        }
        let known = known.ok_or_else(|| Refused(format!("user '{user}' - invalid credentials")))?;
        let internal = Internal { access: self.clone(), user: user.clone() };
        let authority: Arc<dyn Authority> = Arc::new(internal);
        Ok(Identity {
            user: user.clone(),
            tags: known.tags.clone(),
            authorities: vec![authority],
            expires: None,
        })
    }
}

/// The hash of a password that nobody has.
fn nobody() -> &'static PasswordHash {
    static NOBODY: OnceLock<PasswordHash> = OnceLock::new();
    let password = || Secret::from(rand::random::<[u8; 32]>());
    NOBODY.get_or_init(|| PasswordHash::new(Algorithm::Sha256, &password()))
}
