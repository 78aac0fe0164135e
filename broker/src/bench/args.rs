//! What `lepus bench` can be asked to do.

use std::path::PathBuf;

use amq_protocol::types::{AMQPValue, FieldTable};
use anyhow::{Context, Result, ensure};

/// Most connections of one kind: each costs a thread.
const MAX_CLIENTS: u32 = 1_000;
/// Most queues in one run: each producer's buffer holds at least one message per queue.
const MAX_QUEUES: u32 = 10_000;
/// Most idle connections that one process opens.
const MAX_IDLE: u32 = 100_000;
/// Largest body: RabbitMQ's own default limit.
const MAX_BODY: u32 = 128 * 1024 * 1024;
/// Most unconfirmed messages per producer.
const MAX_WINDOW: u32 = 1_000_000;
/// Most messages of a backlog.
const MAX_BACKLOG: u64 = 1_000_000_000;
/// Longest run, in seconds: every run ends by itself.
const MAX_SECONDS: f64 = 86_400.0;

/// Options of `lepus bench`, which loads any AMQP 0-9-1 broker and says what it bore.
#[derive(Debug, Clone, clap::Args)]
pub struct BenchArgs {
    /// The broker: amqp://user:password@host:port/vhost
    #[arg(default_value = "amqp://guest:guest@127.0.0.1:5672/")]
    pub url: String,
    /// Connections that publish, one channel and one thread each
    #[arg(long, default_value_t = 1)]
    pub producers: u32,
    /// Connections that consume, one channel and one thread each
    #[arg(long, default_value_t = 1)]
    pub consumers: u32,
    /// Queues, shared out among producers and consumers
    #[arg(long, default_value_t = 1)]
    pub queues: u32,
    /// Publish to one fanout exchange bound to this many queues (replaces --queues)
    #[arg(long, value_name = "QUEUES", default_value_t = 0)]
    pub fanout: u32,
    /// Body size in bytes
    #[arg(long, default_value_t = 16)]
    pub size: u32,
    /// Persistent messages in durable queues
    #[arg(long)]
    pub persistent: bool,
    /// An argument of the queues, such as x-max-priority=10; may be given several times
    #[arg(long = "queue-argument", value_name = "NAME=VALUE", value_parser = queue_argument)]
    pub queue_arguments: Vec<(String, AMQPValue)>,
    /// The priorities of messages go round from 0 to this one; 0 = none
    #[arg(long, value_name = "MAX", default_value_t = 0)]
    pub priorities: u8,
    /// Publisher confirms with at most this many unconfirmed messages per producer; 0 = no confirms
    #[arg(long, value_name = "WINDOW", default_value_t = 0)]
    pub confirm: u32,
    /// Ack every k messages: 0 = auto-ack, 1 = one ack frame per message, k = multiple
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub ack: u32,
    /// Prefetch per consumer; 0 = unlimited
    #[arg(long, default_value_t = 0)]
    pub prefetch: u16,
    /// Messages per second, all producers together, evenly spaced; 0 = as fast as they go
    #[arg(long, default_value_t = 0)]
    pub rate: u32,
    /// Seconds to measure
    #[arg(long, default_value_t = 10.0)]
    pub duration: f64,
    /// Seconds to run before measuring
    #[arg(long, default_value_t = 2.0)]
    pub warm_up: f64,
    /// Stamp each message and measure publish-to-delivery latency even when --rate is 0
    #[arg(long)]
    pub latency: bool,
    /// Start of the names of the queues and of the exchange, which are deleted at the end
    #[arg(long, default_value = "lepus-bench")]
    pub prefix: String,
    /// Process id of the broker: adds its CPU time per message and its memory
    #[arg(long)]
    pub pid: Option<u32>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
    /// Instead of messages: open this many connections with one channel each and report the
    /// broker's memory per connection (needs --pid)
    #[arg(long, value_name = "N", conflicts_with = "connects", requires = "pid")]
    pub idle_connections: Option<u32>,
    /// Instead of messages: connect, open a channel, declare a queue and close, over and over
    #[arg(long)]
    pub connects: bool,
    /// Instead of a steady load: declare durable queues, one after another
    #[arg(long, conflicts_with_all = ["connects", "idle_connections"])]
    pub declares: bool,
    /// Instead of a steady load: fill one queue with this many messages (within --confirm), then
    /// drain it (with --ack and --prefetch)
    #[arg(long, value_name = "N", conflicts_with_all = ["connects", "idle_connections", "declares"])]
    pub backlog: Option<u64>,
    /// With --backlog: only one step, so that the broker can be started again in between; `first`
    /// asks for the count and waits for the first delivery
    #[arg(long, value_name = "STEP", value_enum, default_value_t = BacklogStep::All)]
    pub backlog_step: BacklogStep,
    /// A directory of the broker's file system: adds what its device wrote per byte of bodies
    #[arg(long, value_name = "DIR")]
    pub device_of: Option<PathBuf>,
    /// Instead of loading a broker: commit messages of --size to files in this directory, each with
    /// one write and one fdatasync
    #[arg(long, value_name = "DIR", hide = true)]
    pub raw_commits: Option<PathBuf>,
    /// Instead of loading a broker, be the least one: listen on this address and turn each
    /// published frame into a delivery; what remains is the cost of the sockets
    #[arg(long, value_name = "ADDR", hide = true)]
    pub floor: Option<std::net::SocketAddr>,
}

