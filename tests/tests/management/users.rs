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
