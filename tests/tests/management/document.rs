//! What the API says of itself.

use serde_json::Value;

use crate::api::Api;

#[test]
fn the_document_tells_of_all_routes_and_what_they_answer() {
    let api = Api::start();
    let document = api.get("/openapi.json");
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 100, "{}", paths.len());
    let declare = &paths["/api/queues/{vhost}/{queue}"]["put"];
    assert_eq!(declare["operationId"], "put_queues_vhost_queue");
    assert_eq!(declare["requestBody"]["content"]["application/json"]["schema"]["type"], "object");
    let names = declare["parameters"].as_array().unwrap().iter();
    let names: Vec<&str> = names.map(|parameter| parameter["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["vhost", "queue"]);
    for (path, operations) in paths {
        let endless = path.starts_with("/api/x/events") || path.starts_with("/api/x/logs");
        if path.contains('{') || operations["get"].is_null() || endless {
            continue;
        }
        let answer = api.send("GET", path.strip_prefix("/api").unwrap(), "");
        let told = &operations["get"]["responses"][answer.status.to_string()];
        assert!(!told.is_null(), "{path}: {answer:?}");
        let _: Value = answer.json();
    }
    assert_eq!(api.raw(None, "GET", "/api/openapi.json", "").status, 401);
}
