//! Others say who may log in and what they may do: services that are asked by HTTP, and tokens.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod here;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use here::{Directory, Here};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use lepus::config::Config;
use lepus::config::auth::{Auth, AuthCache, AuthHttp, Backend, BackendKind};
use lepus::config::oauth2::{OAuth2, Provider, ResourceServer};
use lepus_tests::*;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

/// A small web server: each request is answered by its path and its fields, in the order of the client.
struct Web {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Web {
    fn start(answer: impl Fn(&str, &str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (asked.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, answer) = (log.clone(), answer.clone());
                std::thread::spawn(move || serve(&stream.unwrap(), &log, &*answer));
            }
        });
        Self { url, asked }
    }

    /// What was asked so far.
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(stream: &TcpStream, log: &Mutex<Vec<String>>, answer: &dyn Fn(&str, &str) -> String) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line.trim().is_empty() {
                break;
            }
            lines.push(line.trim().to_owned());
        }
        let length = lines.iter().find_map(|line| {
            line.to_lowercase()
                .strip_prefix("content-length:")
                .map(|length| length.trim().parse().unwrap())
        });
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body).unwrap();
        let target = lines[0].split(' ').nth(1).unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let fields =
            if body.is_empty() { query.to_owned() } else { String::from_utf8(body).unwrap() };
        log.lock().unwrap().push(format!("{path}?{fields}"));
        let text = answer(path, &fields);
        let length = text.len();
        let mut stream = stream;
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{text}").unwrap();
    }
}

fn login(user: &str, password: &str) -> Login {
    Login { response: format!("\0{user}\0{password}").into_bytes(), ..Login::default() }
}

fn start(auth: Auth) -> (Directory, Here) {
    let directory = Directory::new();
    let config = Config { auth, ..Config::default() };
    let here = Here::start_with(&directory.0, config);
    assert_eq!(&*here.vhost.name, "/");
    (directory, here)
}

fn only(kind: BackendKind) -> BTreeMap<u32, Backend> {
    BTreeMap::from([(1, Backend { authn: Some(kind), authz: Some(kind) })])
}

/// A login that is refused.
#[track_caller]
fn refused(here: &Here, user: &str, password: &str) {
    let mut conn = Conn::dial(&here.address);
    conn.start();
    conn.send(0, login(user, password).start_ok());
    let text = "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. \
                For details see the broker logfile.";
    conn.expect_close(403, text, (0, 0));
}

/// The services of user `ann`, who may do everything but with what is named `secret`.
fn ann() -> Web {
    Web::start(|path, fields| {
        let allowed = match path {
            "/user" => {
                fields == "username=ann&password=p%26%3D"
                    || fields == "username=ann&password=p%26%3d"
            }
            "/resource" => !fields.contains("name=secret"),
            "/topic" => fields.contains("routing_key=open"),
            _ => true,
        };
        match (path, allowed) {
            ("/user", true) => "allow Impersonator other".to_owned(),
            (_, true) => "allow".to_owned(),
            (_, false) => "deny".to_owned(),
        }
    })
}

fn services(web: &Web, post: bool) -> AuthHttp {
    let path = |name: &str| format!("{}/{name}", web.url);
    AuthHttp {
        post,
        user_path: path("user"),
        vhost_path: path("vhost"),
        resource_path: path("resource"),
        topic_path: path("topic"),
        ..AuthHttp::default()
    }
}

#[test]
fn services_are_asked_as_rabbitmqs_plugin_asks_them() {
    for post in [false, true] {
        let web = ann();
        let http = services(&web, post);
        let auth = Auth { backends: only(BackendKind::Http), http, ..Auth::default() };
        let (_directory, here) = start(auth);
        refused(&here, "ann", "wrong");
        refused(&here, "guest", "guest");
        let mut conn = Conn::login(&here.address, &login("ann", "p&="));
        let mut ch = conn.channel(1);
        let queue = ch.queue("q");
        let text = "ACCESS_REFUSED - access to queue 'secret' in vhost '/' refused for user 'ann'";
        ch.refused(declare("secret"), 403, text);
        ch.reopen();
        // Her tags let her name another user.
        ch.publish_with(publish("", &queue), &props().with_user_id("bob".into()), "1");
        assert_eq!(ch.got(&queue).text(), "1");
        ch.bind(&queue, "amq.topic", "open");
        ch.publish("amq.topic", "closed", "2");
        let text = "ACCESS_REFUSED - access to topic 'closed' in exchange 'amq.topic' in vhost '/' \
                    refused for user 'ann'";
        ch.expect_close(403, text, (60, 40));
        let asked = web.asked();
        for question in [
            "/vhost?username=ann&vhost=%2F&ip=127.0.0.1&tags=impersonator%20other",
            "/resource?username=ann&vhost=%2F&resource=queue&name=q&permission=configure&tags=impersonator%20other",
            "/resource?username=ann&vhost=%2F&resource=exchange&name=amq.default&permission=write&tags=impersonator%20other",
            "/topic?username=ann&vhost=%2F&resource=topic&name=amq.topic&permission=read&tags=impersonator%20other&routing_key=open&variable_map.username=ann&variable_map.vhost=%2F",
        ] {
            let plus = question.replace("%20", "+");
            let found = asked.iter().any(|one| *one == question || *one == plus);
            assert!(found, "{question} is not among {asked:#?}");
        }
        // The channel remembers what was allowed.
        let reads = asked.iter().filter(|one| one.contains("name=q&permission=read")).count();
        assert_eq!(reads, 1);
    }
}

