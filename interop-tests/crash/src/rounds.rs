//! The kinds of rounds: what the clients do, and when the broker ends.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use lapin::options::QueueDeleteOptions;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::load::{Consuming, Publishing, World, consume, publish};
use crate::random::Random;
use crate::rules::{self, Rules};
use crate::topology::{bye, connect, declare_bound, exists};
use crate::transactions::shuttle;
use crate::vhosts::{self, Vhosts, come_and_go};
use lepus_crash::broker::{Broker, Setup};

/// What happens while the broker is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Publishers with confirms.
    Publish,
    /// Publishers and consumers with acks.
    Consume,
    /// Transactions that move messages.
    Transactions,
    /// Much data that is settled but for a little: files fill, are compacted and recycled.
    Volume,
    /// Kills while it starts, several in a row.
    Startup,
    /// Queues and bindings are declared and deleted.
    Declare,
    /// Virtual hosts and users are made and deleted, beside publishers.
    Vhosts,
    /// Policies are set, messages delayed, others dropped that come twice, beside publishers.
    Rules,
    /// As `Consume`, but it is asked to stop.
    Stop,
}

/// In this order, over and over.
pub const KINDS: [Kind; 9] = [
    Kind::Publish,
    Kind::Consume,
    Kind::Transactions,
    Kind::Volume,
    Kind::Startup,
    Kind::Declare,
    Kind::Vhosts,
    Kind::Rules,
    Kind::Stop,
];

/// How long clients may take to notice that the broker is gone.
const NOTICE: Duration = Duration::from_secs(30);
/// More messages than a publisher can send before the end.
const ENDLESS: u32 = u32::MAX;

/// What was declared, and must be there or not.
#[derive(Default)]
pub struct Declared {
    queues: Queues,
    vhosts: Vhosts,
    rules: Rules,
}

/// Names that were declared, with whether they must exist; unknown ones are left out.
type Queues = BTreeMap<String, bool>;

/// Runs the clients, ends the broker and waits until the clients have noticed.
pub async fn run(
    kind: Kind,
    world: &World,
    setup: &Setup,
    broker: Broker,
    random: &mut Random,
) -> Result<Declared> {
    let mut declared = Declared::default();
    let mut clients = JoinSet::new();
    let (mut declaring, mut moving, mut ruling) = (None, None, None);
    match kind {
        Kind::Publish | Kind::Startup => publishers(world, &mut clients, random, 3),
        Kind::Consume | Kind::Stop => {
            publishers(world, &mut clients, random, 2);
            consumers(world, &mut clients, random);
        }
        Kind::Transactions => {
            let fill = Publishing { routes: vec![3], count: 1_000, ..small() };
            publish(world.clone(), fill, Random::new(random.any())).await?;
            for _ in 0..3 {
                clients.spawn(shuttle(world.clone(), Random::new(random.any())));
            }
        }
        Kind::Volume => volume(world, &mut clients, random),
        Kind::Declare => {
            let (world, prefix) = (world.clone(), format!("crash.{:x}.", random.any()));
            declaring = Some(tokio::spawn(declare_and_delete(world, prefix)));
        }
        Kind::Vhosts => {
            publishers(world, &mut clients, random, 2);
            let (world, prefix) = (world.clone(), format!("crash-{:x}-", random.any()));
            let http = broker.http().map(str::to_owned);
            moving = http.map(|http| tokio::spawn(come_and_go(world, http, prefix)));
        }
        Kind::Rules => {
            publishers(world, &mut clients, random, 1);
            let (world, prefix) = (world.clone(), format!("crash.{:x}.", random.any()));
            let (http, random) = (broker.http().map(str::to_owned), Random::new(random.any()));
            ruling = http.map(|http| tokio::spawn(rules::apply(world, http, prefix, random)));
        }
    }
    sleep(life(kind, random)).await;
    let (at, clean) = match kind {
        Kind::Stop => (broker.stop()?, true),
        _ => (broker.kill()?, false),
    };
    settle(world, clients, at, clean).await?;
    if let Some(declaring) = declaring {
        declared.queues = timeout(NOTICE, declaring).await.context("a client hangs")??;
    }
    if let Some(moving) = moving {
        declared.vhosts = timeout(NOTICE, moving).await.context("a client hangs")??;
    }
    if let Some(ruling) = ruling {
        declared.rules = timeout(NOTICE, ruling).await.context("a client hangs")??;
    }
    if kind == Kind::Startup {
        for _ in 0..6 {
            setup.start_and_kill(Duration::from_micros(random.below(40_000)))?;
        }
    }
    Ok(declared)
}

