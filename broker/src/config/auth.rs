//! What can be set about who may log in and what they may do.

use std::collections::BTreeMap;
use std::time::Duration;

use super::oauth2::OAuth2;
use super::tls::TlsOptions;
use crate::access::password::Secret;

/// `auth_*` and what belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Auth {
    /// `auth_mechanisms.N`; empty means all that the rest of the configuration asks for.
    pub mechanisms: Vec<String>,
    /// `auth_backends.N`, asked in order; empty means the internal one.
    pub backends: BTreeMap<u32, Backend>,
    /// `auth_http.*`.
    pub http: AuthHttp,
    /// `auth_oauth2.*`.
    pub oauth2: OAuth2,
    /// `auth_cache.*`.
    pub cache: AuthCache,
    /// `anonymous_login_user`: `None`: nobody logs in without a name.
    pub anonymous_user: Option<String>,
    /// `anonymous_login_pass`.
    pub anonymous_pass: Secret,
    /// `ssl_cert_login_from`: what of a client's certificate is its user.
    pub cert_login: CertLogin,
    /// `ssl_cert_login_san_type`: which kind of alternative name.
    pub san_type: SanType,
    /// `ssl_cert_login_san_index`: which of them, from 0.
    pub san_index: u32,
    /// `credential_validator.*`.
    pub validator: CredentialValidator,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            mechanisms: Vec::new(),
            backends: BTreeMap::new(),
            http: AuthHttp::default(),
            oauth2: OAuth2::default(),
            cache: AuthCache::default(),
            anonymous_user: None,
            anonymous_pass: "guest".into(),
            cert_login: CertLogin::DistinguishedName,
            san_type: SanType::Dns,
            san_index: 0,
            validator: CredentialValidator::default(),
        }
    }
}

/// Who says who somebody is, and what that one may do. At least one of the two is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backend {
    /// `auth_backends.N.authn`.
    pub authn: Option<BackendKind>,
    /// `auth_backends.N.authz`.
    pub authz: Option<BackendKind>,
}

/// A kind of backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendKind {
    /// Our own users.
    Internal,
    /// RabbitMQ's protocol over HTTP.
    Http,
    /// Tokens.
    OAuth2,
    /// Another one, remembered for a while.
    Cache,
}

/// `auth_http.*`.
#[derive(Clone, Debug, PartialEq)]
pub struct AuthHttp {
    /// `http_method` is `post`.
    pub post: bool,
    /// `user_path`.
    pub user_path: String,
    /// `vhost_path`.
    pub vhost_path: String,
    /// `resource_path`.
    pub resource_path: String,
    /// `topic_path`.
    pub topic_path: String,
    /// `request_timeout`.
    pub request_timeout: Duration,
    /// `connection_timeout`.
    pub connection_timeout: Duration,
    /// `ssl_options.*`.
    pub tls: TlsOptions,
}

impl Default for AuthHttp {
    fn default() -> Self {
        let path = |last| format!("http://localhost:8000/auth/{last}");
        Self {
            post: false,
            user_path: path("user"),
            vhost_path: path("vhost"),
            resource_path: path("resource"),
            topic_path: path("topic"),
            request_timeout: Duration::from_secs(15),
            connection_timeout: Duration::from_secs(15),
            tls: TlsOptions::default(),
        }
    }
}

/// `auth_cache.*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthCache {
    /// `cached_backend`.
    pub backend: Backend,
    /// `cache_ttl`.
    pub ttl: Duration,
    /// `cache_refusals`.
    pub refusals: bool,
}

impl Default for AuthCache {
    fn default() -> Self {
        Self { backend: Backend::default(), ttl: Duration::from_secs(15), refusals: false }
    }
}

/// What of a client's certificate is its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertLogin {
    /// The whole distinguished name.
    DistinguishedName,
    /// Its common name.
    CommonName,
    /// An alternative name.
    SubjectAlternativeName,
}

/// A kind of alternative name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SanType {
    /// A host's name.
    Dns,
    /// An address.
    Ip,
    /// Of electronic mail.
    Email,
    /// A URI.
    Uri,
    /// Another one.
    OtherName,
}

/// `credential_validator.*`: what new names and passwords must be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CredentialValidator {
    /// `rabbit_credential_validator_accept_everything`.
    #[default]
    Everything,
    /// `rabbit_credential_validator_min_password_length`.
    MinLength(u32),
    /// `rabbit_credential_validator_password_regexp`.
    Pattern(String),
}

impl CredentialValidator {
    /// Whether users may have this password from now on.
    ///
    /// # Errors
    /// What it lacks, in RabbitMQ's words.
    pub fn check(&self, password: &Secret) -> Result<(), String> {
        match self {
            Self::MinLength(least) if password.octets().len() < *least as usize => {
                Err(format!("minimum required password length is {least}"))
            }
            Self::Pattern(pattern) if !matches(pattern, password) => {
                Err("provided password does not match the validator regular expression".to_owned())
            }
            _ => Ok(()),
        }
    }
}

fn matches(pattern: &str, password: &Secret) -> bool {
    regex::bytes::Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(password.octets()))
}
