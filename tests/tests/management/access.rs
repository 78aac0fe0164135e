//! Who may ask, and paths, methods and bodies that make no sense.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lepus_tests::Files;
use rcgen::{KeyPair, PKCS_ED25519, SigningKey};
use serde_json::{Value, json};

use crate::api::{Api, basic};

const ALL: [&str; 3] = [".*", ".*", ".*"];

#[test]
fn without_a_login_the_answer_is_empty_and_asks_for_one() {
    let api = Api::start();
    let answer = api.raw(None, "GET", "/api/whoami", "");
    assert_eq!((answer.status, answer.text.as_str()), (401, ""));
    assert_eq!(answer.header("www-authenticate"), "Basic realm=\"RabbitMQ Management\"");
}

#[test]
fn a_wrong_login_is_refused_as_not_authorized() {
    let api = Api::start();
    let told = json!({"error": "not_authorized", "reason": "Login failed"});
    for login in [&basic("guest", "wrong"), &basic("nobody", "guest"), "Basic !!!", "Bearer x"] {
        let answer = api.raw(Some(login), "GET", "/api/whoami", "");
        assert_eq!((answer.status, answer.json()), (401, told.clone()), "{login}");
        assert_eq!(answer.header("www-authenticate"), "Basic realm=\"RabbitMQ Management\"");
    }
}

/// A token for `mq`, signed with `k`.
fn token(key: &KeyPair, scope: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({"aud": ["mq"], "sub": "anna", "exp": 4_102_444_800_u64, "scope": scope});
    let signed = format!("{}.{}", part(&json!({"alg": "EdDSA", "kid": "k"})), part(&claims));
    format!("Bearer {signed}.{}", URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()).unwrap()))
}

#[test]
fn tokens_stand_for_passwords_which_may_be_forbidden() {
    let (files, key) = (Files::default(), KeyPair::generate_for(&PKCS_ED25519).unwrap());
    files.write("key.pem", key.public_key_pem());
    let config = format!(
        "auth_backends.1 = oauth2\nauth_backends.2 = internal\n\
         auth_oauth2.resource_server_id = mq\nauth_oauth2.signing_keys.k = {}\n",
        files.path("key.pem")
    );
    let whoami = |api: &Api, login: &str| api.raw(Some(login), "GET", "/api/whoami", "");
    let (good, bare) = (token(&key, "mq.tag:monitoring"), token(&key, "mq.read:*/*"));

    let api = Api::with_config(&config);
    let anna = json!({"name": "anna", "tags": ["monitoring"]});
    assert_eq!(whoami(&api, &good).json(), anna);
    assert_eq!(whoami(&api, &good.replace("Bearer", "bearer")).json(), anna);
    assert_eq!(whoami(&api, &bare).json()["reason"], "Not management user");
    assert_eq!(whoami(&api, &format!("{good}x")).json()["reason"], "Login failed");
    assert_eq!(whoami(&api, &basic("guest", "guest")).status, 200);

    let api = Api::with_config(&format!("{config}management.disable_basic_auth = true\n"));
    let told =
        json!({"error": "not_authorised", "reason": "HTTP access denied: basic auth disabled"});
    let refused = whoami(&api, &basic("guest", "guest"));
    assert_eq!((refused.status, refused.json()), (401, told.clone()));
    let form = api.raw(None, "POST", "/api/login", "username=guest&password=guest");
    assert_eq!((form.status, form.json()), (401, told));
    assert_eq!(whoami(&api, &good).json(), anna);
}

