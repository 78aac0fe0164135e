//! One run of producers and consumers, from the first connection to the report.

use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};

use super::args::BenchArgs;
use super::client::Client;
use super::confirms::Confirms;
use super::consumer::Consumer;
use super::latency::Latencies;
use super::pace::Pace;
use super::producer::Producer;
use super::publish_buffer::{MessageShape, PublishBuffer};
use super::report::Messages;
use super::shared::Shared;
use super::topology::Topology;
use super::url::Target;
use super::window::Window;

/// Runs the load and reports what was measured between warm-up and end.
pub(super) fn run(args: &BenchArgs, target: &Target) -> Result<Messages> {
    let topology = Topology::new(args);
    let mut control = Client::connect(target)?;
    topology.declare(&mut control)?;
    control.close()?;
    let measured = load(args, target, &topology);
    let deleted = topology.delete(target);
    let report = measured?;
    deleted.context("cannot delete the queues of the run")?;
    Ok(report)
}

fn load(args: &BenchArgs, target: &Target, topology: &Topology) -> Result<Messages> {
    let shared = Arc::new(Shared::new(args.producers, args.consumers));
    let consumers = (0..args.consumers)
        .map(|index| connect_consumer(args, target, topology, index))
        .collect::<Result<Vec<_>>>()?;
    let producers = (0..args.producers)
        .map(|index| connect_producer(args, target, topology, index))
        .collect::<Result<Vec<_>>>()?;
    let mut crew = Crew::default();
    for consumer in consumers {
        crew.sockets.push(consumer.stream.try_clone()?);
        let shared = Arc::clone(&shared);
        crew.consumers.push(spawn("consume", move || consumer.run(&shared))?);
    }
    for producer in producers {
        crew.sockets.push(producer.stream.try_clone()?);
        let shared = Arc::clone(&shared);
        crew.producers.push(spawn("publish", move || producer.run(&shared))?);
    }
    let window = Window::measure(args, &shared);
    let (latency, confirm) = crew.end(&shared)?;
    if let Some(error) = shared.take_error() {
        return Err(error);
    }
    Ok(window?.report(args, &shared, &latency, &confirm))
}

fn connect_consumer(
    args: &BenchArgs,
    target: &Target,
    topology: &Topology,
    index: u32,
) -> Result<Consumer> {
    let mut client = Client::connect(target)?;
    if args.prefetch > 0 {
        client.prefetch(args.prefetch)?;
    }
    for (n, queue) in topology.consumed_by(index, args.consumers).iter().enumerate() {
        client.consume(queue, &format!("c-{n}"), args.ack == 0)?;
    }
    let (stream, reader) = client.into_parts()?;
    Ok(Consumer {
        stream,
        rest: reader.into_rest(),
        index: index as usize,
        ack: args.ack,
        stamped: args.stamped(),
    })
}

fn connect_producer(
    args: &BenchArgs,
    target: &Target,
    topology: &Topology,
    index: u32,
) -> Result<Producer> {
    let mut client = Client::connect(target)?;
    if args.confirm > 0 {
        client.confirm()?;
    }
    let buffer = PublishBuffer::new(&MessageShape {
        exchange: topology.exchange.clone(),
        routing_keys: topology.routing_keys(index, args.producers),
        size: args.size as usize,
        persistent: args.persistent,
        priorities: args.priorities,
        frame_max: client.frame_max(),
    })?;
    let (stream, reader) = client.into_parts()?;
    Ok(Producer {
        stream,
        reader,
        buffer,
        index: index as usize,
        stamped: args.stamped(),
        confirms: (args.confirm > 0).then(|| Arc::new(Confirms::new(args.confirm))),
        pace: (args.rate > 0).then(|| Pace::new(f64::from(args.rate) / f64::from(args.producers))),
    })
}

type Worker = JoinHandle<Result<Latencies>>;

/// The threads of a run and the sockets that they block on.
#[derive(Default)]
struct Crew {
    sockets: Vec<TcpStream>,
    consumers: Vec<Worker>,
    producers: Vec<Worker>,
}

impl Crew {
    /// Stops all threads; returns delivery and confirm latencies.
    fn end(self, shared: &Shared) -> Result<(Latencies, Latencies)> {
        shared.stop();
        for socket in &self.sockets {
            // An error means that the broker was first.
            drop(socket.shutdown(Shutdown::Both));
        }
        Ok((join(self.consumers)?, join(self.producers)?))
    }
}

fn spawn(name: &str, body: impl FnOnce() -> Result<Latencies> + Send + 'static) -> Result<Worker> {
    Ok(std::thread::Builder::new().name(name.to_owned()).spawn(body)?)
}

fn join(workers: Vec<Worker>) -> Result<Latencies> {
    let mut all = Latencies::new()?;
    for worker in workers {
        all.merge(&worker.join().map_err(|_| anyhow!("a thread of the generator panicked"))??)?;
    }
    Ok(all)
}
