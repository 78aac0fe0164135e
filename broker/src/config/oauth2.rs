//! What can be set about tokens: who signs them, for whom they are, what is read from them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::tls::TlsOptions;

/// `auth_oauth2.*`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OAuth2 {
    /// What stands right below `auth_oauth2`: a resource server if it has an id, and what holds for the
    /// others where they say nothing.
    pub server: ResourceServer,
    /// `resource_servers.$name.*`.
    pub servers: BTreeMap<String, ResourceServer>,
    /// The provider that stands right below `auth_oauth2`.
    pub provider: Provider,
    /// `oauth_providers.$name.*`.
    pub providers: BTreeMap<String, Provider>,
}

/// Somebody that tokens are for, and how such tokens are read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResourceServer {
    /// `resource_server_id`, `resource_servers.$name.id`; `None`: the name.
    pub id: Option<String>,
    /// `resource_server_type`: of rich authorization requests.
    pub kind: Option<String>,
    /// `scope_prefix`; `None`: the id and a dot.
    pub scope_prefix: Option<String>,
    /// `scope_pattern_syntax`; `None`: with wildcards.
    pub scope_syntax: Option<ScopeSyntax>,
    /// `additional_scopes_key`: claims with further scopes, in order.
    pub additional_scopes_keys: Vec<String>,
    /// `scope_aliases.$alias`: the scopes that an alias stands for.
    pub scope_aliases: BTreeMap<String, Vec<String>>,
    /// `scope_aliases.$n.alias` and `.scope`: the same.
    pub numbered_aliases: BTreeMap<String, (String, Vec<String>)>,
    /// `preferred_username_claims.N`, in order.
    pub username_claims: Vec<String>,
    /// `verify_aud`; `None`: yes.
    pub verify_aud: Option<bool>,
    /// `default_oauth_provider`, `resource_servers.$name.oauth_provider_id`.
    pub provider: Option<String>,
}

/// How scopes name virtual hosts, queues, exchanges and routing keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScopeSyntax {
    /// With `*` for any text.
    #[default]
    Wildcard,
    /// By regular expressions.
    Regex,
}

/// Somebody who signs tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Provider {
    /// `issuer`: where it tells of itself, if `jwks_url` is not set.
    pub issuer: Option<String>,
    /// `discovery_endpoint_path`; `None`: `.well-known/openid-configuration`.
    pub discovery_path: Option<String>,
    /// `discovery_endpoint_params.$name`.
    pub discovery_params: BTreeMap<String, String>,
    /// `jwks_url`, `jwks_uri`.
    pub jwks_url: Option<String>,
    /// `default_key`.
    pub default_key: Option<String>,
    /// `signing_keys.$id`: PEM files.
    pub signing_keys: BTreeMap<String, PathBuf>,
    /// `algorithms.N`; empty means all.
    pub algorithms: Vec<String>,
    /// `https.*`.
    pub tls: TlsOptions,
}
