//! Debian's RabbitMQ as a private node: own files, own ports, own epmd, no plugins.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::install::{RABBITMQ_CTL, RABBITMQ_SERVER};
use super::peer::{CONFIG, Peer, Process, log_file};
use super::scratch::{Scratch, free_port};

/// The node's name.
const NODE: &str = "lepus_bench@localhost";
/// How long epmd gets to listen; a node that finds none would start one that outlives it.
const EPMD_START: Duration = Duration::from_millis(300);

/// Starts a node and waits until it answers. A system-wide RabbitMQ is neither used nor disturbed.
pub(crate) fn start() -> Result<Peer> {
    start_in(Scratch::new("rabbitmq")?)
}

/// Where the port of a node's epmd is written down.
const EPMD_PORT: &str = "epmd.port";

/// `rabbitmqctl` for the node whose files are in a directory.
pub(crate) fn ctl(dir: &Path) -> Result<Command> {
    let mut ctl = Command::new(RABBITMQ_CTL);
    ctl.env("HOME", dir)
        .env("ERL_EPMD_PORT", std::fs::read_to_string(dir.join(EPMD_PORT))?)
        .env("RABBITMQ_NODENAME", NODE)
        .env("RABBITMQ_CONF_ENV_FILE", dir.join("none"))
        .current_dir(dir);
    Ok(ctl)
}

/// Starts a node with what an earlier one has left in its directory, or what it is to find there.
pub(crate) fn start_in(scratch: Scratch) -> Result<Peer> {
    let dir = scratch.path();
    let (port, epmd_port) = (free_port()?, free_port()?.to_string());
    for (file, text) in [("enabled_plugins", "[].\n"), (CONFIG, "")] {
        if !dir.join(file).exists() {
            std::fs::write(dir.join(file), text)?;
        }
    }
    std::fs::write(dir.join(EPMD_PORT), &epmd_port)?;
    let mut epmd = Command::new("epmd");
    epmd.args(["-port", &epmd_port, "-address", "127.0.0.1"]);
    epmd.stdout(log_file(dir)?).stderr(log_file(dir)?);
    let epmd = Process::spawn(&mut epmd)?;
    std::thread::sleep(EPMD_START);
    let mut server = Command::new(RABBITMQ_SERVER);
    // With input allowed the script replaces itself by the Erlang VM: the child is the broker,
    // whose CPU time is read and which is stopped at the end.
    server.arg("-noinput").env("RABBITMQ_ALLOW_INPUT", "1");
    server
        .env("HOME", dir)
        .env("ERL_EPMD_PORT", epmd_port)
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODENAME", NODE)
        .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODE_PORT", port.to_string())
        .env("RABBITMQ_DIST_PORT", free_port()?.to_string())
        .env("RABBITMQ_MNESIA_BASE", dir.join("mnesia"))
        .env("RABBITMQ_LOG_BASE", dir.join("log"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", dir.join("enabled_plugins"))
        .env("RABBITMQ_CONFIG_FILE", dir.join(CONFIG))
        .env("RABBITMQ_ADVANCED_CONFIG_FILE", dir.join("none.config"))
        .env("RABBITMQ_CONF_ENV_FILE", dir.join("none"))
        .env("RABBITMQ_PID_FILE", dir.join("pid"))
        .current_dir(dir)
        .stdout(log_file(dir)?)
        .stderr(log_file(dir)?);
    let began = Instant::now();
    let process = Process::spawn(&mut server)?;
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Peer::wait_for(process, vec![epmd], scratch, addr, began)
}