#[test]
fn users_need_the_tag_of_what_they_ask_for() {
    let api = Api::start();
    api.user("nothing", "", ALL);
    api.user("reader", "management", ALL);
    api.user("maker", "policymaker", ALL);
    let refused = |user: &str, path: &str| {
        let answer = api.by(user, "GET", path, "");
        assert_eq!((answer.status, &answer.json()["error"]), (401, &json!("not_authorised")));
        assert_eq!(answer.header("www-authenticate"), "");
        answer.json()["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(refused("nothing", "/whoami"), "Not management user");
    assert_eq!(refused("reader", "/users"), "Not administrator user");
    assert_eq!(refused("maker", "/users"), "Not administrator user");
    assert_eq!(refused("reader", "/policies"), "User not authorised to access object");
    assert_eq!(api.by("maker", "GET", "/policies", "").status, 200);
    assert_eq!(api.by("reader", "GET", "/overview", "").status, 200);
    let whoami = api.by("maker", "GET", "/whoami", "").json();
    assert_eq!(whoami, json!({"name": "maker", "tags": ["policymaker"]}));
}

#[test]
fn what_binds_policymakers_is_not_theirs_to_change_as_a_parameter() {
    let api = Api::start();
    api.user("maker", "policymaker", ALL);
    let policy = r#"{"value":{"pattern":".*","definition":{"max-length":1},"priority":0}}"#;
    let limits = r#"{"value":{"max-queues":1}}"#;
    let (of_policy, of_limits) =
        ("/parameters/operator_policy/%2F/p", "/parameters/vhost-limits/%2F/limits");
    for (path, body) in [(of_policy, policy), (of_limits, limits)] {
        let refused = |method: &str| {
            let answer = api.by("maker", method, path, body);
            assert_eq!(answer.status, 401, "{method} {path}");
            assert_eq!(answer.json()["reason"], "Not administrator user");
        };
        refused("PUT");
        api.change("PUT", path, body, 201);
        refused("DELETE");
        assert_eq!(api.by("maker", "GET", path, "").status, 200);
        api.change("DELETE", path, "", 204);
    }
    let shovel = r#"{"value":{"src-uri":"amqp://","dest-uri":"amqp://"}}"#;
    assert_eq!(api.by("maker", "PUT", "/parameters/shovel/%2F/s", shovel).status, 201);
}

#[test]
fn virtual_hosts_are_open_to_those_who_may_use_them() {
    let api = Api::start();
    api.user("reader", "management", ALL);
    api.change("PUT", "/vhosts/closed", "", 201);
    api.change("PUT", "/permissions/closed/guest", r#"{"configure":"","write":"","read":""}"#, 204);
    let names = |user: &str| {
        let vhosts = api.by(user, "GET", "/vhosts?columns=name", "").json();
        vhosts.as_array().unwrap().len()
    };
    assert_eq!((names("guest"), names("reader")), (2, 1));
    let answer = api.by("reader", "GET", "/queues/closed", "");
    let reason = "User not authorised to access virtual host";
    assert_eq!(answer.json(), json!({"error": "not_authorised", "reason": reason}));
    assert_eq!(answer.status, 401);
}

#[test]
fn resources_need_their_permissions() {
    let api = Api::start();
    api.user("narrow", "management", ["^mine", "^mine", "^mine"]);
    let by = |method: &str, path: &str, body: &str| {
        let answer = api.by("narrow", method, path, body);
        if answer.status == 401 {
            let told = json!({"error": "not_authorised", "reason": "Access refused."});
            assert_eq!(answer.json(), told, "{method} {path}");
        }
        answer.status
    };
    api.change("PUT", "/queues/%2F/other", "{}", 201);
    api.change("PUT", "/exchanges/%2F/other", "{}", 201);
    assert_eq!(by("PUT", "/queues/%2F/mine", "{}"), 201);
    assert_eq!(by("PUT", "/queues/%2F/new", "{}"), 401);
    assert_eq!(by("DELETE", "/queues/%2F/other", ""), 401);
    assert_eq!(by("DELETE", "/queues/%2F/other/contents", ""), 401);
    assert_eq!(by("PUT", "/exchanges/%2F/new", "{}"), 401);
    assert_eq!(by("DELETE", "/exchanges/%2F/other", ""), 401);
    assert_eq!(by("POST", "/bindings/%2F/e/other/q/mine", "{}"), 401);
    assert_eq!(by("PUT", "/exchanges/%2F/mine", "{}"), 201);
    assert_eq!(by("POST", "/bindings/%2F/e/mine/q/other", "{}"), 401);
    assert_eq!(by("POST", "/bindings/%2F/e/mine/q/mine", "{}"), 201);
    let dead = r#"{"arguments":{"x-dead-letter-exchange":"other"}}"#;
    assert_eq!(by("PUT", "/queues/%2F/mine2", dead), 401);
    let alternate = r#"{"arguments":{"alternate-exchange":"other"}}"#;
    assert_eq!(by("PUT", "/exchanges/%2F/mine2", alternate), 401);
}

#[test]
fn what_is_not_there_is_not_found() {
    let api = Api::start();
    for path in ["/nosuch", "/queues/%2F/nosuch", "/queues/nosuch", "/exchanges/%2F/nosuch"] {
        api.missing("GET", path);
    }
    for path in ["/vhosts/nosuch", "/users/nosuch", "/queues/%2F/nosuch/contents"] {
        api.missing("DELETE", path);
    }
}

#[test]
fn other_methods_are_not_allowed() {
    let api = Api::start();
    for method in ["PATCH", "POST"] {
        let answer = api.send(method, "/vhosts/%2F", "{}");
        assert_eq!((answer.status, answer.text.as_str()), (405, ""), "{method}");
    }
    assert_eq!(api.send("OPTIONS", "/vhosts/%2F", "").status, 200);
    let head = api.send("HEAD", "/overview", "");
    assert_eq!((head.status, head.header("content-type")), (200, "application/json"));
}

#[test]
fn slashes_in_names_are_escaped_and_one_at_the_end_does_not_count() {
    let api = Api::start();
    api.change("PUT", "/queues/%2f/a%2Fb", "{}", 201);
    assert_eq!(api.get("/queues/%2F/a%2fb/")["name"], "a/b");
    assert_eq!(api.get("/users/").as_array().unwrap().len(), 1);
    let index = api.raw(None, "GET", "/api/", "");
    assert_eq!((index.status, index.header("location")), (301, "/api/index.html"));
}

#[test]
fn a_prefix_stands_before_all_paths() {
    let api = Api::with_config("management.path_prefix = /rabbit\n");
    let login = basic("guest", "guest");
    let status = |path: &str| api.raw(Some(&login), "GET", path, "").status;
    assert_eq!((status("/rabbit/api/whoami"), status("/api/whoami")), (200, 404));
}

#[test]
fn bodies_that_are_no_objects_are_refused() {
    let api = Api::start();
    for body in ["notjson", "[]", "1"] {
        let told = ("bad_request", json!("not_json"));
        api.refused("PUT", "/queues/%2F/q", body, 400, told);
    }
    api.change("PUT", "/queues/%2F/q", "null", 201);
    let told = ("bad_request", json!(["not_boolean", "maybe"]));
    api.refused("PUT", "/queues/%2F/q2", r#"{"durable":"maybe"}"#, 400, told);
}

#[test]
fn bodies_that_are_too_large_are_refused() {
    let api = Api::with_config("management.http.max_body_size = 1000\n");
    let body = format!("{{\"x\":\"{}\"}}", "x".repeat(1000));
    let told = ("bad_request", json!("Exceeded HTTP request body size limit"));
    api.refused("PUT", "/queues/%2F/q", &body, 400, told);
    api.change("PUT", "/queues/%2F/q", &format!("{{\"x\":\"{}\"}}", "x".repeat(900)), 201);
}

#[test]
fn answers_are_json_whatever_is_accepted_and_not_kept() {
    let api = Api::start();
    let answer = api.send("GET", "/whoami", "");
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-cache");
    assert_eq!(answer.header("vary"), "accept, accept-encoding, origin");
}

#[test]
fn paths_that_name_nothing_are_refused_in_the_same_form() {
    let api = Api::start();
    for (method, path) in [
        ("GET", "/queues/%2F/%FF"),
        ("GET", "/exchanges/%FF"),
        ("DELETE", "/x/consumers/%2F/connection/channel/tag"),
    ] {
        let answer = api.send(method, path, "");
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (400, &json!("bad_request")),
            "{path}"
        );
    }
}
