//! Requests to the HTTP API: those of a corpus and one for each that it has, changed here and there.

use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::LazyLock;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use lepus::admin::in_process;
use lepus::config::Config;
use lepus::http::Peer;
use lepus::node::Node;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tower_service::Service;

use crate::bounds::{MIB, within};

/// Some requests wait for threads that are not there.
const PATIENCE: Duration = Duration::from_secs(5);

/// `guest:guest`.
const LOGIN: &str = "Basic Z3Vlc3Q6Z3Vlc3Q=";

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap());

/// Method, path with its query, body.
type Line = (String, Vec<u8>, Vec<u8>);

static REQUESTS: LazyLock<Vec<Line>> = LazyLock::new(|| {
    let known = include_str!("../seeds/http.txt").lines().map(|text| line(text.as_bytes()));
    known.chain(operations()).collect()
});

fn line(octets: &[u8]) -> Line {
    let mut words = octets.splitn(3, |octet| *octet == b' ');
    let mut next = || words.next().unwrap_or_default().to_vec();
    (String::from_utf8_lossy(&next()).into_owned(), next(), next())
}

/// Requests, one a line: method, path, body. Nothing panics, and nothing is the broker's fault.
pub fn requests(octets: &[u8]) {
    let lines = octets.split(|octet| *octet == b'\n').take(MOST_REQUESTS);
    carry_out(&lines.map(line).collect::<Vec<_>>());
}

/// Each of the requests.
pub fn seeds() -> Vec<Vec<u8>> {
    REQUESTS
        .iter()
        .map(|(method, path, body)| [method.as_bytes(), path, body].join(&b' '))
        .collect()
}

/// Of a case.
const MOST_REQUESTS: usize = 12;

fn carry_out(requests: &[Line]) {
    within(MOST, || {
        let node = Node::in_memory(Config::default());
        let mut router = in_process(node.clone());
        for (method, path, body) in requests {
            if let Some(request) = request(method, path, body.clone()) {
                let status = ask(&mut router, request);
                assert!(!is_our_fault(status), "{method} {}: {status}", path.escape_ascii());
            }
        }
        node.dismantle();
    });
}

/// Octets that a case may allocate: a broker with its API, and a dozen requests.
const MOST: u64 = 64 * MIB;

fn is_our_fault(status: StatusCode) -> bool {
    // Health checks answer 503 when something is wrong; what RabbitMQ alone has is 501.
    status == StatusCode::INTERNAL_SERVER_ERROR
}

/// `None` if no client could send it.
fn request(method: &str, path: &[u8], body: Vec<u8>) -> Option<Request<Body>> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let request = Request::builder().method(method).uri(path).header("authorization", LOGIN);
    let request = request.header("content-type", "application/json").body(body.into());
    let mut request = request.ok().filter(|request| request.uri().path().starts_with('/'))?;
    request.extensions_mut().insert(ConnectInfo(Peer { address, is_owner: false }));
    Some(request)
}

fn ask(router: &mut Router, request: Request<Body>) -> StatusCode {
    RUNTIME.block_on(async {
        poll_fn(|cx| Service::<Request<Body>>::poll_ready(router, cx)).await.unwrap();
        let Ok(answer) = timeout(PATIENCE, router.call(request)).await else {
            return StatusCode::REQUEST_TIMEOUT;
        };
        let answer = answer.unwrap();
        let status = answer.status();
        // A stream of lines has no end.
        let is_list =
            answer.headers().get("content-type").is_some_and(|kind| kind == "application/json");
        if is_list {
            let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
            assert!(body.is_empty() || serde_json::from_slice::<Value>(&body).is_ok());
        }
        status
    })
}

/// One for each that the API tells of, with names that there are.
fn operations() -> Vec<Line> {
    let node = Node::in_memory(Config::default());
    let mut router = in_process(node.clone());
    let document: Value = RUNTIME.block_on(async {
        let request = request("GET", b"/api/openapi.json", Vec::new()).unwrap();
        let answer = router.call(request).await.unwrap();
        let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    });
    node.dismantle();
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for method in methods.as_object().into_iter().flatten().map(|(method, _)| method) {
            let mut filled = String::new();
            for part in path.split('/').skip(1) {
                filled.push('/');
                filled.push_str(match part {
                    "{vhost}" => "%2F",
                    // Not who asks: without it all that follows is refused, and later each time.
                    "{user}" => "u",
                    part if part.starts_with('{') => "q",
                    part => part,
                });
            }
            let body = if method == "get" { "" } else { r#"{"name":"q","value":1}"# };
            if (method.as_str(), filled.as_str()) != ("delete", "/api/vhosts/%2F") {
                all.push((method.to_uppercase(), filled.into_bytes(), body.into()));
            }
        }
    }
    assert!(all.len() > 100, "{} operations", all.len());
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::cases;
    use crate::octets::{Edit, changed, edits};

    proptest! {
        #![proptest_config(cases(2))]

        #[test]
        fn requests(
            which in prop::collection::vec((any::<Index>(), edits(3), edits(4)), 1..MOST_REQUESTS),
        ) {
            let request = |(at, of_path, of_body): &(Index, Vec<Edit>, Vec<Edit>)| {
                let (method, path, body) = at.get(REQUESTS.as_slice());
                (method.clone(), changed(path, of_path), changed(body, of_body))
            };
            carry_out(&which.iter().map(request).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_requests_themselves_are_answered() {
        let node = Node::in_memory(Config::default());
        let mut router = in_process(node.clone());
        let (mut done, mut refused, mut late) = (0, 0, Vec::new());
        for (method, path, body) in REQUESTS.iter() {
            let request = request(method, path, body.clone()).unwrap();
            let status = ask(&mut router, request);
            let path = path.escape_ascii().to_string();
            assert!(!is_our_fault(status), "{method} {path}: {status}");
            refused += usize::from(status == StatusCode::UNAUTHORIZED);
            late.extend((status == StatusCode::REQUEST_TIMEOUT).then_some((method, path)));
            done += usize::from(status.is_success());
        }
        assert!(late.is_empty(), "not answered: {late:?}");
        assert!(done > REQUESTS.len() / 3, "{done} of {}", REQUESTS.len());
        assert!(refused < 5, "{refused} were refused: who asks is gone");
        node.dismantle();
    }
}
