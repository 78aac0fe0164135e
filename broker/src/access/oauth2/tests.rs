//! Tokens as they come, and what they are good for.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

use super::servers::Server;
use super::*;
use crate::config::oauth2::ScopeSyntax::{Regex, Wildcard};
use crate::config::oauth2::{Provider, ResourceServer};

/// Seconds since 1970, of the tests.
const NOW: u64 = 1_800_000_000;

/// What stands before the point of a public key of P-256 in DER.
const SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Somebody who signs tokens.
struct Signer {
    key: EncodingKey,
    point: Vec<u8>,
}

impl Signer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        let key = EncodingKey::from_ec_der(document.as_ref());
        Self { key, point: pair.public_key().as_ref().to_vec() }
    }

    fn pem(&self) -> String {
        let body = STANDARD.encode([&SPKI[..], &self.point].concat());
        format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")
    }

    fn set(&self, id: &str) -> Value {
        let part = |range| URL_SAFE_NO_PAD.encode(&self.point[range]);
        json!({"keys": [
            {"kty": "what is that?", "kid": "odd"},
            {"kty": "EC", "crv": "P-256", "kid": id, "alg": "ES256",
                "x": part(1..33), "y": part(33..65)},
        ]})
    }

    fn sign(&self, id: Option<&str>, claims: &Value) -> Secret {
        let header = Header { kid: id.map(str::to_owned), ..Header::new(Algorithm::ES256) };
        encode(&header, claims, &self.key).unwrap().into()
    }
}

/// A directory with key files, and settings that name them.
struct Scene {
    signer: Signer,
    directory: std::path::PathBuf,
}

impl Scene {
    fn new() -> Self {
        let name = format!("lepus-oauth2-{:x}", rand::random::<u64>());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir(&directory).unwrap();
        let signer = Signer::new();
        std::fs::write(directory.join("pem"), signer.pem()).unwrap();
        std::fs::write(directory.join("set"), signer.set("of set").to_string()).unwrap();
        std::fs::write(directory.join("odd"), "no key").unwrap();
        Self { signer, directory }
    }

    fn settings(&self) -> Settings {
        let file = |name: &str| (format!("of {name}"), self.directory.join(name));
        let signing_keys = BTreeMap::from(["pem", "set", "odd"].map(file));
        let provider = Provider { signing_keys, ..Provider::default() };
        let server = ResourceServer { id: Some("mq".into()), ..ResourceServer::default() };
        Settings { provider, server, ..Settings::default() }
    }

    fn with_server(&self, change: impl FnOnce(&mut ResourceServer)) -> Settings {
        let mut settings = self.settings();
        change(&mut settings.server);
        settings
    }

