//! Virtual hosts, users, permissions, limits.

use serde_json::json;

use crate::api::Api;

#[test]
fn virtual_hosts_come_change_and_go() {
    let api = Api::start();
    api.change("PUT", "/vhosts/foo", "", 201);
    api.change("PUT", "/vhosts/foo", "", 204);
    let body = r#"{"description":"d","tags":"a,b","tracing":false,"default_queue_type":"quorum"}"#;
    api.change("PUT", "/vhosts/bar", body, 201);
    let bar = api.get("/vhosts/bar");
    assert_eq!((&bar["description"], &bar["tags"]), (&json!("d"), &json!(["a", "b"])));
    assert_eq!((&bar["default_queue_type"], &bar["tracing"]), (&json!("quorum"), &json!(false)));
    assert_eq!(bar["cluster_state"], json!({"rabbit@localhost": "running"}));
    api.change("PUT", "/vhosts/bar", r#"{"tracing":true}"#, 204);
    let bar = api.get("/vhosts/bar");
    assert_eq!((&bar["description"], &bar["tracing"]), (&json!("d"), &json!(true)));
    api.change("POST", "/vhosts/bar/deletion/protection", "", 204);
    assert_eq!(api.send("DELETE", "/vhosts/bar", "").status, 412);
    api.change("DELETE", "/vhosts/bar/deletion/protection", "", 204);
    api.change("DELETE", "/vhosts/bar", "", 204);
    api.missing("DELETE", "/vhosts/bar");
}

#[test]
fn users_come_change_and_go() {
    let api = Api::start();
    let u1 = "/users/u1";
    api.change("PUT", u1, r#"{"password":"p","tags":"management,foo"}"#, 201);
    assert_eq!(api.get(u1)["tags"], json!(["management", "foo"]));
    api.change("PUT", u1, r#"{"password":"p","tags":["monitoring"]}"#, 204);
    assert_eq!(api.get(u1)["hashing_algorithm"], "rabbit_password_hashing_sha256");
    api.change("PUT", "/users/u2", r#"{"password_hash":"","tags":""}"#, 201);
    let u2 = json!({
        "name": "u2", "password_hash": "", "tags": [], "limits": {},
        "hashing_algorithm": "rabbit_password_hashing_sha256",
    });
    assert_eq!(api.get("/users/u2"), u2);
    api.change("PUT", "/users/u3", r#"{"tags":"x"}"#, 201);
    assert_eq!(api.get("/users/without-permissions").as_array().unwrap().len(), 3);
    let told = ("bad_request", json!(["no_such_user", "nosuch"]));
    api.refused("POST", "/users/bulk-delete", r#"{"users":["u3","nosuch"]}"#, 400, told);
    api.change("POST", "/users/bulk-delete", r#"{"users":["u2","u3"]}"#, 204);
    api.change("DELETE", u1, "", 204);
    api.missing("GET", u1);
    assert_eq!(api.get("/users").as_array().unwrap().len(), 1);
}

#[test]
fn users_that_make_no_sense_are_refused() {
    let api = Api::start();
    let refused = |body: &str, reason| {
        api.refused("PUT", "/users/u", body, 400, ("bad_request", reason));
    };
    refused(r#"{"password":"p"}"#, json!("tags_not_present"));
    let both = json!("both_password_and_password_hash_are_provided");
    refused(r#"{"password":"p","password_hash":"abc","tags":""}"#, both);
    refused(r#"{"password_hash":"!!!","tags":""}"#, json!(["not_base64", "!!!"]));
    refused("notjson", json!("not_json"));
}

#[test]
fn names_that_amqp_could_not_say_are_refused() {
    let api = Api::start();
    let long = "n".repeat(256);
    let refused = |method, path: String, body: &str, what: &str| {
        let told = format!("{what} should be less than 255 bytes, actually was 256");
        let answer = api.send(method, &path, body);
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.json()["reason"].as_str().unwrap().contains(&told), "{:?}", answer.json());
    };
    refused("PUT", format!("/users/{long}"), r#"{"tags":""}"#, "user");
    refused("PUT", format!("/vhosts/{long}"), "", "vhost");
    refused("PUT", format!("/queues/%2F/{long}"), "", "queue");
    refused("PUT", format!("/exchanges/%2F/{long}"), "", "exchange");
    let policy = r#"{"pattern":"","definition":{"max-length":1}}"#;
    refused("PUT", format!("/policies/%2F/{long}"), policy, "policy");
    let key = json!({"routing_key": long}).to_string();
    let path = "/bindings/%2F/e/amq.topic/e/amq.fanout";
    refused("POST", path.to_owned(), &key, "routing_key");
    for path in ["/users/", "/vhosts/", "/queues/%2F/"] {
        assert_eq!(api.send("PUT", path, r#"{"tags":""}"#).status, 405, "{path}");
    }
}

#[test]
fn new_passwords_must_please_the_validator() {
    let api = Api::with_config(
        "credential_validator.validation_backend = rabbit_credential_validator_min_password_length\n\
         credential_validator.min_length = 5\n",
    );
    let failed = || ("bad_request", json!("credential_validation_failed"));
    for body in
        [r#"{"password":"four","tags":""}"#, r#"{"password":"","tags":""}"#, r#"{"tags":""}"#]
    {
        api.refused("PUT", "/users/u", body, 400, failed());
    }
    api.change("PUT", "/users/u", r#"{"password":"fives","tags":""}"#, 201);
    api.change("PUT", "/users/h", r#"{"password_hash":"","tags":""}"#, 201);
    let users = r#"{"users":[{"name":"d","password":"four","tags":""}]}"#;
    let answer = api.send("POST", "/definitions", users);
    assert_eq!(answer.status, 400);
    let told = answer.json()["reason"].to_string();
    let expected =
        r#"user \"d\": credential_validation_failed: minimum required password length is 5"#;
    assert!(told.contains(expected), "{told}");
    assert!(!told.contains("four"), "{told}");
}

#[test]
fn a_new_virtual_host_lets_its_default_users_in() {
    let api = Api::with_config(
        "default_users.app.vhost_pattern = ^team-\n\
         default_users.app.password = app\n\
         default_users.app.configure = ^app\n\
         default_users.app.tags = management\n",
    );
    assert_eq!(api.get("/users").as_array().unwrap().len(), 1, "the default user is made as ever");
    api.change("PUT", "/vhosts/other", "", 201);
    api.missing("GET", "/users/app");
    api.change("PUT", "/vhosts/team-1", "", 201);
    let may = json!([{
        "user": "app", "vhost": "team-1", "configure": "^app", "write": ".*", "read": ".*",
    }]);
    assert_eq!(api.get("/users/app/permissions"), may);
    assert_eq!(api.by("app", "GET", "/whoami", "").json()["tags"], json!(["management"]));
    api.change("PUT", "/users/app", r#"{"password":"another","tags":""}"#, 204);
    api.change("PUT", "/vhosts/team-2", "", 201);
    assert_eq!(api.get("/users/app/permissions").as_array().unwrap().len(), 2);
    assert_eq!(api.by("app", "GET", "/whoami", "").status, 401, "the password stays");
}

#[test]
fn a_hash_from_elsewhere_is_a_password() {
    let api = Api::start();
    let hash = "2O3QZRgpdU58OkNTWKlC0bi1rk9G+i5KORgTwjj8c/IEcZAK";
    let body = json!({"password_hash": hash, "tags": "management"}).to_string();
    api.change("PUT", "/users/u", &body, 201);
    let login = crate::api::basic("u", "guest");
    assert_eq!(api.raw(Some(&login), "GET", "/api/whoami", "").status, 200);
    assert_eq!(api.get("/users/u")["password_hash"], hash);
}

#[test]
fn permissions_come_change_and_go() {
    let api = Api::start();
    api.change("PUT", "/vhosts/foo", "", 201);
    api.change("DELETE", "/permissions/foo/guest", "", 204);
    api.change("PUT", "/users/u1", r#"{"password":"p","tags":""}"#, 201);
    let path = "/permissions/foo/u1";
    let body = r#"{"configure":"a","write":"b","read":"c"}"#;
    api.change("PUT", path, body, 201);
    api.change("PUT", path, body, 204);
    let shown = json!({"user": "u1", "vhost": "foo", "configure": "a", "write": "b", "read": "c"});
    assert_eq!(api.get(path), shown);
    assert_eq!(api.get("/vhosts/foo/permissions"), json!([shown]));
    assert_eq!(api.get("/users/u1/permissions"), json!([shown]));
    assert_eq!(api.get("/permissions").as_array().unwrap().len(), 2);
    let told = ("bad_request", json!("[{key_missing,write},{key_missing,read}]"));
    api.refused("PUT", path, r#"{"configure":".*"}"#, 400, told);
    for path in ["/permissions/foo/nouser", "/permissions/novh/u1"] {
        let told = ("bad_request", json!("vhost_or_user_not_found"));
        api.refused("PUT", path, body, 400, told);
    }
    let bad = api.send("PUT", path, r#"{"configure":"[","write":"","read":""}"#);
    assert_eq!((bad.status, &bad.json()["reason"][0]), (400, &json!("invalid_regexp")));
    api.change("DELETE", path, "", 204);
    api.missing("DELETE", path);
}

#[test]
fn topic_permissions_come_and_go() {
    let api = Api::start();
    let path = "/topic-permissions/%2F/guest";
    let body = r#"{"exchange":"amq.topic","write":"^a","read":".*"}"#;
    api.missing("GET", path);
    api.change("PUT", path, body, 201);
    let shown = json!([{
        "user": "guest", "vhost": "/", "exchange": "amq.topic", "write": "^a", "read": ".*",
    }]);
    for path in [path, "/topic-permissions", "/users/guest/topic-permissions"] {
        assert_eq!(api.get(path), shown);
    }
    api.change("DELETE", "/topic-permissions/%2F/guest/amq.topic", "", 204);
    api.missing("DELETE", path);
}

#[test]
fn limits_are_set_and_taken_back() {
    let api = Api::start();
    api.change("PUT", "/vhost-limits/%2F/max-queues", r#"{"value":1}"#, 204);
    assert_eq!(api.get("/vhost-limits/%2F"), json!([{"vhost": "/", "value": {"max-queues": 1}}]));
    api.change("PUT", "/queues/%2F/one", "{}", 201);
    assert_eq!(api.send("PUT", "/queues/%2F/two", "{}").status, 400);
    api.change("DELETE", "/vhost-limits/%2F/max-queues", "", 204);
    api.change("PUT", "/queues/%2F/two", "{}", 201);
    assert_eq!(api.get("/vhost-limits"), json!([]));
    api.change("PUT", "/user-limits/guest/max-connections", r#"{"value":3}"#, 204);
    let shown = json!([{"user": "guest", "value": {"max-connections": 3}}]);
    assert_eq!(api.get("/user-limits"), shown);
    assert_eq!(api.get("/user-limits/guest"), shown);
    api.change("DELETE", "/user-limits/guest/max-connections", "", 204);
    assert_eq!(api.get("/user-limits"), json!([]));
    let told = ("bad_request", json!("[{key_missing,value}]"));
    api.refused("PUT", "/user-limits/guest/max-connections", "{}", 400, told);
}

#[test]
fn who_makes_a_virtual_host_may_do_anything_there() {
    let api = Api::start();
    api.user("maker", "administrator", [".*", ".*", ".*"]);
    assert_eq!(api.by("maker", "PUT", "/vhosts/made", "").status, 201);
    assert_eq!(
        api.get("/permissions/made/maker"),
        json!({"user": "maker", "vhost": "made", "configure": ".*", "write": ".*", "read": ".*"})
    );
    assert_eq!(api.by("maker", "PUT", "/queues/made/q", "{}").status, 201);
    // Changed by somebody else, it is nobody's anew.
    api.change("PUT", "/vhosts/made", r#"{"description":"d"}"#, 204);
    api.missing("GET", "/permissions/made/guest");
}
