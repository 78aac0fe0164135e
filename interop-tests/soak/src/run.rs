//! The run: everything is started, faults happen one after another, everything is emptied and counted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lepus_crash::broker::{Broker, Setup};
use lepus_crash::figures::figure;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::sleep;

use crate::RunArgs;
use crate::clients::{Client, Role, Surroundings};
use crate::disk::SmallDisk;
use crate::faults::Fault;
use crate::ledger::Ledger;
use crate::measure::{self, Samples};
use crate::report::{Report, Survived};
use crate::topology;
use crate::wire::Wire;

/// How long it may take until all clients have got something done after a fault.
const RECOVERY: Duration = Duration::from_secs(120);
/// How long it may take to empty the queues at the end.
const EMPTYING: Duration = Duration::from_secs(180);
/// How many clients may give up.
const MOST_ENDED: u32 = 20;

/// All that there is.
pub struct World {
    pub clients: Vec<Client>,
    pub wire: Arc<Wire>,
    pub disk: Option<SmallDisk>,
    pub random: StdRng,
    setup: Setup,
    broker: Option<Broker>,
    process: Arc<Mutex<Option<u32>>>,
    around: Surroundings,
    next_client: u32,
    /// Clients that have ended by themselves.
    ended: u32,
}

impl World {
    async fn make(args: &RunArgs, seed: u64) -> Result<Self> {
        let directory = args.directory.canonicalize().context("the directory")?;
        let disk = SmallDisk::mount(&directory.join("data"));
        if let Err(error) = &disk {
            println!("the disk is never full: {error:#}");
        }
        let wire = Wire::start().await?;
        let around = Surroundings {
            url: wire.url(),
            rate: args.rate,
            directory: directory.clone(),
            ledger: Arc::new(Mutex::new(Ledger::new()?)),
        };
        let binary = args.binary.canonicalize().context("the broker's binary")?;
        let mut world = Self {
            clients: Vec::new(),
            wire,
            disk: disk.ok(),
            random: StdRng::seed_from_u64(seed),
            setup: Setup::Own { binary, directory, args: Vec::new() },
            broker: None,
            process: Arc::default(),
            around,
            next_client: 1,
            ended: 0,
        };
        world.start_broker()?;
        topology::declare(&world.around.url).await.context("declaring the queues")?;
        for role in roles(args)? {
            world.start_client(&role)?;
        }
        Ok(world)
    }

    /// Starts the broker, on what the last one has left.
    pub fn start_broker(&mut self) -> Result<()> {
        let broker = self.setup.start()?;
        self.wire.lead_to(broker.url())?;
        *self.process.lock() = broker.process();
        self.broker = Some(broker);
        Ok(())
    }

    /// The broker, for somebody who ends it.
    pub fn take_broker(&mut self) -> Result<Broker> {
        *self.process.lock() = None;
        self.broker.take().context("no broker")
    }

    /// The broker's process.
    pub fn process(&self) -> Result<u32> {
        self.broker.as_ref().and_then(Broker::process).context("no broker")
    }

    /// Starts a client.
    pub fn start_client(&mut self, role: &Role) -> Result<()> {
        self.clients.push(Client::start(role, self.next_client, &self.around)?);
        self.next_client += 1;
        Ok(())
    }

    /// Starts clients again that have ended by themselves: theirs is the fault, if there are few of them.
    fn replace_ended(&mut self) -> Result<()> {
        let mut at = 0;
        while let Some(client) = self.clients.get_mut(at) {
            if !client.has_ended()? {
                at += 1;
                continue;
            }
            let role = self.clients.swap_remove(at).kill()?;
            println!("a client on {} has ended by itself; its log says why", role.name);
            self.ended += 1;
            ensure!(self.ended <= MOST_ENDED, "too many clients end by themselves");
            self.start_client(&role)?;
        }
        Ok(())
    }

