//! What an operator sees of the broker: metrics and the HTTP API.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use ureq::Agent;

use crate::broker::Broker;

/// How long something may take until it is seen.
const PATIENCE: Duration = Duration::from_secs(20);

impl Broker {
    /// A series of its metrics, with labels as they are written; 0 if there is none.
    #[must_use]
    pub fn metric(&self, series: &str) -> f64 {
        let url = format!("http://{}/metrics", self.address_of("http/prometheus"));
        let (_, page) = ask(&url);
        let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// What a path of its HTTP API tells the administrator: status and document.
    #[must_use]
    pub fn api(&self, path: &str) -> (u16, Value) {
        let (status, text) = ask(&format!("http://{}/api{path}", self.http_address()));
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Whether whoever starts it is told that it is of use now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        ask(&format!("http://{}/health/ready", self.address_of("http/prometheus"))).0 == 200
    }

    /// Waits until a series of its metrics has a value.
    #[track_caller]
    pub fn wait_for_metric(&self, series: &str, value: f64) {
        wait_until(series, || self.metric(series) == value);
    }
}

/// Looks again and again until something is so.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn ask(url: &str) -> (u16, String) {
    let agent: Agent = Agent::config_builder().http_status_as_error(false).build().into();
    let login = format!("Basic {}", STANDARD.encode("guest:guest"));
    let response = agent.get(url).header("authorization", login).call();
    let mut response = response.expect("an answer");
    let text = response.body_mut().with_config().limit(1 << 30).read_to_string();
    (response.status().as_u16(), text.expect("a text"))
}
