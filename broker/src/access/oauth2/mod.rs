//! OAuth 2.0: a token (JWT) stands for the password, and its scopes say what its bearer may do, as in
//! RabbitMQ's plugin rabbitmq_auth_backend_oauth2.

mod claims;
mod details;
mod keys;
mod scopes;
mod servers;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::Value;

use super::backend::{Backend, Login};
use super::password::Secret;
use super::{Answer, Attempt, Authority, Kind, Refused, Renewed, Resource, Topic};
use crate::clock::now_ms;
use crate::config::oauth2::OAuth2 as Settings;
use claims::Claims;
use scopes::Scopes;
use servers::Servers;

/// The name in error texts.
const NAME: &str = "rabbit_auth_backend_oauth2";

/// How far the clocks of who makes tokens and of who reads them may be apart, seconds.
const SKEW: u64 = 60;

/// Whose tokens are believed, and how they are read.
pub struct OAuth2 {
    servers: Servers,
}

/// What a token says.
struct Token {
    user: String,
    tags: Vec<String>,
    scopes: Scopes,
    /// Seconds since 1970.
    expires: Option<u64>,
}

impl OAuth2 {
    /// Tokens as they are configured. Keys that cannot be read are told of in the log.
    pub fn new(settings: &Settings) -> Self {
        Self { servers: Servers::new(settings) }
    }

    /// Reads a token. `user` is its bearer if it does not say so.
    fn read(&self, token: &Secret, user: &str, now: u64) -> Result<Token, String> {
        let token = str::from_utf8(token.octets()).map_err(|_| "the token is no text")?;
        // For whom it says that it is says whose keys it must be signed with.
        let server = self.servers.of(&Claims(keys::peek(token)?).words("aud"))?;
        let claims = Claims(server.keys.as_ref().map_err(Clone::clone)?.verify(token, now)?);
        let seconds = now / 1000;
        let expires = claims.time("exp")?;
        if let Some(expires) = expires.filter(|expires| *expires <= seconds) {
            return Err(expired(expires, seconds));
        }
        if claims.time("nbf")?.is_some_and(|from| from > seconds + SKEW) {
            return Err("the token is not valid yet".to_owned());
        }
        let scopes = claims.scopes(server);
        let tag = |scope: &String| scope.strip_prefix("tag:").map(str::to_owned);
        let mut tags: Vec<String> = scopes.iter().filter_map(tag).collect();
        tags.sort_unstable();
        tags.dedup();
        let named = claims.user(&server.username_claims);
        let user = named.unwrap_or_else(|| user.to_owned());
        if user.is_empty() {
            return Err("the token names no user".to_owned());
        }
        Ok(Token { user, tags, scopes: Scopes::parse(&scopes, server.scope_syntax), expires })
    }
}

impl Backend for Arc<OAuth2> {
    fn log_in(&self, attempt: &Attempt, _proven: bool) -> Result<Login, Refused> {
        let refused =
            |why: &str| Refused(format!("Authentication using an OAuth 2/JWT token failed: {why}"));
        let token = attempt.password.as_ref().ok_or_else(|| refused("no token"))?;
        let token = self.read(token, &attempt.user, now_ms()).map_err(|why| refused(&why))?;
        let (user, tags, expires) = (token.user.clone(), token.tags.clone(), token.expires);
        let authority = Arc::new(Bearer { oauth2: self.clone(), token });
        Ok(Login { user, tags, authority, expires: expires.map(in_ms) })
    }

    fn is_slow(&self, _attempt: &Attempt) -> bool {
        true
    }
}

/// Answers for who has a token.
struct Bearer {
    oauth2: Arc<OAuth2>,
    token: Token,
}

impl Bearer {
    fn answer(&self, allowed: impl FnOnce(&Scopes) -> bool) -> Answer {
        let now = now_ms() / 1000;
        match self.token.expires {
            Some(expires) if expires <= now => {
                Answer::Error(NAME, format!("{:?}", expired(expires, now)))
            }
            _ => allowed(&self.token.scopes).into(),
        }
    }
}

impl Authority for Bearer {
    fn vhost(&self, vhost: &str, _from: IpAddr) -> Answer {
        self.answer(|scopes| scopes.vhost(vhost))
    }

    fn resource(&self, vhost: &str, resource: Resource<'_>, kind: Kind) -> Answer {
        self.answer(|scopes| scopes.resource(vhost, resource.name(), kind))
    }

    fn topic(&self, vhost: &str, topic: Topic<'_>, kind: Kind) -> Answer {
        self.answer(|scopes| scopes.topic(vhost, topic, kind))
    }

    /// Another token of the same user.
    fn renewed(&self, secret: &Secret, now: u64) -> Option<Renewed> {
        let user = &self.token.user;
        let token =
            self.oauth2.read(secret, user, now).and_then(|token| match &token.user == user {
                true => Ok(token),
                false => Err(format!("the token is of '{}', not of '{user}'", token.user)),
            });
        Some(token.map(|token| {
            let (tags, expires) = (token.tags.clone(), token.expires.map(in_ms));
            let bearer: Arc<dyn Authority> = Arc::new(Self { oauth2: self.oauth2.clone(), token });
            (bearer, tags, expires)
        }))
    }
}

fn in_ms(seconds: u64) -> u64 {
    seconds.saturating_mul(1000)
}

fn expired(at: u64, now: u64) -> String {
    format!("Provided JWT token has expired at timestamp {at} (validated at {now})")
}

/// A text, or each text of a list.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => {
            text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
        }
        Value::Array(values) => {
            values.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}
