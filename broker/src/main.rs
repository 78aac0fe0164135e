//! The `lepus` command.

use std::io::IsTerminal;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use lepus::bench::{self, BenchArgs};
use lepus::config::Config;
use lepus::descriptors;
use lepus::node::Node;
use lepus::server;
use lepus::store_cli::{self, StoreArgs};
use lepus::stores::Stores;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

/// Knows how much is allocated, which is what the memory alarm goes by, and keeps freed pages for a
/// while, so that large bodies do not cost page faults.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Turns of tasks between two looks at the sockets: few, so that a flood on some connections does not
/// make the others wait.
const EVENT_INTERVAL: u32 = 4;

/// Threads that read long backlogs from the store.
const READERS: usize = 2;

/// How long the catalog may take at the end.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(1);

/// An AMQP 0-9-1 message broker that RabbitMQ's clients work against unchanged.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Start the broker (also without a command).
    Server(ServerArgs),
    /// Drive an AMQP 0-9-1 broker with load and measure it.
    Bench(BenchArgs),
    /// Look into the data directory of a stopped broker, or repair it.
    Store(StoreArgs),
}

#[derive(Args)]
struct ServerArgs {
    /// Address to listen on.
    #[arg(long)]
    bind: Option<IpAddr>,
    /// Port for AMQP; 0 picks a free one.
    #[arg(long)]
    amqp_port: Option<u16>,
    /// Port for AMQP over TLS; 0 picks a free one.
    #[arg(long)]
    amqps_port: Option<u16>,
    /// Where messages and declarations are kept; made if need be.
    #[arg(long, default_value = "./lepus-data")]
    data_dir: PathBuf,
    /// Configuration in RabbitMQ's format (`key = value`).
    #[arg(long)]
    config: Option<PathBuf>,
    /// error, warn, info, debug or trace, or a filter such as `lepus=debug`.
    #[arg(long, default_value = "info")]
    log_level: String,
}

fn main() -> Result<ExitCode> {
    let Cli { command, server } = Cli::parse();
    let done = match command {
        Some(Command::Store(args)) => return Ok(store_cli::run(args)),
        Some(Command::Bench(args)) => bench::run(args),
        Some(Command::Server(args)) => serve(&args),
        None => serve(&server),
    };
    done.map(|()| ExitCode::SUCCESS)
}

fn serve(args: &ServerArgs) -> Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&args.log_level)
        .with_context(|| format!("--log-level {}", args.log_level))?;
    // A log that nobody reads must not stop the broker: what does not fit is dropped.
    let (log, _flushed_at_exit) = tracing_appender::non_blocking(std::io::stderr());
    let colour = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colour).with_writer(log).init();
    let mut config = match &args.config {
        Some(path) => Config::load(path)?,
        None => Config::default(),
    };
    config.listeners.bind = args.bind;
    config.listeners.amqp_port = args.amqp_port;
    config.listeners.amqps_port = args.amqps_port;
    config.data_dir = Some(args.data_dir.clone());
    config.connections_max = descriptors::raise();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .event_interval(EVENT_INTERVAL)
        .build()?;
    runtime.block_on(async {
        let stop = stop_signal()?;
        let (stores, found) = Stores::open(&args.data_dir, &config)?;
        let node = Node::new(config, stores);
        node.restore(found)?;
        let listeners = server::listen(&node.config)?;
        let readers = start_readers(&node)?;
        for listener in &listeners {
            println!("listening {} {}", listener.protocol(), listener.address()?);
        }
        println!("ready");
        server::run(node.clone(), listeners, stop).await;
        node.loader().stop();
        node.timers().stop();
        readers.into_iter().for_each(|reader| drop(reader.join()));
        close(&node).await
    })
}

/// Ends the stores. A disk that takes nothing more must not keep the process: of what it has not
/// taken nobody was told that it is durable.
async fn close(node: &Node) -> Result<()> {
    if timeout(SETTLE_TIMEOUT, node.declared().settled()).await.is_err() {
        tracing::error!("the latest declarations could not be written to the catalog");
    }
    let pending = node.store().status().pending_bytes;
    let lost = || format!("the message store was not closed well: {pending} octets not confirmed");
    node.store().close().with_context(lost)
}

/// The threads that read long backlogs, and the one that tells queues that a time has come.
fn start_readers(node: &Arc<Node>) -> Result<Vec<JoinHandle<()>>> {
    let start = |number| {
        let node = node.clone();
        let name = format!("lepus-read-{number}");
        thread::Builder::new().name(name).spawn(move || node.loader().work())
    };
    let timers = {
        let node = node.clone();
        thread::Builder::new().name("lepus-timers".to_owned()).spawn(move || node.timers().work())
    };
    let readers = (0..READERS).map(start).chain([timers]);
    readers.collect::<std::io::Result<_>>().context("cannot start a thread")
}

/// Resolves at SIGTERM or SIGINT.
fn stop_signal() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
