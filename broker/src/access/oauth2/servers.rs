//! Resource servers: for whom a token is says how it is read.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::keys::Keys;
use crate::config::oauth2::{OAuth2 as Settings, ResourceServer, ScopeSyntax};

/// A resource server with all that holds for it.
pub struct Server {
    /// Its name in tokens; empty if all tokens are for the broker.
    pub id: String,
    /// The type of rich authorization requests that are for it.
    pub kind: Option<String>,
    /// What its scopes begin with; empty: nothing.
    pub scope_prefix: String,
    /// How its scopes name things.
    pub scope_syntax: ScopeSyntax,
    /// Claims with further scopes.
    pub additional_scopes_keys: Vec<String>,
    /// Scopes that an alias stands for.
    pub scope_aliases: BTreeMap<String, Vec<String>>,
    /// Claims that are the user's name, before the usual ones.
    pub username_claims: Vec<String>,
    verify_aud: bool,
    /// The keys of its provider, or why there are none.
    pub keys: Result<Arc<Keys>, String>,
}

/// All that there are.
pub struct Servers(Vec<Server>);

impl Servers {
    /// Those that are configured. Without any, all tokens are for the broker.
    pub fn new(settings: &Settings) -> Self {
        let providers = Providers::new(settings);
        let root = &settings.server;
        let mut servers: Vec<Server> = (settings.servers.iter())
            .map(|(name, server)| {
                let id = server.id.as_ref().unwrap_or(name);
                Server::new(id, server, root, &providers)
            })
            .collect();
        match &root.id {
            Some(id) if !id.is_empty() => servers.push(Server::new(id, root, root, &providers)),
            _ if servers.is_empty() => {
                let server = Server::new("", root, root, &providers);
                servers.push(Server { verify_aud: false, ..server });
            }
            _ => {}
        }
        Self(servers)
    }

    /// The one that a token is for: the one that its audience names, or else the only one that does
    /// not look at that.
    ///
    /// # Errors
    /// There is none, or there are several.
    pub fn of(&self, audience: &[String]) -> Result<&Server, String> {
        let named = self.0.iter().filter(|server| audience.contains(&server.id));
        let trusting = self.0.iter().filter(|server| !server.verify_aud);
        match (named.collect::<Vec<_>>().as_slice(), trusting.collect::<Vec<_>>().as_slice()) {
            ([one], _) | ([], [one]) => Ok(one),
            ([], []) => Err(format!("invalid audience: no resource server is in {audience:?}")),
            ([], _) => Err(format!("the audience {audience:?} does not say which resource server")),
            _ => Err(format!("the audience {audience:?} names more than one resource server")),
        }
    }
}

impl Server {
    /// What `own` does not say is as `root` has it.
    fn new(id: &str, own: &ResourceServer, root: &ResourceServer, providers: &Providers) -> Self {
        let aliases = |server: &ResourceServer| {
            let mut aliases = server.scope_aliases.clone();
            aliases.extend(server.numbered_aliases.values().cloned());
            aliases
        };
        let of_id = || if id.is_empty() { String::new() } else { format!("{id}.") };
        let prefix = own.scope_prefix.clone().or_else(|| root.scope_prefix.clone());
        Self {
            id: id.to_owned(),
            kind: own.kind.clone().or_else(|| root.kind.clone()),
            scope_prefix: prefix.unwrap_or_else(of_id),
            scope_syntax: own.scope_syntax.or(root.scope_syntax).unwrap_or_default(),
            additional_scopes_keys: either(
                &own.additional_scopes_keys,
                &root.additional_scopes_keys,
            ),
            scope_aliases: Some(aliases(own))
                .filter(|own| !own.is_empty())
                .unwrap_or_else(|| aliases(root)),
            username_claims: either(&own.username_claims, &root.username_claims),
            verify_aud: own.verify_aud.or(root.verify_aud).unwrap_or(true),
            keys: providers.keys(own.provider.as_deref().or(root.provider.as_deref())),
        }
    }
}

fn either(own: &[String], root: &[String]) -> Vec<String> {
    if own.is_empty() { root.to_vec() } else { own.to_vec() }
}

/// Who signs tokens.
struct Providers {
    root: Arc<Keys>,
    named: HashMap<String, Arc<Keys>>,
}

impl Providers {
    fn new(settings: &Settings) -> Self {
        let named = settings.providers.iter().map(|(name, provider)| {
            let family = format!("auth_oauth2.oauth_providers.{name}");
            (name.clone(), Arc::new(Keys::new(&family, provider)))
        });
        let root = Arc::new(Keys::new("auth_oauth2", &settings.provider));
        Self { root, named: named.collect() }
    }

    fn keys(&self, name: Option<&str>) -> Result<Arc<Keys>, String> {
        let Some(name) = name else { return Ok(self.root.clone()) };
        let named = self.named.get(name).cloned();
        named.ok_or_else(|| {
            tracing::error!("auth_oauth2: the provider '{name}' is not configured");
            format!("the provider '{name}' is not configured")
        })
    }
}
