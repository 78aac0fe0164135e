//! Asking a broker, by its HTTP API: through the socket in its data directory, or at a URL.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;
use ureq::http::{Request, Response};
use ureq::{Agent, Body, BodyReader};

use super::failure::{DATA, Done, Failure, NO, SOFTWARE, UNAVAILABLE};
use super::unix::{NoHost, Socket};
use crate::access::web;
use crate::config::tls::TlsOptions;
use crate::http::socket_in;

/// What of a path's segment needs no escape.
const SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'*');

/// A path of the API; each segment is escaped.
pub fn path(segments: &[&str]) -> String {
    let escaped = segments.iter().map(|segment| utf8_percent_encode(segment, SEGMENT).to_string());
    format!("/api/{}", escaped.collect::<Vec<_>>().join("/"))
}

/// Where all of a kind are listed, or those of a virtual host.
pub fn all_of(kind: &str, vhost: Option<&str>) -> String {
    match vhost {
        Some(vhost) => path(&[kind, vhost]),
        None => path(&[kind]),
    }
}

/// A path with a query.
pub fn with_query(path: &str, query: &[(&str, &str)]) -> String {
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    pairs.extend_pairs(query);
    match pairs.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

/// Where a broker is.
#[derive(Clone, Debug)]
pub enum Place {
    /// In this data directory.
    DataDir(PathBuf),
    /// At this URL.
    Url(String),
}

/// One who asks a broker.
pub struct Client {
    agent: Agent,
    /// All before `/api`.
    base: String,
    login: Option<String>,
    /// The broker, for messages.
    shown: String,
}

impl Client {
    /// Asks nobody yet. An answer may take so long.
    pub fn new(place: &Place, timeout: Duration, tls: &TlsOptions) -> Done<Self> {
        match place {
            Place::DataDir(directory) => Ok(Self::local(directory, timeout)),
            Place::Url(url) => Self::remote(url, timeout, tls),
        }
    }

    fn local(directory: &Path, timeout: Duration) -> Self {
        let socket = socket_in(directory);
        let shown = socket.display().to_string();
        let config = Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            .max_idle_connections(0)
            .proxy(None)
            .build();
        let agent = Agent::with_parts(config, Socket(socket), NoHost);
        Self { agent, base: "http://localhost".to_owned(), login: None, shown }
    }

    fn remote(url: &str, timeout: Duration, tls: &TlsOptions) -> Done<Self> {
        let wrong = |why: &str| Failure::new(DATA, format!("{url}: {why}"));
        let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("is no URL"))?;
        if !["http", "https"].contains(&scheme) {
            return Err(wrong("neither http:// nor https://"));
        }
        let (login, rest) = match rest.rsplit_once('@') {
            Some((login, rest)) => (Some(login), rest),
            None => (None, rest),
        };
        let rest = rest.trim_end_matches('/');
        let rest = rest.strip_suffix("/api").unwrap_or(rest);
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let login = login.unwrap_or("guest:guest");
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let login = STANDARD.encode(format!("{}:{}", decoded(user), decoded(password)));
        let agent =
            web::agent(timeout, timeout, tls).map_err(|error| Failure::data(error.to_string()))?;
        let base = format!("{scheme}://{rest}");
        Ok(Self { agent, shown: base.clone(), base, login: Some(format!("Basic {login}")) })
    }

    /// What is at a path.
    pub fn get(&self, path: &str) -> Done<Value> {
        self.ask("GET", path, None)
    }

    /// Puts something there.
    pub fn put(&self, path: &str, body: &Value) -> Done<Value> {
        self.ask("PUT", path, Some(body))
    }

    /// Has something done.
    pub fn post(&self, path: &str, body: &Value) -> Done<Value> {
        self.ask("POST", path, Some(body))
    }

    /// Removes what is there.
    pub fn delete(&self, path: &str) -> Done<Value> {
        self.ask("DELETE", path, None)
    }

    /// The same, with what a client is told.
    pub fn delete_because(&self, path: &str, reason: &str) -> Done<Value> {
        let request = self.request("DELETE", path).header("x-reason", reason).body(Vec::new());
        read(self.run(request, false)?)
    }

    /// A login of another user: whether it succeeds.
    pub fn logs_in(&self, user: &str, password: &str) -> Done<bool> {
        let login = STANDARD.encode(format!("{user}:{password}"));
        let request = Request::builder().uri(format!("{}/api/whoami", self.base));
        let request = request.header("authorization", format!("Basic {login}")).body(Vec::new());
        let mut response = self.run(request, false)?;
        // Who has no tag may not use the API, and has logged in all the same.
        let told = response.body_mut().read_to_string().unwrap_or_default();
        Ok(response.status() == 200 || told.contains("not_authorised"))
    }

    /// A stream that does not end.
    pub fn stream(&self, path: &str) -> Done<BufReader<BodyReader<'static>>> {
        let response = self.run(self.request("GET", path).body(Vec::new()), true)?;
        match response.status().is_success() {
            true => Ok(BufReader::new(response.into_body().into_reader())),
            false => Err(refusal(response)),
        }
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Done<Value> {
        let body = body.map(serde_json::to_vec).transpose();
        let body = body.map_err(|error| Failure::new(SOFTWARE, error.to_string()))?;
        let request = self.request(method, path).header("content-type", "application/json");
        let answer = read(self.run(request.body(body.unwrap_or_default()), false)?);
        answer.map_err(|failure| named(failure, path))
    }

    fn request(&self, method: &str, path: &str) -> ureq::http::request::Builder {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        match &self.login {
            Some(login) => request.header("authorization", login),
            None => request,
        }
    }

    fn run(
        &self,
        request: Result<Request<Vec<u8>>, ureq::http::Error>,
        endless: bool,
    ) -> Done<Response<Body>> {
        let request = request.map_err(|error| Failure::data(error.to_string()))?;
        let has_body = !request.body().is_empty();
        let (parts, body) = request.into_parts();
        let answer = if has_body {
            let request = Request::from_parts(parts, body);
            self.agent.run(request)
        } else {
            let request = self.agent.configure_request(Request::from_parts(parts, ()));
            let request = if endless { request.timeout_global(None) } else { request };
            self.agent.run(request.build())
        };
        answer.map_err(|error| {
            Failure::new(UNAVAILABLE, format!("no broker answers at {}: {error}", self.shown))
        })
    }
}

