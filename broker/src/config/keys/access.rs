//! Who may log in, and who says so.

use super::{Config, Key, Names, keys, tls};
use crate::access::password::Algorithm;
use crate::config::DefaultUser;
use crate::config::auth::{Backend, BackendKind, CertLogin, CredentialValidator, SanType};
use crate::config::value::{
    Reader, list, milliseconds, number, one_of, only, or_word, pattern, text, truth,
};

pub(super) fn keys() -> Vec<Key> {
    let mut keys = users();
    keys.extend(more_users());
    keys.extend(mechanisms());
    keys.extend(backends());
    keys.extend(http());
    keys.extend(tls::client("auth_http.ssl_options", "requests to it", |c, _| {
        &mut c.auth.http.tls
    }));
    keys
}

fn users() -> Vec<Key> {
    keys! {
        "default_user", "guest", text(),
            "the user that is made at the first start, unless definitions bring users"
            => |c, _, name| c.default_user = name;
        "default_pass", "guest", text(),
            "its password", secret
            => |c, _, word| c.default_pass = word.into();
        "default_vhost", "/", text(),
            "the virtual host that is made at the first start"
            => |c, _, name| c.default_vhost = name;
        "default_user_tags.$tag", "", truth(),
            "whether the default user has this tag; if nothing is said: `administrator`"
            => |c, names, yes| choose(&mut c.default_user_tags, names, yes);
        "default_permissions.configure", ".*", pattern(),
            "what the default user may declare and delete in the default virtual host"
            => |c, _, pattern| c.default_permissions[0] = pattern;
        "default_permissions.write", ".*", pattern(),
            "what it may write to"
            => |c, _, pattern| c.default_permissions[1] = pattern;
        "default_permissions.read", ".*", pattern(),
            "what it may read from"
            => |c, _, pattern| c.default_permissions[2] = pattern;
        "loopback_users.$user", "", truth(),
            "whether this user may log in from this machine only; `guest` may, if nothing is said", live
            => |c, names, yes| choose(&mut c.loopback_users, names, yes);
        "loopback_users", "", only("none"),
            "all users may log in from anywhere", live
            => |c, _, ()| c.loopback_users.clear();
    }
}

fn more_users() -> Vec<Key> {
    fn of<'a>(config: &'a mut Config, names: &Names<'_>) -> &'a mut DefaultUser {
        config.default_users.entry(names.concat()).or_default()
    }
    keys! {
        "default_users.$user.vhost_pattern", "", pattern(),
            "which virtual hosts to come let this user in, who is made if need be; without it: all", live
            => |c, names, pattern| of(c, names).vhost_pattern = Some(pattern);
        "default_users.$user.password", "", text(),
            "that user's password, if the user is made; without it: no login by password", live, secret
            => |c, names, word| of(c, names).password = Some(word.into());
        "default_users.$user.configure", ".*", pattern(),
            "what that user may declare and delete there", live
            => |c, names, pattern| of(c, names).permissions[0] = pattern;
        "default_users.$user.write", ".*", pattern(),
            "what that user may write to there", live
            => |c, names, pattern| of(c, names).permissions[1] = pattern;
        "default_users.$user.read", ".*", pattern(),
            "what that user may read from there", live
            => |c, names, pattern| of(c, names).permissions[2] = pattern;
        "default_users.$user.tags", "", list(),
            "that user's tags, if the user is made", live
            => |c, names, tags| of(c, names).tags = tags;
    }
}

/// Puts a name into a list or takes it out.
fn choose(list: &mut Vec<String>, names: &Names<'_>, wanted: bool) {
    let name = names.concat();
    list.retain(|known| *known != name);
    if wanted {
        list.push(name);
    }
}

fn mechanisms() -> Vec<Key> {
    let from = one_of(&[
        ("distinguished_name", CertLogin::DistinguishedName),
        ("common_name", CertLogin::CommonName),
        ("subject_alternative_name", CertLogin::SubjectAlternativeName),
        ("subject_alt_name", CertLogin::SubjectAlternativeName),
    ]);
    let kind = one_of(&[
        ("dns", SanType::Dns),
        ("ip", SanType::Ip),
        ("email", SanType::Email),
        ("uri", SanType::Uri),
        ("other_name", SanType::OtherName),
    ]);
    keys! {
        "auth_mechanisms.$name", "", one_of(MECHANISMS),
            "a SASL mechanism that is offered; without any: PLAIN and AMQPLAIN", live
            => |c, _, name| c.auth.mechanisms.push(name.to_owned());
        "ssl_cert_login_from", "distinguished_name", from,
            "what of a client's certificate is its user's name, with EXTERNAL", live
            => |c, _, from| c.auth.cert_login = from;
        "ssl_cert_login_san_type", "dns", kind,
            "which kind of alternative name", live
            => |c, _, kind| c.auth.san_type = kind;
        "ssl_cert_login_san_index", "0", number(0..=u32::MAX),
            "which of them, counted from 0", live
            => |c, _, index| c.auth.san_index = index;
        "anonymous_login_user", "none", or_word("none", text()),
            "the user as whom those log in who choose ANONYMOUS", live
            => |c, _, user| c.auth.anonymous_user = user;
        "anonymous_login_pass", "guest", text(),
            "that user's password", live, secret
            => |c, _, word| c.auth.anonymous_pass = word.into();
        "password_hashing_module", "rabbit_password_hashing_sha256", one_of(HASHINGS),
            "how passwords that are set from now on are kept", live
            => |c, _, hashing| c.password_hashing = hashing;
        "credential_validator.validation_backend", "rabbit_credential_validator_accept_everything", validator(),
            "what new passwords must be", live
            => |c, _, validator| c.auth.validator = validator;
        "credential_validator.min_length", "", number(0..=u32::MAX),
            "how many characters a new password must have, if that is asked for", live
            => |c, _, length| if let CredentialValidator::MinLength(least) = &mut c.auth.validator {
                *least = length;
            };
        "credential_validator.regexp", "", pattern(),
            "what a new password must match, if that is asked for", live
            => |c, _, wanted| if let CredentialValidator::Pattern(pattern) = &mut c.auth.validator {
                *pattern = wanted;
            };
    }
}

