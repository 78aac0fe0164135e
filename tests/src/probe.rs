//! Somebody else on the broker, who should not notice what its other clients do.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use amq_protocol::protocol::{BasicProperties, basic, queue};

use crate::ask::{consume_no_ack, declare, publish};
use crate::broker::{Broker, unique};
use crate::conn::Conn;
use crate::figures::figure;
use crate::values::props;

/// Round trips measured before, and at least as many during.
const TRIPS: usize = 100;

/// The median of the round trips may grow to so many times what it was, and is allowed
/// [`SHORT_ENOUGH`] in any case: machines that run tests have other work, and one processor may be all
/// that broker, probe and hostile peer share. The exact ratio is what `cargo xtask bench-hostile` says.
const FACTOR: u32 = 10;

/// See [`FACTOR`].
const SHORT_ENOUGH: Duration = Duration::from_millis(250);

/// No single round trip may take longer.
const WORST: Duration = Duration::from_secs(8);

/// Publishes a message, and waits until it is delivered and confirmed; again and again.
#[derive(Debug)]
pub struct Probe {
    conn: Conn,
    queue: String,
    properties: BasicProperties,
}

/// How long round trips took.
#[derive(Debug, Clone, Copy)]
pub struct Trips {
    /// Half of them took no longer.
    pub p50: Duration,
    /// Ninety-nine of a hundred took no longer.
    pub p99: Duration,
    /// None took longer.
    pub worst: Duration,
}

impl Probe {
    /// A client with a queue of its own.
    #[must_use]
    pub fn new(broker: &Broker) -> Probe {
        Probe::with(broker, false, props())
    }

    /// The same with messages that must be on the disk before they are confirmed.
    #[must_use]
    pub fn durable(broker: &Broker) -> Probe {
        Probe::with(broker, true, props().with_delivery_mode(2))
    }

    fn with(broker: &Broker, durable: bool, properties: BasicProperties) -> Probe {
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        let declare = declare(&unique("probe"));
        let queue = ch.declare(queue::Declare { exclusive: true, durable, ..declare }).queue;
        let queue = queue.to_string();
        conn.ch(1).consume_with(consume_no_ack(&queue, "probe"));
        conn.channel_confirming(2);
        let mut probe = Probe { conn, queue, properties };
        // What happens the first time only is not what is measured.
        for _ in 0..TRIPS / 10 {
            probe.trip();
        }
        probe
    }

    /// One round trip.
    pub fn trip(&mut self) -> Duration {
        let start = Instant::now();
        self.conn.ch(2).publish_with(publish("", &self.queue), &self.properties, "probe");
        assert_eq!(self.conn.ch(1).delivery().text(), "probe");
        let _: basic::Ack = self.conn.expect(2);
        start.elapsed()
    }

    /// As many round trips as it takes to know.
    pub fn trips(&mut self) -> Trips {
        Trips::of((0..TRIPS).map(|_| self.trip()).collect())
    }
}

impl Trips {
    fn of(mut each: Vec<Duration>) -> Trips {
        each.sort_unstable();
        let at = |percent: usize| each[(each.len() - 1) * percent / 100];
        Trips { p50: at(50), p99: at(99), worst: at(100) }
    }

    /// Fails if somebody noticed more than a machine's own moods.
    #[track_caller]
    pub fn bearable_after(&self, quiet: &Trips) {
        report(quiet, self);
        let most = (quiet.p50 * FACTOR).max(SHORT_ENOUGH);
        assert!(self.p50 <= most, "others wait: {self:?}, while it was quiet {quiet:?}");
        assert!(self.worst <= WORST, "somebody starved: {self:?}, while it was quiet {quiet:?}");
    }
}

/// Has somebody do something over and over, and others meanwhile measure their round trips: these
/// must stay near to what they were when it was quiet.
#[track_caller]
pub fn others_go_on(broker: &Broker, hostile: impl FnMut() + Send) {
    goes_on(Probe::new(broker), hostile);
}

/// The same for one of these others.
#[track_caller]
pub fn goes_on(mut probe: Probe, mut hostile: impl FnMut() + Send) {
    let quiet = probe.trips();
    let (stop, rounds) = (AtomicBool::new(false), AtomicUsize::new(0));
    let loaded = thread::scope(|scope| {
        let at_work = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                hostile();
                rounds.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut each = Vec::new();
        while !at_work.is_finished() && (each.len() < TRIPS || rounds.load(Ordering::Relaxed) == 0)
        {
            each.push(probe.trip());
        }
        stop.store(true, Ordering::Relaxed);
        Trips::of(each)
    });
    loaded.bearable_after(&quiet);
}

/// So many, or as many times more as `LEPUS_TEST_SCALE` says: tests are to be quick.
#[must_use]
pub fn scaled(count: usize) -> usize {
    let scale = std::env::var("LEPUS_TEST_SCALE").ok().and_then(|scale| scale.parse().ok());
    count * scale.unwrap_or(1)
}

/// Leaves the figures where they are wanted: the test, then microseconds.
fn report(quiet: &Trips, loaded: &Trips) {
    let test = thread::current().name().unwrap_or_default().to_owned();
    let figures = [quiet.p50, quiet.p99, loaded.p50, loaded.p99, loaded.worst];
    let figures = figures.map(|time| time.as_micros().to_string()).join(" ");
    figure(&format!("{test} {figures}"));
}