/// The same failure, saying what is not there.
fn named(failure: Failure, path: &str) -> Failure {
    if !failure.is_missing() || failure.text != "Not Found" {
        return failure;
    }
    let place = path.split('?').next().unwrap_or_default().trim_start_matches("/api/");
    Failure { text: format!("not found: {place}"), ..failure }
}

/// The body of an answer, or why there is none.
fn read(response: Response<Body>) -> Done<Value> {
    if !response.status().is_success() {
        return Err(refusal(response));
    }
    let body = response.into_body().into_with_config().limit(u64::MAX).read_to_vec();
    let body = body.map_err(|error| Failure::new(UNAVAILABLE, error.to_string()))?;
    if body.is_empty() {
        return Ok(Value::Null);
    }
    let senseless = |error| format!("the broker's answer is not JSON: {error}");
    serde_json::from_slice(&body).map_err(|error| Failure::new(SOFTWARE, senseless(error)))
}

fn refusal(mut response: Response<Body>) -> Failure {
    let status = response.status();
    let body = response.body_mut().read_to_vec().unwrap_or_default();
    let document: Value = serde_json::from_slice(&body).unwrap_or_default();
    let reason = match document.get("reason") {
        Some(Value::String(reason)) => reason.clone(),
        Some(reason) => reason.to_string(),
        None if status == 401 => "the broker asks for a user and a password".to_owned(),
        None => format!("the broker answers {status}"),
    };
    Failure { code: NO, text: reason, status: Some(status.as_u16()), body: document }
}