/// A part of a run with a backlog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum BacklogStep {
    /// Fill, drain, delete.
    All,
    /// Fill the queue, which stays.
    Fill,
    /// The count, and the first delivery.
    First,
    /// Drain it and delete it.
    Drain,
}

impl BenchArgs {
    /// Refuses what cannot be run before anything is connected.
    pub(super) fn validate(&self) -> Result<()> {
        for (name, given) in [("producers", self.producers), ("consumers", self.consumers)] {
            ensure!(given <= MAX_CLIENTS, "--{name} is at most {MAX_CLIENTS}");
        }
        ensure!(self.producers + self.consumers > 0, "--producers and --consumers are both 0");
        let queues = self.queue_count();
        ensure!((1..=MAX_QUEUES).contains(&queues), "between 1 and {MAX_QUEUES} queues");
        ensure!(self.size <= MAX_BODY, "--size is at most {MAX_BODY}");
        ensure!(self.confirm <= MAX_WINDOW, "--confirm is at most {MAX_WINDOW}");
        ensure!(
            self.idle_connections.unwrap_or(0) <= MAX_IDLE,
            "at most {MAX_IDLE} idle connections"
        );
        ensure!(
            self.backlog.is_none_or(|messages| (1..=MAX_BACKLOG).contains(&messages)),
            "--backlog is between 1 and {MAX_BACKLOG}"
        );
        ensure!(self.prefix.len() <= 200, "--prefix is at most 200 bytes");
        ensure!(
            self.duration > 0.0 && self.duration <= MAX_SECONDS,
            "--duration is between 0 and {MAX_SECONDS} s"
        );
        ensure!(
            (0.0..=MAX_SECONDS).contains(&self.warm_up),
            "--warm-up is between 0 and {MAX_SECONDS} s"
        );
        ensure!(
            self.prefetch == 0 || self.ack <= u32::from(self.prefetch),
            "--ack {} with --prefetch {} would wait for ever",
            self.ack,
            self.prefetch
        );
        Ok(())
    }

    /// The table of the queues' arguments.
    pub(super) fn queue_table(&self) -> FieldTable {
        let mut table = FieldTable::default();
        for (name, value) in &self.queue_arguments {
            table.insert(name.as_str().into(), value.clone());
        }
        table
    }

    /// Queues in this run.
    pub(super) fn queue_count(&self) -> u32 {
        if self.fanout > 0 { self.fanout } else { self.queues }
    }

    /// Whether bodies carry the time at which they were sent.
    pub(super) fn stamped(&self) -> bool {
        self.size >= 8 && (self.rate > 0 || self.latency)
    }
}

/// A number if it looks like one, else text.
fn queue_argument(text: &str) -> Result<(String, AMQPValue)> {
    let (name, value) = text.split_once('=').context("not NAME=VALUE")?;
    let value = match value.parse() {
        Ok(number) => AMQPValue::LongLongInt(number),
        Err(_) => AMQPValue::LongString(value.into()),
    };
    Ok((name.to_owned(), value))
}