    fn read(&self, settings: Settings, claims: &Value) -> Result<Token, String> {
        let token = self.signer.sign(Some("of pem"), claims);
        OAuth2::new(&settings).read(&token, "given", NOW * 1000)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn claims() -> Value {
    json!({"aud": ["mq"], "sub": "u", "exp": NOW + 60, "scope": "mq.read:*/* mq.tag:monitoring other.write:*/*"})
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

#[test]
fn a_token_says_who_its_bearer_is_and_for_how_long() {
    let scene = Scene::new();
    let token = scene.read(scene.settings(), &claims()).unwrap();
    assert_eq!((token.user.as_str(), token.expires), ("u", Some(NOW + 60)));
    assert_eq!(token.tags, ["monitoring"]);
    assert!(token.scopes.resource("/", "q", Kind::Read));
    assert!(!token.scopes.resource("/", "q", Kind::Write));
}

#[test]
fn keys_come_from_pem_files_and_from_sets() {
    let scene = Scene::new();
    let read = |id: Option<&str>, settings: &Settings| {
        let token = scene.signer.sign(id, &claims());
        OAuth2::new(settings).read(&token, "", NOW * 1000).map(|token| token.user)
    };
    let settings = scene.settings();
    assert_eq!(read(Some("of pem"), &settings), Ok("u".into()));
    assert_eq!(read(Some("of set"), &settings), Ok("u".into()));
    assert_eq!(read(Some("of odd"), &settings), Err("the key 'of odd' is not known".into()));
    assert_eq!(read(None, &settings), Err("the token names no key".into()));
    let mut settings = settings;
    settings.provider.default_key = Some("of pem".into());
    assert_eq!(read(None, &settings), Ok("u".into()));
}

#[test]
fn tokens_of_others_are_not_believed() {
    let scene = Scene::new();
    let oauth2 = OAuth2::new(&scene.settings());
    let believed = |token: Secret| oauth2.read(&token, "", NOW * 1000).is_ok();
    assert!(!believed(Signer::new().sign(Some("of pem"), &claims())));
    // The public key is no secret that anybody may sign with.
    let header = Header { kid: Some("of pem".into()), ..Header::new(Algorithm::HS256) };
    let key = EncodingKey::from_secret(scene.signer.pem().as_bytes());
    assert!(!believed(encode(&header, &claims(), &key).unwrap().into()));
    // Neither is no signature at all.
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let unsigned = format!("{}.{}.", part(json!({"alg": "none", "kid": "of pem"})), part(claims()));
    assert!(!believed(unsigned.into()));
    for text in ["", ".", "..", "a.b.c", "no token"] {
        assert!(!believed(text.into()), "{text}");
    }
    assert!(!believed(b"\xff.\xff.\xff".to_vec().into()));
    let mut only = scene.settings();
    only.provider.algorithms = vec!["RS256".into()];
    assert!(scene.read(only, &claims()).is_err());
}

#[test]
fn times_and_audience_must_be_right() {
    let scene = Scene::new();
    let why = |claims: Value| scene.read(scene.settings(), &claims).err();
    let late = format!("Provided JWT token has expired at timestamp {NOW} (validated at {NOW})");
    assert_eq!(why(with("exp", json!(NOW))), Some(late));
    assert!(why(with("exp", json!("soon"))).unwrap().contains("is no time"));
    assert!(why(with("nbf", json!(NOW + 3600))).unwrap().contains("not valid yet"));
    assert!(why(with("aud", json!("other"))).unwrap().contains("audience"));
    assert!(why(with("aud", Value::Null)).unwrap().contains("audience"));
    assert_eq!(why(with("aud", json!("other mq"))), None);
    let trusting = scene.with_server(|server| server.verify_aud = Some(false));
    assert!(scene.read(trusting, &with("aud", json!("other"))).is_ok());
}

#[test]
fn the_user_is_the_first_name_that_there_is() {
    let scene = Scene::new();
    let user = |claims: &[&str], value: &Value| {
        let names = claims.iter().map(|name| (*name).to_owned()).collect();
        let settings = scene.with_server(|server| server.username_claims = names);
        scene.read(settings, value).map(|token| token.user)
    };
    assert_eq!(user(&["email", "name"], &with("name", json!("n"))), Ok("n".into()));
    assert_eq!(user(&["email"], &claims()), Ok("u".into()));
    let mut nameless = claims();
    nameless["sub"] = Value::Null;
    assert_eq!(user(&[], &nameless), Ok("given".into()));
    nameless["client_id"] = json!("c");
    assert_eq!(user(&[], &nameless), Ok("c".into()));
}

/// The scopes that claims are for the only resource server.
fn scopes(claims: Value, settings: &Settings) -> Vec<String> {
    let Value::Object(claims) = claims else { panic!("an object") };
    let servers = Servers::new(settings);
    let server: &Server = servers.of(&["mq".to_owned()]).unwrap();
    Claims(claims).scopes(server)
}

#[test]
fn scopes_come_from_several_places() {
    let scene = Scene::new();
    let settings = scene.with_server(|server| {
        server.additional_scopes_keys = ["roles", "extra", "realm.roles"].map(str::to_owned).into();
        let to_admin = vec!["mq.tag:administrator".to_owned()];
        server.scope_aliases.insert("admin".to_owned(), to_admin);
        let odd = ("api://odd one".to_owned(), vec!["mq.read:o/*".to_owned()]);
        server.numbered_aliases.insert("1".to_owned(), odd);
    });
    let claims = json!({
        "scope": ["mq.read:a/b", "admin", "api://odd one"],
        "extra": {"mq": ["write:a/b"], "other": ["read:x/y"]},
        "roles": "mq.configure:a/b nothing",
        "realm": {"roles": ["mq.read:r/*"]},
        "authorization": {"permissions": [{"scopes": ["mq.tag:management"]}, {"rsid": 1}]},
    });
    let expected = [
        "configure:a/b",
        "write:a/b",
        "read:r/*",
        "tag:management",
        "read:a/b",
        "tag:administrator",
        "read:o/*",
    ];
    assert_eq!(scopes(claims, &settings), expected);
    let prefixed = |prefix: &str| scene.with_server(|s| s.scope_prefix = Some(prefix.into()));
    let claims = json!({"scope": "api://read:a/b mq.read:c/d"});
    assert_eq!(scopes(claims, &prefixed("api://")), ["read:a/b"]);
    assert_eq!(scopes(json!({"scope": "read:a/b"}), &prefixed("")), ["read:a/b"]);
}

#[test]
fn rich_authorization_requests_are_scopes() {
    let scene = Scene::new();
    let settings = scene.with_server(|server| server.kind = Some("rabbitmq".into()));
    let one = |request: Value| scopes(json!({"authorization_details": [request]}), &settings);
    let request = |actions: Value, locations: Value| json!({"type": "rabbitmq", "actions": actions, "locations": locations});
    let places = json!([
        "cluster:m*/vhost:v/queue:q",
        "cluster:mq/exchange:e/routing-key:a.*",
        "cluster:no"
    ]);
    let expected = ["read:v/q/*", "read:*/e/a.*", "tag:monitoring"];
    assert_eq!(one(request(json!(["read", "monitoring", "fly"]), places)), expected);
    assert_eq!(one(request(json!("write"), json!("cluster:mq"))), ["write:*/*/*"]);
    for locations in [json!([]), json!("vhost:v"), json!("cluster:mq/queue:a/exchange:b")] {
        assert_eq!(one(request(json!("write"), locations)), [""; 0]);
    }
    let mut other = request(json!("write"), json!("cluster:mq"));
    other["type"] = json!("else");
    assert_eq!(one(other.clone()), [""; 0]);
    // Without a type none is meant for the broker.
    let claims = json!({"authorization_details": [other]});
    assert_eq!(scopes(claims, &scene.settings()), [""; 0]);
}

#[test]
fn variables_of_scopes_stand_for_claims_and_the_virtual_host() {
    let scene = Scene::new();
    let scope = |scope: &str| json!({"scope": scope, "sub": "a*/b", "aud": "mq"});
    let filled = scopes(scope("mq.read:{vhost}/{sub}-* mq.read:v/{none}"), &scene.settings());
    assert_eq!(filled, ["read:{vhost}/a%2A%2Fb-*", "read:v/none"]);
    let allowed = Scopes::parse(&filled, Wildcard);
    assert!(allowed.resource("x/*", "a*/b-1", Kind::Read));
    assert!(!allowed.resource("x", "ax/b-1", Kind::Read));
    let own = Scopes::parse(&["read:v/{vhost}.*".to_owned()], Wildcard);
    assert!(own.resource("v", "v.q", Kind::Read) && !own.resource("v", "w.q", Kind::Read));
    assert!(own.vhost("v") && !own.vhost("w"));
    for broken in ["read:{vhost", "read:}/{", "{}"] {
        assert!(!Scopes::parse(&[broken.to_owned()], Wildcard).vhost("v"));
    }
}

#[test]
fn the_audience_says_which_resource_server_is_meant() {
    let scene = Scene::new();
    let other = Signer::new();
    let file = scene.directory.join("other");
    std::fs::write(&file, other.pem()).unwrap();
    let mut settings = scene.settings();
    settings.server.username_claims = vec!["name".into()];
    let named = ResourceServer {
        id: Some("prod".into()),
        scope_prefix: Some("p:".into()),
        provider: Some("idp".into()),
        ..ResourceServer::default()
    };
    settings.servers.insert("1".into(), named);
    settings.servers.insert(
        "lost".into(),
        ResourceServer { provider: Some("none".into()), ..ResourceServer::default() },
    );
    let signing_keys = BTreeMap::from([("k".to_owned(), file)]);
    settings.providers.insert("idp".into(), Provider { signing_keys, ..Provider::default() });
    let oauth2 = OAuth2::new(&settings);
    let claims = |aud: Value| json!({"aud": aud, "name": "n", "exp": NOW + 60, "scope": "mq.read:*/m p:read:*/p"});
    let read = |token: Secret| oauth2.read(&token, "", NOW * 1000);
    let may = |token: &Token, name| token.scopes.resource("/", name, Kind::Read);

    let token = read(scene.signer.sign(Some("of pem"), &claims(json!("mq")))).unwrap();
    assert!(may(&token, "m") && !may(&token, "p"));
    let token = read(other.sign(Some("k"), &claims(json!(["x", "prod"])))).unwrap();
    assert!(may(&token, "p") && !may(&token, "m"));
    assert_eq!(token.user, "n");
    // Keys of one provider are good for its resource servers only.
    assert!(read(scene.signer.sign(Some("of pem"), &claims(json!("prod")))).is_err());
    assert!(read(other.sign(Some("k"), &claims(json!("mq")))).is_err());
    let why = |aud: Value| read(other.sign(Some("k"), &claims(aud))).err().unwrap();
    assert!(why(json!("lost")).contains("the provider 'none' is not configured"));
    assert!(why(json!(["mq", "prod"])).contains("more than one resource server"));
    assert!(why(json!("1")).contains("no resource server"));
    assert!(why(Value::Null).contains("no resource server"));

    // Those that do not look at it take what is left, if there is one only.
    settings.servers.get_mut("1").unwrap().verify_aud = Some(false);
    let read = |settings: &Settings| {
        let token = other.sign(Some("k"), &claims(Value::Null));
        OAuth2::new(settings).read(&token, "", NOW * 1000).map(|token| token.user)
    };
    assert_eq!(read(&settings), Ok("n".into()));
    settings.server.verify_aud = Some(false);
    assert!(read(&settings).unwrap_err().contains("does not say which"));
}

#[test]
fn scopes_allow_by_their_wildcards() {
    let of = |scope: &str| Scopes::parse(&[scope.to_owned()], Wildcard);
    let name = |pattern: &str, name: &str| {
        of(&format!("read:v/{pattern}")).resource("v", name, Kind::Read)
    };
    assert!(name("*", "") && name("*", "any") && name("a*", "a") && name("a*c", "abc"));
    assert!(name("*abc", "abcabc") && name("a*b*c", "a-b-c") && name("q", "q"));
    assert!(!name("a*", "ba") && !name("a*c", "ab") && !name("aba*aba", "aba") && !name("q", "q2"));
    assert!(name("a%2Ab", "a*b") && !name("a%2Ab", "axb") && name("a+b", "a b"));
    assert!(of("write:%2F/q").resource("/", "q", Kind::Write) && of("read:%2f/*").vhost("/"));
    assert!(!of("read:%2F/*").vhost("other"));
    for scope in ["read:v", "read:v/a/b/c", "look:v/q", "read", "", "tag:administrator"] {
        assert!(!of(scope).vhost("v"), "{scope}");
    }
    let topic = |scope: &str, key| of(scope).topic("v", Topic { exchange: "e", key }, Kind::Write);
    assert!(topic("write:v/e/a.*", "a.b") && !topic("write:v/e/a.*", "b.a"));
    assert!(!topic("write:v/e", "a.b") && !topic("read:v/e/*", "a.b"));
}

#[test]
fn scopes_may_be_regular_expressions() {
    let of = |scope: &str| Scopes::parse(&[scope.to_owned()], Regex);
    let name = |pattern: &str, name: &str| {
        of(&format!("read:v/{pattern}")).resource("v", name, Kind::Read)
    };
    assert!(name("q-[0-9]{1,3}", "q-12") && name(".*", "") && name("a|b", "b") && name("é+", "éé"));
    // They are for whole names, and there are no codes in them.
    assert!(!name("q", "q2") && !name("q", "2q") && !name("a|b", "ab") && !name("%71", "q"));
    for broken in ["*", "(", "a)|(.*", "a(?=b)", &"a".repeat(5000)] {
        assert!(!name(broken, "a") && !name(broken, "b"), "{broken}");
    }
    assert!(!name("(a+)+b", &"a".repeat(255)));
    let topic = |scope: &str, key| of(scope).topic("v", Topic { exchange: "e", key }, Kind::Write);
    assert!(
        topic(r"write:v|w/e/a\..+", "a.b")
            && !topic(r"write:v/e/a\..+", "a")
            && !topic("write:v/e", "a")
    );
    assert!(!of("read:v/(/k").vhost("v") && !of("read:v/q/(").vhost("v"));

    let scene = Scene::new();
    let settings = scene.with_server(|server| {
        server.scope_syntax = Some(Regex);
        server.kind = Some("rabbitmq".into());
    });
    let claims =
        json!({"scope": "mq.read:{vhost}/{sub}-{2}.{2} mq.read:[{sub}]/q", "sub": "a-z/.*"});
    let filled = scopes(claims, &settings);
    let allowed = Scopes::parse(&filled, Regex);
    let may = |vhost, name| allowed.resource(vhost, name, Kind::Read);
    assert!(
        may("v", "a-z/.*--xx") && !may("v", "a-z/.*-xx") && !may("v", "a-z/xx--xx"),
        "{filled:?}"
    );
    assert!(may("a", "q") && may("-", "q") && may("/", "q") && !may("b", "q"));
    let own = of("read:x{vhost}/.*");
    assert!(!own.vhost("x.") && !own.vhost("v"));
    let own = of("read:{vhost}|.{2}/{vhost}-q");
    assert!(own.resource("/.+", "/.+-q", Kind::Read) && !own.resource("/.+", "/ab-q", Kind::Read));
    let request = json!({"type": "rabbitmq", "actions": ["write"], "locations": ["cluster:m*"]});
    let scopes = scopes(json!({"authorization_details": [request]}), &settings);
    assert_eq!(scopes, ["write:.*/.*/.*"]);
}
