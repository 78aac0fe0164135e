//! The same requests to both HTTP APIs: the same statuses, and bodies with the same keys and types.

mod known;
mod shape;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use ureq::Agent;
use ureq::http::Request;

use crate::bench::scratch::free_port;
use crate::bench::{CONFIG, Peer, Scratch, rabbitmq};
use crate::{bench_scale, tools};
use shape::Shape;

/// One request a line: method, path, body if there is one.
const REQUESTS: &str = "interop-tests/differential/management.txt";

/// `guest:guest`.
const LOGIN: &str = "Basic Z3Vlc3Q6Z3Vlc3Q=";

/// RabbitMQ tells of a connection some seconds after it came.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much is shown of what differs.
const SHOWN: usize = 100;

/// What came back.
struct Answer {
    status: u16,
    shape: Shape,
}

/// Compares this binary with Debian's RabbitMQ and its management plugin.
pub(super) fn compare(lepus: &Path) -> Result<()> {
    let text = std::fs::read_to_string(tools::root()?.join(REQUESTS))?;
    let requests: Vec<&str> = text.lines().collect();
    let ours = {
        let port = free_port()?;
        let ports = [&port.to_string(), "0"];
        let peer = Peer::lepus_at(lepus, Scratch::new("lepus")?, ports)?;
        ask_all(&peer, port, &requests).context("Lepus")?
    };
    let theirs = {
        let (port, scratch) = (free_port()?, Scratch::new("rabbitmq")?);
        let config = format!("management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {port}\n");
        std::fs::write(scratch.path().join(CONFIG), config)?;
        std::fs::write(scratch.path().join("enabled_plugins"), "[rabbitmq_management].\n")?;
        let peer = rabbitmq::start_in(scratch)?;
        ask_all(&peer, port, &requests).context("RabbitMQ")?
    };
    report(&requests, &ours, &theirs)
}

fn ask_all(peer: &Peer, port: u16, requests: &[&str]) -> Result<Vec<Answer>> {
    let _connection = bench_scale::idle(peer.addr(), 1)?;
    let agent = Agent::config_builder().http_status_as_error(false).max_redirects(0);
    let agent = agent.max_redirects_will_error(false).allow_non_standard_methods(true);
    // RabbitMQ closes a connection after so many requests, and a PUT that meets that is not sent again.
    let agent = agent.max_idle_connections(0);
    let agent: Agent = agent.build().into();
    let ask = |line: &str| ask(&agent, port, line).with_context(|| line.to_owned());
    let deadline = Instant::now() + PATIENCE;
    loop {
        let connections = ask("GET /channels?columns=connection_details,idle_since");
        if connections.is_ok_and(|(_, body)| body.to_string().contains("peer_host")) {
            break;
        }
        ensure!(Instant::now() < deadline, "no channel is seen");
        std::thread::sleep(Duration::from_millis(100));
    }
    let answer = |line: &&str| {
        let (status, body) = ask(line)?;
        Ok(Answer { status, shape: Shape::of(&body) })
    };
    requests.iter().map(answer).collect()
}

/// A status, and a body; null if it is none in JSON.
fn ask(agent: &Agent, port: u16, line: &str) -> Result<(u16, Value)> {
    let mut words = line.splitn(3, ' ');
    let (method, path) = words.next().zip(words.next()).context("no method and path")?;
    let body = words.next().unwrap_or_default();
    let path = path.replace('[', "%5B");
    let request = Request::builder().method(method).header("authorization", LOGIN);
    let request = request.uri(format!("http://127.0.0.1:{port}/api{path}"));
    let mut response = if body.is_empty() {
        agent.run(request.body(())?)?
    } else {
        agent.run(request.header("content-type", "application/json").body(body.to_owned())?)?
    };
    let text = response.body_mut().read_to_string()?;
    Ok((response.status().as_u16(), serde_json::from_str(&text).unwrap_or_default()))
}

fn report(requests: &[&str], ours: &[Answer], theirs: &[Answer]) -> Result<()> {
    let (mut different, mut known) = (Vec::new(), 0);
    for ((request, ours), theirs) in requests.iter().zip(ours).zip(theirs) {
        let mut found = theirs.shape.missing_in(&ours.shape);
        if ours.status != theirs.status {
            found.push(format!("status {} instead of {}", ours.status, theirs.status));
        }
        for what in found {
            match known::reason(request, &what) {
                Some(_) => known += 1,
                None => different.push(format!("{request}: {what}")),
            }
        }
    }
    different.iter().take(SHOWN).for_each(|line| println!("{line}"));
    println!(
        "{} requests to both HTTP APIs: {known} known differences, {} others",
        requests.len(),
        different.len()
    );
    ensure!(different.is_empty(), "the HTTP APIs differ");
    Ok(())
}
