//! What is done to the broker, the network, the disk and the clients.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rand::RngExt;
use rand::seq::IndexedRandom;
use rustix::process::Signal;
use tokio::time::sleep;

use crate::clients::signal_process;
use crate::run::World;
use crate::wire::Flow;

/// Left on a disk that is full, and on one that is only below the watermark of 50 MB.
const FULL: u64 = 128 << 10;
const BELOW_WATERMARK: u64 = 20 << 20;

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// SIGKILL and a start.
    Kill,
    /// SIGTERM and a start.
    Stop,
    /// SIGSTOP and SIGCONT.
    Freeze,
    /// All connections end.
    Cut,
    /// Nothing passes for some time.
    HoldAll,
    /// Nothing that the broker sends passes for some time.
    HoldAnswers,
    /// The disk is full, or nearly.
    FullDisk,
    /// Consumers stand still.
    SlowConsumers,
    /// SIGKILL for a client, and another one of its kind.
    KillClient,
}

/// Those that end the process; its memory is looked at while there are none of them.
const RESTARTS: &[Fault] = &[Fault::Kill, Fault::Kill, Fault::Stop];
const OTHERS: &[Fault] = &[
    Fault::Freeze,
    Fault::Cut,
    Fault::HoldAll,
    Fault::HoldAnswers,
    Fault::FullDisk,
    Fault::SlowConsumers,
    Fault::KillClient,
];

impl Fault {
    /// One by chance.
    pub fn any(world: &mut World, restarts: bool, only: Option<&str>) -> Result<Self> {
        let has_disk = world.disk.is_some();
        let kinds: Vec<Self> = [if restarts { RESTARTS } else { &[] }, OTHERS].concat();
        let wanted = |fault: &&Self| {
            let name = format!("{fault:?}");
            (**fault != Self::FullDisk || has_disk) && only.is_none_or(|only| name.contains(only))
        };
        let kinds: Vec<Self> = kinds.iter().filter(wanted).copied().collect();
        kinds.choose(&mut world.random).copied().context("no such fault, or not without restarts")
    }

    /// Does it, and takes it back.
    pub async fn happen(self, world: &mut World) -> Result<()> {
        let some_time = some_time(world);
        match self {
            Self::Kill => {
                world.take_broker()?.kill()?;
                world.start_broker()
            }
            Self::Stop => {
                world.take_broker()?.stop()?;
                world.start_broker()
            }
            Self::Freeze => {
                let process = world.process()?;
                signal_process(process, Signal::STOP)?;
                sleep(some_time).await;
                signal_process(process, Signal::CONT)
            }
            Self::Cut => {
                world.wire.cut();
                Ok(())
            }
            Self::HoldAll => hold(world, Flow::None, some_time).await,
            Self::HoldAnswers => hold(world, Flow::Up, some_time).await,
            Self::FullDisk => {
                let leave = if world.random.random() { FULL } else { BELOW_WATERMARK };
                let disk = world.disk.as_ref().context("no disk")?;
                let end = Instant::now() + some_time;
                while Instant::now() < end {
                    disk.fill(leave)?;
                    sleep(Duration::from_millis(200)).await;
                }
                disk.empty()
            }
            Self::SlowConsumers => {
                let slow = |client: &&crate::clients::Client| !client.role.publishes;
                let consumers: Vec<_> = world.clients.iter().filter(slow).collect();
                consumers.iter().try_for_each(|client| client.signal(Signal::STOP))?;
                sleep(some_time).await;
                consumers.iter().try_for_each(|client| client.signal(Signal::CONT))
            }
            Self::KillClient => {
                let which = world.random.random_range(0..world.clients.len());
                let role = world.clients.swap_remove(which).kill()?;
                world.start_client(&role)
            }
        }
    }
}

/// Mostly short; at times longer than two heartbeats.
fn some_time(world: &mut World) -> Duration {
    let long = world.random.random_ratio(1, 4);
    Duration::from_secs(if long { 25 } else { world.random.random_range(1..8) })
}

async fn hold(world: &World, flow: Flow, time: Duration) -> Result<()> {
    world.wire.set(flow);
    sleep(time).await;
    world.wire.set(Flow::Both);
    Ok(())
}
