//! Who is asked who somebody is: one after the other, until one knows.

use std::sync::Arc;

use super::http::Http;
use super::oauth2::OAuth2;
use super::{Attempt, Authority, Refused};
use crate::config::auth::{Auth, Backend as Spec, BackendKind};

/// One who knows users.
pub trait Backend: Send + Sync {
    /// Judges an attempt to log in. Of a user who is `proven` already, only what that one may do counts.
    ///
    /// # Errors
    /// Why it failed.
    fn log_in(&self, attempt: &Attempt, proven: bool) -> Result<Login, Refused>;

    /// Whether judging an attempt may take a while.
    fn is_slow(&self, attempt: &Attempt) -> bool;
}

/// Somebody got in.
pub struct Login {
    /// Who it is, by another name perhaps.
    pub user: String,
    /// The tags.
    pub tags: Vec<String>,
    /// Who is asked from now on.
    pub authority: Arc<dyn Authority>,
    /// When it ends, ms since 1970.
    pub expires: Option<u64>,
}

/// The backends of a place in the order.
pub struct Pair {
    /// Who says who somebody is.
    pub authn: Arc<dyn Backend>,
    /// Who says what that one may do, if it is not the same.
    pub authz: Option<(Arc<dyn Backend>, BackendKind)>,
}

/// The backends in their order.
pub fn chain(auth: &Auth, internal: &Arc<dyn Backend>) -> Vec<Pair> {
    let http: Arc<dyn Backend> = Arc::new(Arc::new(Http::new(&auth.http, None)));
    let cached: Arc<dyn Backend> = Arc::new(Arc::new(Http::new(&auth.http, Some(&auth.cache))));
    let tokens: Arc<dyn Backend> = Arc::new(Arc::new(OAuth2::new(&auth.oauth2)));
    let of = |kind: BackendKind, is_cached: bool| match kind {
        BackendKind::Http if is_cached => cached.clone(),
        BackendKind::Http => http.clone(),
        BackendKind::OAuth2 => tokens.clone(),
        // Those of the broker itself need no cache.
        BackendKind::Internal | BackendKind::Cache => internal.clone(),
    };
    let pair = |spec: &Spec| {
        let (authn, authz) = kinds(spec);
        let (behind_n, behind_z) = kinds(&auth.cache.backend);
        let (authn, n_cached) = behind(authn, behind_n);
        let (authz, z_cached) = behind(authz, behind_z);
        let other = (authn, n_cached) != (authz, z_cached);
        let authz = other.then(|| (of(authz, z_cached), authz));
        Pair { authn: of(authn, n_cached), authz }
    };
    match auth.backends.is_empty() {
        true => vec![Pair { authn: internal.clone(), authz: None }],
        false => auth.backends.values().map(pair).collect(),
    }
}

/// What is behind a cache, and whether one is there.
fn behind(kind: BackendKind, cached: BackendKind) -> (BackendKind, bool) {
    if kind == BackendKind::Cache { (cached, true) } else { (kind, false) }
}

/// Where one of the two is not said, it is the other one.
fn kinds(spec: &Spec) -> (BackendKind, BackendKind) {
    let authn = spec.authn.or(spec.authz).unwrap_or(BackendKind::Internal);
    (authn, spec.authz.unwrap_or(authn))
}