const MECHANISMS: &[(&str, &str)] = &[
    ("PLAIN", "PLAIN"),
    ("AMQPLAIN", "AMQPLAIN"),
    ("EXTERNAL", "EXTERNAL"),
    ("ANONYMOUS", "ANONYMOUS"),
];

const HASHINGS: &[(&str, Algorithm)] = &[
    ("rabbit_password_hashing_sha256", Algorithm::Sha256),
    ("rabbit_password_hashing_sha512", Algorithm::Sha512),
    ("rabbit_password_hashing_argon2id", Algorithm::Argon2id),
    ("argon2id", Algorithm::Argon2id),
];

#[derive(Clone, Copy)]
enum Validation {
    Everything,
    MinLength,
    Pattern,
}

fn validator() -> Reader<CredentialValidator> {
    one_of(&[
        ("rabbit_credential_validator_accept_everything", Validation::Everything),
        ("rabbit_credential_validator_min_password_length", Validation::MinLength),
        ("rabbit_credential_validator_password_regexp", Validation::Pattern),
    ])
    .map(|validation| match validation {
        Validation::Everything => CredentialValidator::Everything,
        Validation::MinLength => CredentialValidator::MinLength(0),
        Validation::Pattern => CredentialValidator::Pattern(String::new()),
    })
}

fn backend() -> Reader<BackendKind> {
    one_of(&[
        ("internal", BackendKind::Internal),
        ("http", BackendKind::Http),
        ("oauth2", BackendKind::OAuth2),
        ("oauth", BackendKind::OAuth2),
        ("cache", BackendKind::Cache),
        ("rabbit_auth_backend_internal", BackendKind::Internal),
        ("rabbit_auth_backend_http", BackendKind::Http),
        ("rabbit_auth_backend_oauth2", BackendKind::OAuth2),
        ("rabbit_auth_backend_cache", BackendKind::Cache),
    ])
}

fn backends() -> Vec<Key> {
    keys! {
        "auth_backends.$n.authn", "", backend(),
            "the Nth backend that is asked who somebody is"
            => |c, names, kind| nth(c, names).authn = Some(kind);
        "auth_backends.$n.authz", "", backend(),
            "the Nth backend that is asked what that one may do"
            => |c, names, kind| nth(c, names).authz = Some(kind);
        "auth_backends.$n", "", backend(),
            "both; without any: `internal`"
            => |c, names, kind| fill(nth(c, names), kind);
        "auth_cache.cached_backend.authn", "", backend(),
            "the backend that the cache asks who somebody is"
            => |c, _, kind| c.auth.cache.backend.authn = Some(kind);
        "auth_cache.cached_backend.authz", "", backend(),
            "the backend that it asks what that one may do"
            => |c, _, kind| c.auth.cache.backend.authz = Some(kind);
        "auth_cache.cached_backend", "", backend(),
            "both"
            => |c, _, kind| fill(&mut c.auth.cache.backend, kind);
        "auth_cache.cache_ttl", "15000", milliseconds(),
            "milliseconds for which an answer is remembered"
            => |c, _, time| c.auth.cache.ttl = time;
        "auth_cache.cache_refusals", "false", truth(),
            "refusals are remembered, too"
            => |c, _, yes| c.auth.cache.refusals = yes;
    }
}

/// A place in the chain of backends. Two that are too large for a number are one.
fn nth<'a>(config: &'a mut Config, names: &Names<'_>) -> &'a mut Backend {
    let place = names.first().and_then(|place| place.parse().ok()).unwrap_or(u32::MAX);
    config.auth.backends.entry(place).or_default()
}

fn fill(backend: &mut Backend, kind: BackendKind) {
    backend.authn.get_or_insert(kind);
    backend.authz.get_or_insert(kind);
}

fn http() -> Vec<Key> {
    let method = one_of(&[("get", false), ("post", true)]);
    keys! {
        "auth_http.http_method", "get", method,
            "how the backend is asked"
            => |c, _, post| c.auth.http.post = post;
        "auth_http.user_path", "http://localhost:8000/auth/user", text(),
            "the URL that says who somebody is"
            => |c, _, url| c.auth.http.user_path = url;
        "auth_http.vhost_path", "http://localhost:8000/auth/vhost", text(),
            "the URL that says who may open a virtual host"
            => |c, _, url| c.auth.http.vhost_path = url;
        "auth_http.resource_path", "http://localhost:8000/auth/resource", text(),
            "the URL that says who may use a queue or an exchange"
            => |c, _, url| c.auth.http.resource_path = url;
        "auth_http.topic_path", "http://localhost:8000/auth/topic", text(),
            "the URL that says who may use a routing key"
            => |c, _, url| c.auth.http.topic_path = url;
        "auth_http.request_timeout", "15000", milliseconds(),
            "milliseconds for an answer"
            => |c, _, time| c.auth.http.request_timeout = time;
        "auth_http.connection_timeout", "15000", milliseconds(),
            "milliseconds for a connection"
            => |c, _, time| c.auth.http.connection_timeout = time;
    }
}