#[test]
fn answers_are_remembered_behind_a_cache() {
    let web = ann();
    let cached = Backend { authn: Some(BackendKind::Http), authz: Some(BackendKind::Http) };
    let ttl = Duration::from_secs(3600);
    let auth = Auth {
        backends: only(BackendKind::Cache),
        http: services(&web, false),
        cache: AuthCache { backend: cached, ttl, refusals: false },
        ..Auth::default()
    };
    let (_directory, here) = start(auth);
    Conn::login(&here.address, &login("ann", "p&=")).close();
    let before = web.asked().len();
    Conn::login(&here.address, &login("ann", "p&=")).close();
    assert_eq!(web.asked().len(), before);
    for _ in 0..2 {
        refused(&here, "ann", "wrong");
    }
    assert_eq!(web.asked().len(), before + 2);
}

#[test]
fn backends_are_asked_in_their_order_and_those_that_fail_refuse() {
    let web = ann();
    let http = AuthHttp {
        resource_path: "http://127.0.0.1:1/resource".to_owned(),
        ..services(&web, false)
    };
    let mut backends = only(BackendKind::Internal);
    backends.insert(2, only(BackendKind::Http).remove(&1).unwrap());
    let (_directory, here) = start(Auth { backends, http, ..Auth::default() });
    Conn::login(&here.address, &login("guest", "guest")).close();
    assert!(web.asked().is_empty());
    let mut conn = Conn::login(&here.address, &login("ann", "p&="));
    let mut ch = conn.channel(1);
    ch.send(declare("q"));
    let close: channel::Close = ch.expect();
    let text = "ACCESS_REFUSED - access to queue 'q' in vhost '/' refused for user 'ann', backend \
                rabbit_auth_backend_http returned an error: ";
    assert!(close.reply_text.as_str().starts_with(text), "{close:?}");
}

/// Somebody who signs tokens, and tells the key by a URL.
struct Issuer {
    key: EncodingKey,
    web: Web,
}

impl Issuer {
    fn start() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        let point = pair.public_key().as_ref();
        let part = |range| URL_SAFE_NO_PAD.encode(&point[range]);
        let key = json!({"kty": "EC", "crv": "P-256", "kid": "k", "alg": "ES256",
            "x": part(1..33), "y": part(33..65)});
        let set = json!({ "keys": [key] }).to_string();
        let url = Arc::new(OnceLock::new());
        let own = url.clone();
        let web = Web::start(move |path, _| match path.ends_with("openid-configuration") {
            true => json!({"issuer": "i", "jwks_uri": own.wait()}).to_string(),
            false => set.clone(),
        });
        url.set(format!("{}/keys", web.url)).unwrap();
        Self { key: EncodingKey::from_ec_der(document.as_ref()), web }
    }

    fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some("k".to_owned()), ..Header::new(Algorithm::ES256) };
        encode(&header, claims, &self.key).unwrap()
    }

    fn broker(&self) -> (Directory, Here) {
        let provider = Provider { jwks_url: Some(self.web.url.clone()), ..Provider::default() };
        Self::broker_of(provider)
    }

    fn broker_of(provider: Provider) -> (Directory, Here) {
        let server = ResourceServer { id: Some("mq".to_owned()), ..ResourceServer::default() };
        let oauth2 = OAuth2 { server, provider, ..OAuth2::default() };
        start(Auth { backends: only(BackendKind::OAuth2), oauth2, ..Auth::default() })
    }
}

fn seconds() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

fn claims(scope: &str, expires: u64) -> Value {
    json!({"sub": "ann", "aud": "mq", "exp": expires, "scope": scope})
}

