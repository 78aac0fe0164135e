//! A client of the HTTP API.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lepus_tests::Broker;
use serde_json::{Value, json};
use ureq::http::{HeaderMap, Request};
use ureq::{Agent, BodyReader};

/// A broker, and somebody who asks it.
pub struct Api {
    pub broker: Broker,
    agent: Agent,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub text: String,
    pub headers: HeaderMap,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Api {
    pub fn start() -> Self {
        Self::with_config("")
    }

    pub fn with_config(config: &str) -> Self {
        let agent = Agent::config_builder().http_status_as_error(false).max_redirects(0);
        let agent = agent.max_redirects_will_error(false).allow_non_standard_methods(true);
        Self { broker: Broker::with_config(config), agent: agent.build().into() }
    }

    /// A request with its `Authorization` as it is, if there is any.
    pub fn raw(&self, login: Option<&str>, method: &str, path: &str, body: &str) -> Answer {
        let headers = login.into_iter().map(|login| ("authorization", login));
        self.ask(&headers.collect::<Vec<_>>(), method, path, body)
    }

    /// A request of the administrator with one more header.
    pub fn with_header(&self, header: (&str, &str), method: &str, path: &str) -> Answer {
        self.ask(&[("authorization", &basic("guest", "guest")), header], method, path, "")
    }

    /// A request with these headers.
    pub fn ask(&self, headers: &[(&str, &str)], method: &str, path: &str, body: &str) -> Answer {
        let address = self.broker.http_address();
        let mut request = Request::builder().method(method).uri(format!("http://{address}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = if body.is_empty() {
            self.agent.run(request.body(()).unwrap()).unwrap()
        } else {
            self.agent.run(request.body(body.to_owned()).unwrap()).unwrap()
        };
        let text = response.body_mut().read_to_string().unwrap();
        Answer { status: response.status().as_u16(), text, headers: response.headers().clone() }
    }

    /// What keeps coming.
    pub fn stream(&self, path: &str) -> BodyReader<'static> {
        let url = format!("http://{}/api{path}", self.broker.http_address());
        let request = self.agent.get(url).header("authorization", basic("guest", "guest"));
        let response = request.call().unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.into_body().into_reader()
    }

    /// A request of a user, whose password is the name.
    pub fn by(&self, user: &str, method: &str, path: &str, body: &str) -> Answer {
        self.raw(Some(&basic(user, user)), method, &format!("/api{path}"), body)
    }

    /// A request of the administrator.
    pub fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        self.by("guest", method, path, body)
    }

    /// What there is.
    pub fn get(&self, path: &str) -> Value {
        let answer = self.send("GET", path, "");
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    /// A request that changes something, and is answered without a word.
    #[track_caller]
    pub fn change(&self, method: &str, path: &str, body: &str, status: u16) {
        let answer = self.send(method, path, body);
        assert_eq!((answer.status, answer.text.as_str()), (status, ""), "{method} {path} {body}");
    }

    /// A request that is refused in these words.
    #[track_caller]
    pub fn refused(&self, method: &str, path: &str, body: &str, status: u16, told: (&str, Value)) {
        let answer = self.send(method, path, body);
        let (error, reason) = told;
        let told = json!({"error": error, "reason": reason});
        assert_eq!((answer.status, answer.json()), (status, told), "{method} {path} {body}");
    }

    /// The same for something that is not there.
    #[track_caller]
    pub fn missing(&self, method: &str, path: &str) {
        self.refused(method, path, "", 404, ("Object Not Found", json!("Not Found")));
    }

    /// A user whose password is the name, who may use `/` as these patterns say.
    pub fn user(&self, name: &str, tags: &str, [configure, write, read]: [&str; 3]) {
        let body = json!({"password": name, "tags": tags}).to_string();
        self.change("PUT", &format!("/users/{name}"), &body, 201);
        let body = json!({"configure": configure, "write": write, "read": read}).to_string();
        self.change("PUT", &format!("/permissions/%2F/{name}"), &body, 201);
    }
}

/// What HTTP Basic sends.
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}
