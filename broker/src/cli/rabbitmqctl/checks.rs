//! Whether all is well: the checks of `rabbitmq-diagnostics`.

use std::net::{TcpStream, ToSocketAddrs};

use serde_json::{Value, json};

use super::call::{Call, UNAVAILABLE, error, part};
use crate::cli::client::path;
use crate::cli::failure::{Done, Failure};
use crate::cli::health;
use crate::cli::table::{find, rows};

/// Asks whether a broker answers.
fn reach(call: &Call) -> Done {
    call.client()?.get(&path(&["whoami"])).map(drop)
}

pub fn ping(call: &Call) -> Done {
    let (node, ms) = (call.node(), call.timeout().as_millis());
    call.banner(&format!(
        "Will ping {node}. This only checks if the OS process is running and registered with epmd. \
         Timeout: {ms} ms."
    ))?;
    reach(call)?;
    call.answer("Ping succeeded", &json!({"result": "ok", "value": "Ping succeeded"}))
}

/// Says yes.
fn well(call: &Call, text: &str) -> Done {
    if call.options.silent {
        return Ok(());
    }
    call.answer(text, &json!({"result": "ok", "message": text, "node": call.node()}))
}

pub fn running(call: &Call) -> Done {
    let node = call.node();
    call.banner(&format!("Checking if RabbitMQ is running on node {node} ..."))?;
    reach(call)?;
    well(call, &format!("RabbitMQ on node {node} is fully booted and running"))
}

pub fn is_running(call: &Call) -> Done {
    let node = call.node();
    call.banner(&format!("Asking node {node} for its status ..."))?;
    reach(call)?;
    well(call, &format!("RabbitMQ on node {node} is fully booted and running"))
}

pub fn is_booting(call: &Call) -> Done {
    let node = call.node();
    call.banner(&format!("Asking node {node} for its boot status ..."))?;
    reach(call)?;
    well(
        call,
        &format!(
            "RabbitMQ on node {node} is fully booted (check with is_running), stopped or has not \
             started booting yet"
        ),
    )
}

pub fn alarms(call: &Call) -> Done {
    let node = call.node();
    call.banner(&format!("Asking node {node} to report any local resource alarms ..."))?;
    match health::ask(&call.client()?, &["alarms"])? {
        None => well(call, &format!("Node {node} reported no alarms, local or clusterwide")),
        Some(_) => Err(alarmed(call)),
    }
}

pub fn local_alarms(call: &Call) -> Done {
    let node = call.node();
    call.banner(&format!("Asking node {node} to report any local resource alarms ..."))?;
    match health::ask(&call.client()?, &["local-alarms"])? {
        None => well(call, &format!("Node {node} reported no local alarms")),
        Some(_) => Err(alarmed(call)),
    }
}

/// A list, and no check: it exits with 0.
pub fn list_alarms(call: &Call) -> Done {
    let node = call.node();
    call.banner(&format!("Asking node {node} to report any known resource alarms ..."))?;
    match health::ask(&call.client()?, &["alarms"])? {
        None => well(call, &format!("Node {node} reported no alarms, local or clusterwide")),
        Some(_) => call.print(&alarmed(call).text),
    }
}

fn alarmed(call: &Call) -> Failure {
    let facts = call.client().and_then(|client| call.facts(&client)).unwrap_or_default();
    let lines = alarm_lines(&facts, call.node());
    let head = format!("Node {} reported the following alarms:\n", call.node());
    Failure::new(UNAVAILABLE, head + &lines.join("\n"))
}

/// What is said of alarms that are set.
pub fn alarm_lines(facts: &Value, node: &str) -> Vec<String> {
    let is_set = |at: &str| find(facts, at).as_bool() == Some(true);
    let memory = format!("Memory alarm on node {node}");
    let disk = format!("Free disk space alarm on node {node}");
    let alarms = [("mem_alarm", memory), ("disk_free_alarm", disk)];
    alarms.into_iter().filter(|(at, _)| is_set(at)).map(|(_, text)| text).collect()
}

pub fn port_listener(call: &Call) -> Done {
    let (node, port) = (call.node(), call.word(0));
    call.banner(&format!("Asking node {node} if there's an active listener on port {port} ..."))?;
    let client = call.client()?;
    match health::ask(&client, &["port-listener", port])? {
        None => well(call, &format!("A listener for port {port} is running on node {node}.")),
        Some(_) => {
            let ports = join(&listening(call)?, "port");
            Err(Failure::new(
                UNAVAILABLE,
                format!(
                    "No listener for port {port} is active on node {node}. Found listeners that use \
                     the following ports: {ports}"
                ),
            ))
        }
    }
}

pub fn protocol_listener(call: &Call) -> Done {
    let (node, protocol) = (call.node(), call.word(0));
    call.banner(&format!(
        "Asking node {node} if there's an active listener for protocol {protocol} ..."
    ))?;
    match health::ask(&call.client()?, &["protocol-listener", protocol])? {
        None => {
            well(call, &format!("A listener for protocol {protocol} is running on node {node}."))
        }
        Some(_) => {
            let protocols = join(&listening(call)?, "protocol");
            Err(error(
                UNAVAILABLE,
                format!(
                    "No listener for protocol {protocol} is active on node {node}. Found listeners \
                     for the following protocols: {protocols}"
                ),
            ))
        }
    }
}

/// Where the broker listens.
fn listening(call: &Call) -> Done<Vec<Value>> {
    Ok(rows(find(&call.client()?.get(&path(&["overview"]))?, "listeners")))
}

