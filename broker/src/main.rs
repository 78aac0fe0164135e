//! The `lepus` command.

use std::ffi::OsString;
use std::fs::Permissions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::{Shell, generate};
use lepus::admin::{self, Port};
use lepus::bench::{self, BenchArgs};
use lepus::cli;
use lepus::cli::rabbitmqctl::{self, Tool};
use lepus::config::cli::{ConfigArgs, Flags};
use lepus::config::load::{Loaded, load};
use lepus::config::{self, Config};
use lepus::definitions;
use lepus::definitions_cli::{self, DefinitionsArgs};
use lepus::descriptors;
use lepus::http::{self, Local};
use lepus::logging::Log;
use lepus::metrics;
use lepus::node::Node;
use lepus::ping::{self, PingArgs};
use lepus::reload::{Reloader, Running};
use lepus::server::{self, Listener};
use lepus::service_manager::{self, Starting};
use lepus::store_cli::{self, StoreArgs};
use lepus::stores::Stores;
use rustix::fs::Mode;
use rustix::process::umask;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::block_in_place;

/// Knows how much is allocated, which is what the memory alarm goes by, and keeps freed pages for a
/// while, so that large bodies do not cost page faults.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Turns of tasks between two looks at the sockets: few, so that a flood on some connections does not
/// make the others wait.
const EVENT_INTERVAL: u32 = 4;

/// Threads that read long backlogs from the store.
const READERS: usize = 2;

