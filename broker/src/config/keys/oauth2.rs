//! Tokens: who signs them, and what is read from them.

use super::{Key, keys, tls};
use crate::config::value::{list, path, text, truth};

pub(super) fn keys() -> Vec<Key> {
    let mut keys = claims();
    keys.extend(signatures());
    keys.extend(tls::client("auth_oauth2.https", "requests to it", |c| &mut c.auth.oauth2.tls));
    keys
}

fn claims() -> Vec<Key> {
    keys! {
        "auth_oauth2.resource_server_id", "", text(),
            "what a token's `aud` must name, and what its scopes begin with"
            => |c, _, id| c.auth.oauth2.resource_server_id = Some(id);
        "auth_oauth2.resource_server_type", "", text(),
            "the type of rich authorization requests that are meant for the broker"
            => |c, _, kind| c.auth.oauth2.resource_server_type = Some(kind);
        "auth_oauth2.scope_prefix", "", text(),
            "what scopes begin with; without it: `resource_server_id` and a dot"
            => |c, _, prefix| c.auth.oauth2.scope_prefix = Some(prefix);
        "auth_oauth2.additional_scopes_key", "", text(),
            "claims that have scopes besides `scope`, with blanks between them"
            => |c, _, keys| c.auth.oauth2.additional_scopes_keys
                = keys.split_whitespace().map(str::to_owned).collect();
        "auth_oauth2.scope_aliases.$alias", "", text(),
            "scopes that an alias stands for, with commas or blanks between them"
            => |c, names, scopes| {
                let scopes = scopes.split([',', ' ']).filter(|scope| !scope.is_empty());
                let scopes = scopes.map(str::to_owned).collect();
                c.auth.oauth2.scope_aliases.insert(names.concat(), scopes);
            };
        "auth_oauth2.preferred_username_claims.$name", "", text(),
            "a claim that is the user's name; without any: `sub`, then `client_id`"
            => |c, _, claim| c.auth.oauth2.username_claims.push(claim);
        "auth_oauth2.verify_aud", "true", truth(),
            "a token's `aud` is looked at"
            => |c, _, yes| c.auth.oauth2.verify_aud = yes;
    }
}

fn signatures() -> Vec<Key> {
    keys! {
        "auth_oauth2.issuer", "", text(),
            "where `.well-known/openid-configuration` is found"
            => |c, _, url| c.auth.oauth2.issuer = Some(url);
        "auth_oauth2.jwks_url", "", text(),
            "where the keys are found"
            => |c, _, url| c.auth.oauth2.jwks_url = Some(url);
        "auth_oauth2.jwks_uri", "", text(),
            "the same"
            => |c, _, url| c.auth.oauth2.jwks_url = Some(url);
        "auth_oauth2.default_key", "", text(),
            "the key of tokens that name none"
            => |c, _, id| c.auth.oauth2.default_key = Some(id);
        "auth_oauth2.signing_keys.$id", "", path(),
            "a key, PEM"
            => |c, names, file| { c.auth.oauth2.signing_keys.insert(names.concat(), file); };
        "auth_oauth2.algorithms.$name", "", list(),
            "an algorithm that is believed; without any: all that are safe"
            => |c, _, names| c.auth.oauth2.algorithms.extend(names);
    }
}