fn join(listeners: &[Value], at: &str) -> String {
    listeners.iter().map(|listener| part(listener, at)).collect::<Vec<_>>().join(", ")
}

pub fn connectivity(call: &Call) -> Done {
    let node = call.node();
    call.banner(&format!("Testing TCP connections to all active listeners on node {node} ..."))?;
    let listeners = listening(call)?;
    let opens = |listener: &&Value| {
        let host = match part(listener, "ip_address").as_str() {
            "0.0.0.0" => "127.0.0.1".to_owned(),
            "::" => "::1".to_owned(),
            other => other.to_owned(),
        };
        let port = find(listener, "port").as_u64().and_then(|port| u16::try_from(port).ok());
        let addresses = (host.as_str(), port.unwrap_or_default()).to_socket_addrs();
        let mut addresses = addresses.into_iter().flatten();
        addresses.any(|address| TcpStream::connect_timeout(&address, call.timeout()).is_ok())
    };
    let (open, closed): (Vec<&Value>, Vec<&Value>) = listeners.iter().partition(opens);
    let ports = |of: &[&Value]| {
        of.iter().map(|listener| part(listener, "port")).collect::<Vec<_>>().join(", ")
    };
    match closed.is_empty() {
        true => {
            well(call, &format!("Successfully connected to ports {} on node {node}.", ports(&open)))
        }
        false => Err(error(
            UNAVAILABLE,
            format!("Connection attempts failed to the following ports: {}", ports(&closed)),
        )),
    }
}

pub fn virtual_hosts(call: &Call) -> Done {
    let node = call.node();
    call.banner(&format!("Checking if all vhosts are running on node {node} ..."))?;
    match health::ask(&call.client()?, &["virtual-hosts"])? {
        None => well(call, &format!("Node {node} reported all vhosts as running")),
        Some(why) => Err(error(UNAVAILABLE, why)),
    }
}

pub fn certificates(call: &Call) -> Done {
    let (node, unit) = (call.node(), call.options.unit.as_deref().unwrap_or("weeks"));
    let within = call.options.within.as_deref().unwrap_or("4");
    call.banner(&format!("Checking certificate expiration on node {node} ..."))?;
    match health::ask(&call.client()?, &["certificate-expiration", within, unit])? {
        None => well(call, &format!("No certificates are expiring within {within} {unit}.")),
        Some(why) => Err(error(UNAVAILABLE, why)),
    }
}

pub fn health(call: &Call) -> Done {
    call.banner(
        "This command is DEPRECATED and will be removed in a future version.\nIt performs intrusive, \
         opinionated health checks and requires a fully booted node.\nUse one of the options covered \
         in https://www.rabbitmq.com/monitoring.html#health-checks instead.",
    )?;
    call.banner(&format!("Timeout: {} seconds ...", call.seconds()))?;
    call.banner(&format!("Checking health of node {} ...", call.node()))?;
    match health::ask(&call.client()?, &["alarms"])? {
        None => well(call, "Health check passed"),
        Some(why) => Err(error(UNAVAILABLE, format!("health check failed. Message: {why}"))),
    }
}

/// There is one node.
const ALONE: &str = "seems to be the only one in a single node cluster, the check does not apply";

pub fn quorum_critical(call: &Call) -> Done {
    let node = call.node();
    call.banner(&format!(
        "Checking if node {node} is critical for quorum of any quorum queues ..."
    ))?;
    reach(call)?;
    well(call, &format!("Node {node} {ALONE}"))
}

pub fn mirror_critical(call: &Call) -> Done {
    let node = call.node();
    call.banner(&format!(
        "Checking if node {node} is critical for data safety of any classic mirrored queues ..."
    ))?;
    reach(call)?;
    well(call, &format!("Node {node} {ALONE}"))
}

pub fn deprecated(call: &Call) -> Done {
    call.banner("Checking if any deprecated features are used ...")?;
    reach(call)?;
    well(call, &format!("Cluster {} reported no deprecated features in use", call.node()))
}

pub fn listeners(call: &Call) -> Done {
    let node = call.node();
    call.banner(&format!("Asking node {node} to report its protocol listeners ..."))?;
    let listeners = listening(call)?;
    let all: Vec<Value> = listeners.iter().map(described).collect();
    call.answer(
        &listener_lines(&listeners),
        &json!({"listeners": all, "node": node, "result": "ok"}),
    )
}

/// The listeners, one a line.
pub fn listener_lines(listeners: &[Value]) -> String {
    let line = |listener: &Value| {
        let of = described(listener);
        let part = |at| part(&of, at);
        format!(
            "Interface: {}, port: {}, protocol: {}, purpose: {}",
            part("interface"),
            part("port"),
            part("protocol"),
            part("purpose")
        )
    };
    listeners.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A listener in the words of the tools.
pub fn described(listener: &Value) -> Value {
    let interface = part(listener, "ip_address");
    let interface = if interface.contains(':') { format!("[{interface}]") } else { interface };
    let protocol = part(listener, "protocol");
    let purpose = match protocol.as_str() {
        "amqp" => "AMQP 0-9-1 and AMQP 1.0",
        "amqp/ssl" => "AMQP 0-9-1 and AMQP 1.0 over TLS",
        "http" => "HTTP API",
        "https" => "HTTP API over TLS (HTTPS)",
        "http/prometheus" => "Prometheus exporter API over HTTP",
        "https/prometheus" => "Prometheus exporter API over TLS (HTTPS)",
        _ => "",
    };
    json!({
        "interface": interface, "node": listener["node"], "port": listener["port"],
        "protocol": protocol, "purpose": purpose,
    })
}