/// An AMQP 0-9-1 message broker that RabbitMQ's clients work against unchanged.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Subcommand)]
enum Command {
    /// Start the broker (also without a command).
    Server(Flags),
    /// Say whether a broker answers. Exit code 0: it does, 1: it does not.
    Ping(PingArgs),
    /// Check a configuration file, or show what holds.
    Config(ConfigArgs),
    /// Drive an AMQP 0-9-1 broker with load and measure it.
    Bench(BenchArgs),
    /// Look into the data directory of a stopped broker, or repair it.
    Store(StoreArgs),
    /// Export, import or compare what is declared, as RabbitMQ's definitions.
    Definitions(DefinitionsArgs),
    #[command(flatten)]
    Running(cli::Verb),
    /// Answer as RabbitMQ's command line does: `lepus rabbitmqctl list_queues`. A link of the name
    /// rabbitmqctl, rabbitmq-diagnostics, rabbitmq-queues or rabbitmq-plugins does the same.
    #[command(name = "rabbitmqctl", disable_help_flag = true)]
    Rabbitmqctl {
        /// Its verb and arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
    /// Print what a shell needs to complete commands.
    Completions {
        /// Which shell.
        shell: Shell,
    },
}

fn main() -> Result<ExitCode> {
    if let Some(called) = Tool::called_as() {
        return Ok(rabbitmqctl::run(called));
    }
    let Cli { command, flags } = Cli::parse();
    let done = match command {
        Some(Command::Running(verb)) => return Ok(cli::run(&verb)),
        Some(Command::Rabbitmqctl { words }) => return Ok(rabbitmqctl::run((Tool::Ctl, words))),
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            generate(shell, &mut Cli::command(), "lepus", &mut script);
            return print(&script);
        }
        Some(Command::Definitions(args)) => return Ok(definitions_cli::run(&args)),
        Some(Command::Config(args)) => return Ok(config::cli::run(args)),
        Some(Command::Store(args)) => return Ok(store_cli::run(args)),
        Some(Command::Bench(args)) => bench::run(args),
        Some(Command::Ping(args)) => ping::run(&args),
        Some(Command::Server(flags)) => serve(&flags),
        None => serve(&flags),
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// Whoever has stopped to read wants no more.
fn print(text: &[u8]) -> Result<ExitCode> {
    match std::io::stdout().write_all(text) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn serve(flags: &Flags) -> Result<()> {
    let sources = flags.sources();
    let Loaded { mut config, settings, notes } = load(&sources)?;
    let data_dir = config.data_dir.get_or_insert_with(|| PathBuf::from("./lepus-data")).clone();
    let open = keep_private(&data_dir);
    let (mut log, _written_at_exit) = Log::start(&config.log)?;
    notes.iter().for_each(|warning| tracing::warn!("{warning}"));
    if let Err(error) = open {
        tracing::warn!("{} is open to others: {error}", data_dir.display());
    }
    config.connections_max = descriptors::raise();
    write_pid(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .event_interval(EVENT_INTERVAL)
        .build()?;
    runtime.block_on(async {
        let stop = stop_signal()?;
        let starting = Starting::begin();
        let (stores, found) = Stores::open(&data_dir, &config)?;
        let node = Node::new(config, stores);
        node.restore(found)?;
        definitions::load(&node, &node.config().definitions)?;
        node.set_up().context("the default user")?;
        log.publish(&node)?;
        let listeners = server::listen(&node.config())?;
        let http = admin::listen(&node.config())?;
        let metrics = metrics::listen(&node.config())?;
        let readers = start_readers(&node)?;
        for listener in &listeners {
            println!("listening {} {}", listener.protocol(), listener.address()?);
        }
        for listener in http.iter().chain(&metrics) {
            println!("listening {} {}", listener.protocol(), listener.address()?);
        }
        let ports = ports(&listeners, http.iter().chain(&metrics))?;
        let running = Arc::new(Running::new(settings, log));
        let local = open_socket(&data_dir);
        let http = admin::start(node.clone(), (http, local.as_ref()), ports, running.clone())?;
        let metrics = metrics::start(node.clone(), metrics)?;
        // Before it is said that all is ready, so that the signal never ends it from then on.
        let reloading =
            tokio::spawn(reload_at_hangup(node.clone(), Reloader::new(sources, running))?);
        println!("ready");
        starting.ready();
        server::run(node.clone(), listeners, stop).await;
        reloading.abort();
        drop(local);
        http.stop();
        metrics.stop();
        node.loader().stop();
        node.timers().stop();
        readers.into_iter().for_each(|reader| drop(reader.join()));
        server::close(&node).await
    })
}

/// Without the socket the broker works as well; only its command line needs a URL then.
fn open_socket(data_dir: &Path) -> Option<Local> {
    let local = Local::open(data_dir);
    local.inspect_err(|error| tracing::warn!("no socket in {}: {error}", data_dir.display())).ok()
}

/// What the broker listens on, by RabbitMQ's names.
fn ports<'a>(
    listeners: &[Listener],
    http: impl Iterator<Item = &'a http::Listener>,
) -> Result<Vec<Port>> {
    let mut ports = Vec::new();
    for listener in listeners {
        let protocol = if listener.protocol() == "amqps" { "amqp/ssl" } else { "amqp" };
        ports.push(Port { protocol, address: listener.address()? });
    }
    for listener in http {
        ports.push(Port { protocol: listener.protocol(), address: listener.address()? });
    }
    Ok(ports)
}

/// What is written from now on is for nobody else, nor is what was written before.
fn keep_private(data_dir: &Path) -> std::io::Result<()> {
    umask(Mode::RWXG | Mode::RWXO);
    match std::fs::set_permissions(data_dir, Permissions::from_mode(0o700)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Leaves the number of this process where others look for it.
fn write_pid(config: &Config) -> Result<()> {
    let Some(path) = &config.pid_file else { return Ok(()) };
    let pid = format!("{}\n", std::process::id());
    let written = std::fs::write(path, pid)
        .and_then(|()| std::fs::set_permissions(path, Permissions::from_mode(0o644)));
    written.with_context(|| format!("cannot write {}", path.display()))
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

/// Reads the configuration again at each SIGHUP.
fn reload_at_hangup(node: Arc<Node>, mut reloader: Reloader) -> Result<impl Future<Output = ()>> {
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        while hangup.recv().await.is_some() {
            block_in_place(|| reloader.reload(&node));
        }
    })
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
        service_manager::stopping();
    })
}
