//! Tokens: who signs them, for whom they are, and what is read from them.

use super::rows::Rows;
use super::{Key, Names, keys, tls};
use crate::config::oauth2::{Provider, ResourceServer, ScopeSyntax};
use crate::config::value::{list, one_of, path, text, truth};

pub(super) fn keys() -> Vec<Key> {
    let mut keys = keys! {
        "auth_oauth2.resource_server_id", "", text(),
            "what a token's `aud` must name, and what its scopes begin with"
            => |c, _, id| c.auth.oauth2.server.id = Some(id);
        "auth_oauth2.default_oauth_provider", "", text(),
            "the name of the provider of resource servers that name none; without it: the one right below `auth_oauth2`"
            => |c, _, name| c.auth.oauth2.server.provider = Some(name);
        "auth_oauth2.resource_servers.$server.id", "", text(),
            "another resource server: its id, if it is not its name"
            => |c, names, id| c.auth.oauth2.servers.entry(first(names)).or_default().id = Some(id);
        "auth_oauth2.resource_servers.$server.oauth_provider_id", "", text(),
            "another resource server: the name of its provider"
            => |c, names, name| {
                c.auth.oauth2.servers.entry(first(names)).or_default().provider = Some(name);
            };
    };
    keys.extend(server(&Rows {
        prefix: "auth_oauth2",
        whose: "",
        of: |c, _| &mut c.auth.oauth2.server,
    }));
    keys.extend(server(&Rows {
        prefix: "auth_oauth2.resource_servers.$server",
        whose: "another resource server",
        of: |c, names| c.auth.oauth2.servers.entry(first(names)).or_default(),
    }));
    keys.extend(provider(&Rows {
        prefix: "auth_oauth2",
        whose: "",
        of: |c, _| &mut c.auth.oauth2.provider,
    }));
    let https = "requests to it";
    keys.extend(tls::client("auth_oauth2.https", https, |c, _| &mut c.auth.oauth2.provider.tls));
    keys.extend(provider(&Rows {
        prefix: "auth_oauth2.oauth_providers.$provider",
        whose: "another provider",
        of: |c, names| c.auth.oauth2.providers.entry(first(names)).or_default(),
    }));
    let https = "requests to another provider";
    keys.extend(tls::client("auth_oauth2.oauth_providers.$provider.https", https, |c, names| {
        &mut c.auth.oauth2.providers.entry(first(names)).or_default().tls
    }));
    keys
}

fn first(names: &Names<'_>) -> String {
    names.first().map(|name| name.to_string()).unwrap_or_default()
}

fn last(names: &Names<'_>) -> String {
    names.last().map(|name| name.to_string()).unwrap_or_default()
}

fn words(scopes: &str) -> Vec<String> {
    scopes.split([',', ' ']).filter(|scope| !scope.is_empty()).map(str::to_owned).collect()
}

/// RabbitMQ has had two words for the second one.
const SYNTAXES: &[(&str, ScopeSyntax)] = &[
    ("wildcard", ScopeSyntax::Wildcard),
    ("regex", ScopeSyntax::Regex),
    ("regexpr", ScopeSyntax::Regex),
];

fn server(rows: &Rows<ResourceServer>) -> Vec<Key> {
    vec![
        rows.key(
            "resource_server_type",
            text(),
            "the type of rich authorization requests that are meant for the broker",
            |s, _, kind| s.kind = Some(kind),
        ),
        rows.key(
            "scope_prefix",
            text(),
            "what scopes begin with; without it: the resource server's id and a dot",
            |s, _, prefix| s.scope_prefix = Some(prefix),
        ),
        rows.key(
            "scope_pattern_syntax",
            one_of(SYNTAXES),
            "scopes have `*` for any text, or regular expressions, of whole names; without it: `wildcard`",
            |s, _, syntax| s.scope_syntax = Some(syntax),
        ),
        rows.key(
            "additional_scopes_key",
            text(),
            "claims that have scopes besides `scope`, with blanks between them; a dot leads into a claim",
            |s, _, keys| s.additional_scopes_keys = words(&keys),
        ),
        rows.key(
            "scope_aliases.$alias",
            text(),
            "scopes that an alias stands for, with commas or blanks between them",
            |s, names, scopes| {
                s.scope_aliases.insert(last(names), words(&scopes));
            },
        ),
        rows.key(
            "scope_aliases.$n.alias",
            text(),
            "an alias that is no word of a key",
            |s, names, alias| s.numbered_aliases.entry(last(names)).or_default().0 = alias,
        ),
        rows.key(
            "scope_aliases.$n.scope",
            text(),
            "the scopes that it stands for, with commas or blanks between them",
            |s, names, scopes| {
                s.numbered_aliases.entry(last(names)).or_default().1 = words(&scopes)
            },
        ),
        rows.key(
            "preferred_username_claims.$name",
            text(),
            "a claim that is the user's name; without any: `sub`, then `client_id`",
            |s, _, claim| s.username_claims.push(claim),
        ),
        rows.key(
            "verify_aud",
            truth(),
            "a token's `aud` is looked at; without it: it is",
            |s, _, yes| s.verify_aud = Some(yes),
        ),
    ]
}

fn provider(rows: &Rows<Provider>) -> Vec<Key> {
    vec![
        rows.key("issuer", text(), "where it tells where its keys are", |p, _, url| {
            p.issuer = Some(url);
        }),
        rows.key(
            "discovery_endpoint_path",
            text(),
            "the path of that below the issuer; without it: `.well-known/openid-configuration`",
            |p, _, path| p.discovery_path = Some(path),
        ),
        rows.key(
            "discovery_endpoint_params.$name",
            text(),
            "a parameter of that request",
            |p, names, value| {
                p.discovery_params.insert(last(names), value);
            },
        ),
        rows.key("jwks_url", text(), "where the keys are found", |p, _, url| {
            p.jwks_url = Some(url);
        }),
        rows.key("jwks_uri", text(), "the same", |p, _, url| p.jwks_url = Some(url)),
        rows.key("default_key", text(), "the key of tokens that name none", |p, _, id| {
            p.default_key = Some(id);
        }),
        rows.key("signing_keys.$id", path(), "a key, PEM", |p, names, file| {
            p.signing_keys.insert(last(names), file);
        }),
        rows.key(
            "algorithms.$name",
            list(),
            "an algorithm that is believed; without any: all that are safe",
            |p, _, names| p.algorithms.extend(names),
        ),
    ]
}