    /// Waits until each client has got something done, which must be within the time.
    async fn all_work(&mut self, since: Instant) -> Result<Duration> {
        loop {
            self.replace_ended()?;
            let idle = |client: &&Client| !client.has_worked_since(since);
            let idle: Vec<_> = self.clients.iter().filter(idle).collect();
            if idle.is_empty() {
                return Ok(since.elapsed());
            }
            let names: Vec<_> = idle.iter().map(|client| client.role.name.as_str()).collect();
            ensure!(since.elapsed() < RECOVERY, "{} do not go on", names.join(", "));
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn suffer(&mut self, fault: Fault) -> Result<Duration> {
        self.around.ledger.lock().trouble_begins();
        fault.happen(self).await?;
        let took = self.all_work(Instant::now()).await?;
        self.around.ledger.lock().trouble_ends();
        Ok(took)
    }

    /// Publishers end, consumers take what is left, and end.
    async fn empty(&mut self) -> Result<()> {
        let (publishers, consumers): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.clients).into_iter().partition(|client| client.role.publishes);
        end(publishers).await?;
        let deadline = Instant::now() + EMPTYING;
        while topology::ready(&self.around.url).await? > 0
            || self.around.ledger.lock().missing().0 > 0
        {
            // What is missing by then is lost.
            if Instant::now() > deadline {
                break;
            }
            sleep(Duration::from_millis(500)).await;
        }
        self.around.ledger.lock().trouble_begins();
        end(consumers).await?;
        let left = topology::ready(&self.around.url).await?;
        ensure!(left == 0, "{left} messages are left in the queues");
        Ok(())
    }
}

/// Runs all of it.
pub async fn run(args: &RunArgs) -> Result<()> {
    let seed = args.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    println!("seed {seed}");
    figure("seed", seed)?;
    let mut world = World::make(args, seed).await?;
    let samples = Arc::new(Mutex::new(Samples::default()));
    tokio::spawn(measure::watch(world.process.clone(), samples.clone()));
    world.all_work(Instant::now()).await.context("at the start")?;
    let (began, mut survived) = (Instant::now(), BTreeMap::new());
    let suffered = suffer_all(&mut world, args, &mut survived).await;
    let emptied = match &suffered {
        Ok(()) => world.empty().await,
        Err(_) => Ok(()),
    };
    let stopped = match suffered.is_ok() {
        true => world.take_broker()?.stop().map(drop),
        false => Ok(()),
    };
    let seconds = began.elapsed().as_secs_f64();
    let report =
        Report { seconds, survived, ledger: &world.around.ledger.lock(), samples: &samples.lock() };
    let verdict = report.print();
    suffered.and(emptied).and(stopped).and(verdict).with_context(|| {
        format!("seed {seed}; the logs are in {}", world.around.directory.display())
    })
}

/// Faults, with restarts in the first half of the time and without them in the second one.
async fn suffer_all(
    world: &mut World,
    args: &RunArgs,
    survived: &mut BTreeMap<Fault, Survived>,
) -> Result<()> {
    let (began, time) = (Instant::now(), Duration::from_secs_f64(args.minutes * 60.0));
    while began.elapsed() < time {
        sleep(Duration::from_secs(world.random.random_range(3..15))).await;
        let restarts = began.elapsed() < time / 2;
        let fault = Fault::any(world, restarts, args.fault.as_deref())?;
        let took = world.suffer(fault).await.with_context(|| format!("after {fault:?}"))?;
        survived.entry(fault).or_default().note(took);
        let ledger = world.around.ledger.lock();
        println!(
            "{:>5.0} s {fault:?}: all went on after {:.1} s; {} confirmed, {} consumed",
            began.elapsed().as_secs_f32(),
            took.as_secs_f32(),
            ledger.totals.confirmed,
            ledger.totals.delivered
        );
        ensure!(ledger.violations.is_empty(), "{} violations, see above", ledger.violations.len());
    }
    Ok(())
}

/// A publisher and a consumer of each kind, and one more consumer that takes its time.
fn roles(args: &RunArgs) -> Result<Vec<Role>> {
    let own = std::env::current_exe().context("this program's own path")?;
    let mut roles = vec![Role {
        name: "lapin-slow".to_owned(),
        command: format!("{} client", own.display()),
        publishes: false,
        slow: true,
    }];
    let mut kinds = vec![("lapin".to_owned(), format!("{} client", own.display()))];
    for client in &args.clients {
        let (name, command) = client.split_once('=').context("a client is NAME=COMMAND")?;
        kinds.push((name.to_owned(), command.to_owned()));
    }
    for (name, command) in kinds {
        for publishes in [false, true] {
            let (name, command) = (name.clone(), command.clone());
            roles.push(Role { name, command, publishes, slow: false });
        }
    }
    Ok(roles)
}

async fn end(mut clients: Vec<Client>) -> Result<()> {
    clients.iter_mut().try_for_each(Client::tell_to_end)?;
    for client in &mut clients {
        let by_itself = client.ended().await?;
        ensure!(by_itself, "{} does not end", client.role.name);
    }
    Ok(())
}