/// How long the clients work. Acks must be older than a second to be sure of.
fn life(kind: Kind, random: &mut Random) -> Duration {
    let (least, most) = match kind {
        Kind::Publish | Kind::Startup | Kind::Transactions => (50, 1_500),
        Kind::Declare => (50, 800),
        Kind::Vhosts | Kind::Rules => (200, 2_000),
        Kind::Consume | Kind::Stop => (300, 2_500),
        Kind::Volume => (1_500, 4_000),
    };
    Duration::from_millis(random.within(least, most))
}

async fn settle(
    world: &World,
    mut clients: JoinSet<Result<()>>,
    at: Instant,
    clean: bool,
) -> Result<()> {
    let all = async {
        while let Some(ended) = clients.join_next().await {
            // Each ends with the error that the connection is gone, or was done before.
            if let Err(panic) = ended {
                bail!("a client failed: {panic}");
            }
        }
        Ok(())
    };
    // The broker has ended before: whoever hangs now waits for its own library, and what it was told
    // is in the ledger.
    match timeout(NOTICE, all).await {
        Ok(done) => done?,
        Err(_) => {
            println!("{} clients hang although the broker is gone", clients.len());
            clients.shutdown().await;
        }
    }
    world.ledger.lock().ended(at, clean);
    Ok(())
}

fn small() -> Publishing {
    Publishing {
        window: 200,
        size: (0, 3_000),
        routes: vec![0, 1, 2],
        transient: 0,
        count: ENDLESS,
    }
}

fn publishers(world: &World, clients: &mut JoinSet<Result<()>>, random: &mut Random, count: u32) {
    for number in 0..count {
        let what = match number {
            0 => Publishing { transient: 10, ..small() },
            // One at a time: each confirm is waited for.
            1 => Publishing { window: 1, size: (0, 70_000), ..small() },
            _ => Publishing { window: 1_000, size: (0, 100), ..small() },
        };
        clients.spawn(publish(world.clone(), what, Random::new(random.any())));
    }
}

fn consumers(world: &World, clients: &mut JoinSet<Result<()>>, random: &mut Random) {
    for (queue, prefetch) in [(0, 300), (1, 50), (1, 20)] {
        let what = Consuming { queue, prefetch, keeps: 20 };
        clients.spawn(consume(world.clone(), what, Random::new(random.any())));
    }
}

fn volume(world: &World, clients: &mut JoinSet<Result<()>>, random: &mut Random) {
    for route in [0, 1] {
        let large =
            Publishing { window: 64, size: (10_000, 80_000), routes: vec![route], ..small() };
        clients.spawn(publish(world.clone(), large, Random::new(random.any())));
        let what = Consuming { queue: route, prefetch: 2_000, keeps: 15 };
        clients.spawn(consume(world.clone(), what, Random::new(random.any())));
    }
    // Bodies of more than a megabyte may be stored in another way.
    let huge =
        Publishing { window: 2, size: (900_000, 1_300_000), routes: vec![3], count: 10, ..small() };
    clients.spawn(publish(world.clone(), huge, Random::new(random.any())));
}

/// Declares and binds queues, and deletes every third, until the broker is gone.
async fn declare_and_delete(world: World, prefix: String) -> Queues {
    let mut declared = Queues::new();
    // The error is that the broker is gone.
    drop(declare_until_gone(&world, &prefix, &mut declared).await);
    declared
}

async fn declare_until_gone(world: &World, prefix: &str, declared: &mut Queues) -> Result<()> {
    let connection = connect(&world.url).await?;
    let channel = connection.create_channel().await?;
    for number in 0.. {
        let name = format!("{prefix}{number}");
        declare_bound(&channel, &name).await?;
        declared.insert(name.clone(), true);
        if number % 3 == 0 {
            // Until the answer nobody knows.
            declared.remove(&name);
            channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await?;
            declared.insert(name, false);
        }
    }
    Ok(())
}

/// Compares what was declared and deleted with what is there, and deletes it.
pub async fn check_declared(world: &World, broker: &Broker, declared: Declared) -> Result<()> {
    let Declared { queues, vhosts: of_round, rules } = declared;
    if let Some(http) = broker.http() {
        vhosts::check(world, http, of_round).await.context("virtual hosts")?;
        rules::check(world, http, rules).await.context("policies, delays and keys")?;
    }
    let connection = connect(&world.url).await?;
    for (name, must) in queues {
        if exists(&connection, &name).await? != must {
            let what = if must { "is gone" } else { "is back" };
            world.ledger.lock().violation(format!("queue {name} {what}"));
        }
        let channel = connection.create_channel().await?;
        channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await?;
    }
    bye(connection).await;
    Ok(())
}