#[test]
fn a_token_opens_what_its_scopes_say() {
    let issuer = Issuer::start();
    let (_directory, here) = issuer.broker();
    let scope = "mq.configure:*/a* mq.write:*/a* mq.write:*/amq.default mq.read:*/a*";
    let token = issuer.sign(&claims(scope, seconds() + 3600));
    let mut conn = Conn::login(&here.address, &login("", &token));
    let mut ch = conn.channel(1);
    let queue = ch.queue("a");
    ch.publish("", &queue, "1");
    assert_eq!(ch.got(&queue).text(), "1");
    let text = "ACCESS_REFUSED - access to queue 'b' in vhost '/' refused for user 'ann'";
    ch.refused(declare("b"), 403, text);
    refused(&here, "ann", "no token");
    refused(&here, "ann", &issuer.sign(&claims(scope, seconds() - 1)));
    refused(&here, "ann", &Issuer::start().sign(&claims(scope, seconds() + 3600)));
    // The keys were asked for once: for each key that is not known nobody is asked.
    assert_eq!(issuer.web.asked().len(), 1);
    let token = issuer.sign(&claims("mq.read:other/*", seconds() + 3600));
    let mut conn = Conn::dial(&here.address);
    conn.start();
    conn.send(0, login("", &token).start_ok());
    let _: connection::Tune = conn.expect(0);
    conn.send(0, Login::default().tune_ok());
    conn.send(0, connection::Open { virtual_host: "/".into() });
    conn.expect_close(530, "NOT_ALLOWED - access to vhost '/' refused for user 'ann'", (10, 40));
}

#[test]
fn an_issuer_says_where_its_keys_are() {
    let issuer = Issuer::start();
    let asked = |provider: Provider| {
        let before = issuer.web.asked().len();
        let (_directory, here) = Issuer::broker_of(provider);
        let token = issuer.sign(&claims("mq.read:*/*", seconds() + 3600));
        let _ = Conn::login(&here.address, &login("", &token));
        issuer.web.asked()[before..].to_vec()
    };
    let at = |path: &str| {
        let issuer = Some(format!("{}/{path}", issuer.web.url));
        Provider { issuer, ..Provider::default() }
    };
    let usual = "/.well-known/openid-configuration?";
    assert_eq!(asked(at("")), [usual, "/keys?"]);
    assert_eq!(asked(at("realms/a/")), [&format!("/realms/a{usual}"), "/keys?"]);
    let discovery_path = Some("/v2/openid-configuration".to_owned());
    let discovery_params = BTreeMap::from([("app".to_owned(), "a b".to_owned())]);
    let with_parameters = Provider { discovery_path, discovery_params, ..at("tenant?x=1") };
    let expected = "/tenant/v2/openid-configuration?x=1&app=a+b";
    assert_eq!(asked(with_parameters), [expected, "/keys?"]);
    // Who says where the keys are need not be asked.
    let jwks_url = Some(format!("{}/own", issuer.web.url));
    assert_eq!(asked(Provider { jwks_url, ..at("") }), ["/own?"]);
}

#[test]
fn a_newer_token_counts_from_then_on() {
    let issuer = Issuer::start();
    let (_directory, here) = issuer.broker();
    let token = |scope: &str| issuer.sign(&claims(scope, seconds() + 3600));
    let mut conn = Conn::login(&here.address, &login("", &token("mq.configure:*/* mq.write:*/*")));
    let mut ch = conn.channel(1);
    let queue = ch.queue("q");
    ch.publish("", &queue, "1");
    ch.expect_counts(&queue, (1, 0));
    let update =
        |secret: &str| connection::UpdateSecret { new_secret: secret.into(), reason: "new".into() };
    let _: connection::UpdateSecretOk = conn.call(0, update(&token("mq.read:*/*")));
    let mut ch = conn.ch(1);
    assert_eq!(ch.got(&queue).text(), "1");
    ch.publish("", &queue, "2");
    let text =
        "ACCESS_REFUSED - access to exchange 'amq.default' in vhost '/' refused for user 'ann'";
    ch.expect_close(403, text, (60, 40));
    // Not one of somebody else.
    let mut other = claims("mq.read:*/*", seconds() + 3600);
    other["sub"] = json!("bob");
    conn.send(0, update(&issuer.sign(&other)));
    let text = "NOT_ALLOWED - New secret was refused by one of the backends";
    conn.expect_close(530, text, (10, 70));
}

#[test]
fn the_connection_ends_with_its_token() {
    let issuer = Issuer::start();
    let (_directory, here) = issuer.broker();
    let token = issuer.sign(&claims("mq.read:*/*", seconds() + 6));
    let mut conn = Conn::login(&here.address, &login("", &token));
    conn.expect_close(403, "ACCESS_REFUSED - credential expired", (0, 0));
}

#[test]
fn everybody_is_one_user_where_that_is_wanted() {
    let auth = Auth { anonymous_user: Some("guest".to_owned()), ..Auth::default() };
    let (directory, here) = start(auth);
    let anonymous = Login { mechanism: "ANONYMOUS", response: Vec::new(), ..Login::default() };
    let mut conn = Conn::login(&here.address, &anonymous);
    conn.channel(1).temp_queue();
    here.connect().close();
    let copy = directory.copy();
    let plain = Here::start(&copy.0);
    let offered = Conn::dial(&plain.address).start().mechanisms;
    assert_eq!(offered.as_bytes(), b"AMQPLAIN PLAIN");
}
