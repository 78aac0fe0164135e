//! The loads, and which figures of each are shown.

mod durable;

use super::goal::Goal;

/// One load.
#[derive(Debug)]
pub(super) struct Scenario {
    /// Name for `--only`.
    pub id: &'static str,
    pub title: &'static str,
    /// What Lepus is to reach.
    pub goals: &'static [Goal],
    pub load: Load,
    /// The first one makes the ratio.
    pub metrics: &'static [Metric],
    /// What is measured beside the brokers.
    pub floor: Floor,
    /// Loads run in this order, lowest first: memory before anything has grown it, quiet before heavy.
    pub turn: u8,
}

/// How a scenario is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// `lepus bench` with these options, for the chosen time.
    Bench(&'static [&'static str]),
    /// As `Bench`, with the counts of the device under the broker's directory.
    Device(&'static [&'static str]),
    /// From the start of the process to its first answer.
    Start,
    /// A long queue, a stop, a start: `lepus bench` with these options.
    Backlog(&'static [&'static str]),
    /// A queue far longer than the memory that the broker is given, a kill, a start, a drain.
    Deep(&'static [&'static str]),
}

/// The least that there can be, measured with each load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Floor {
    None,
    /// A peer that only moves frames from socket to socket.
    Sockets,
    /// One write and one fdatasync for each message of these options, without a broker.
    Disk(&'static [&'static str]),
}

/// One figure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Metric {
    /// Where it is in the generator's JSON.
    pub pointer: &'static str,
    pub unit: Unit,
}

/// What a figure is, which says how to write it and which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    PerSecond,
    CpuMicros,
    /// Microseconds, shown as milliseconds.
    LatencyMicros(&'static str),
    Kib,
    Seconds,
    /// Milliseconds, shown as seconds.
    Millis(&'static str),
    /// KiB, shown as MiB.
    Mib(&'static str),
    /// So many times; less is better.
    Times,
    /// A rate with a name.
    Rate(&'static str),
    /// A number with a name.
    Count(&'static str),
    /// Octets for each of something.
    Bytes(&'static str),
}

const CONSUMED: Metric = Metric { pointer: "/consumed_per_s", unit: Unit::PerSecond };
const CPU: Metric = Metric { pointer: "/broker/cpu_us_per_msg", unit: Unit::CpuMicros };
const P50: Metric = Metric { pointer: "/latency_us/p50", unit: Unit::LatencyMicros("p50") };
const P99: Metric = Metric { pointer: "/latency_us/p99", unit: Unit::LatencyMicros("p99") };
const IDLE: Metric = Metric { pointer: "/kib_per_connection", unit: Unit::Kib };
const CONNECTS: Metric = Metric { pointer: "/connects_per_s", unit: Unit::PerSecond };
const START: Metric = Metric { pointer: "/seconds", unit: Unit::Seconds };

/// Every row of the table.
pub(super) fn all() -> impl Iterator<Item = &'static Scenario> {
    TRANSIENT.iter().chain(durable::SCENARIOS)
}

/// Transient messages in transient queues, and what is not about messages.
const TRANSIENT: &[Scenario] = &[
    Scenario {
        id: "small",
        title: "16 B, 1 producer, 1 consumer, auto-ack",
        goals: &[Goal::Least(CONSUMED, 4e6), Goal::Ratio(20.0), Goal::Most(CPU, 0.20)],
        load: Load::Bench(&["--size", "16"]),
        metrics: &[CONSUMED, CPU],
        floor: Floor::Sockets,
        turn: 3,
    },
    Scenario {
        id: "ack",
        title: "16 B, ack each, prefetch 1000",
        goals: &[Goal::Least(CONSUMED, 2e6)],
        load: Load::Bench(&["--size", "16", "--ack", "1", "--prefetch", "1000"]),
        metrics: &[CONSUMED, CPU],
        floor: Floor::None,
        turn: 3,
    },
    Scenario {
        id: "1k",
        title: "1 KiB, auto-ack",
        goals: &[Goal::Least(CONSUMED, 1e6), Goal::Most(CPU, 0.9)],
        load: Load::Bench(&["--size", "1024"]),
        metrics: &[CONSUMED, CPU],
        floor: Floor::Sockets,
        turn: 3,
    },
    Scenario {
        id: "64k",
        title: "64 KiB, auto-ack",
        goals: &[Goal::Least(CONSUMED, 25e3), Goal::Most(CPU, 30.0)],
        load: Load::Bench(&["--size", "65536"]),
        metrics: &[CONSUMED, CPU],
        floor: Floor::Sockets,
        turn: 3,
    },
    Scenario {
        id: "fanout",
        title: "fan-out to 10 queues, 16 B: deliveries",
        goals: &[Goal::Least(CONSUMED, 5e6)],
        load: Load::Bench(&["--size", "16", "--fanout", "10", "--consumers", "10"]),
        metrics: &[CONSUMED, CPU],
        floor: Floor::None,
        turn: 3,
    },
    Scenario {
        id: "20x20",
        title: "20 producers, 20 consumers, 20 queues, 16 B",
        goals: &[Goal::Least(CONSUMED, 3.5e6)],
        load: Load::Bench(&[
            "--size",
            "16",
            "--producers",
            "20",
            "--consumers",
            "20",
            "--queues",
            "20",
        ]),
        metrics: &[CONSUMED, CPU],
        floor: Floor::None,
        turn: 3,
    },
    Scenario {
        id: "paced",
        title: "2,000 msg/s paced, ack each: publish to delivery",
        goals: &[Goal::Most(P50, 30.0), Goal::Most(P99, 100.0)],
        load: Load::Bench(&["--size", "16", "--rate", "2000", "--ack", "1", "--prefetch", "1000"]),
        metrics: &[P50, P99],
        floor: Floor::Sockets,
        turn: 2,
    },
    Scenario {
        id: "idle",
        title: "idle connection with one channel",
        goals: &[Goal::Most(IDLE, 8.0)],
        load: Load::Bench(&["--idle-connections", "1000"]),
        metrics: &[IDLE],
        floor: Floor::None,
        turn: 0,
    },
    Scenario {
        id: "connects",
        title: "connect + open + declare + close, one after another",
        goals: &[Goal::Least(CONNECTS, 3500.0)],
        load: Load::Bench(&["--connects"]),
        metrics: &[CONNECTS],
        floor: Floor::Sockets,
        turn: 1,
    },
    Scenario {
        id: "start",
        title: "start to listening (empty)",
        goals: &[Goal::Most(START, 0.02)],
        load: Load::Start,
        metrics: &[START],
        floor: Floor::None,
        turn: 0,
    },
];

impl Unit {
    /// A figure as the table shows it.
    pub fn show(self, value: f64) -> String {
        match self.parts(value) {
            ("", figure) => figure,
            (name, figure) => format!("{name} {figure}"),
        }
    }

    /// A bound for the figure, with its sign.
    pub fn bound(self, sign: &str, value: f64) -> String {
        match self.parts(value) {
            ("", figure) => format!("{sign} {figure}"),
            (name, figure) => format!("{name} {sign} {figure}"),
        }
    }

    /// The name of the figure, if it has one, and the figure with its unit.
    fn parts(self, value: f64) -> (&'static str, String) {
        match self {
            Self::PerSecond if value >= 1e5 => ("", format!("{} M/s", digits(value / 1e6))),
            Self::PerSecond if value >= 1e4 => ("", format!("{} k/s", digits(value / 1e3))),
            Self::PerSecond => ("", format!("{value:.0} /s")),
            Self::Rate(name) => (name, Self::PerSecond.parts(value).1),
            Self::Count(name) => ("", format!("{value:.0} {name}")),
            Self::Times => ("", format!("{value:.2} ×")),
            Self::Millis(name) => (name, format!("{:.3} s", value / 1e3)),
            Self::Mib(name) => (name, format!("{} MiB", digits(value / 1024.0))),
            Self::CpuMicros => ("", format!("{} µs", digits(value))),
            Self::LatencyMicros(name) => (name, format!("{} ms", digits(value / 1e3))),
            Self::Bytes(name) => ("", format!("{value:.2} B {name}")),
            Self::Kib => ("", format!("{} KiB", digits(value))),
            Self::Seconds => ("", format!("{value:.3} s")),
        }
    }

    /// How many times better `ours` is than `theirs`.
    pub fn advantage(self, ours: f64, theirs: f64) -> Option<f64> {
        let (high, low) = match self {
            Self::PerSecond | Self::Rate(_) | Self::Count(_) => (ours, theirs),
            _ => (theirs, ours),
        };
        (low > 0.0).then(|| high / low)
    }
}

/// Two significant digits or, from 100 on, none after the point.
pub(crate) fn digits(value: f64) -> String {
    let decimals = match value.abs() {
        v if v >= 10.0 => 0,
        v if v >= 1.0 => 1,
        v if v >= 0.1 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown() {
        assert_eq!(Unit::PerSecond.show(4_234_000.0), "4.2 M/s");
        assert_eq!(Unit::PerSecond.show(190_000.0), "0.19 M/s");
        assert_eq!(Unit::PerSecond.show(25_400.0), "25 k/s");
        assert_eq!(Unit::PerSecond.show(570.4), "570 /s");
        assert_eq!(Unit::CpuMicros.show(0.1834), "0.18 µs");
        assert_eq!(Unit::LatencyMicros("p50").show(28.0), "p50 0.028 ms");
        assert_eq!(Unit::LatencyMicros("p50").bound("≤", 30.0), "p50 ≤ 0.030 ms");
    }

    #[test]
    fn less_is_better_except_for_rates() {
        assert_eq!(Unit::PerSecond.advantage(40.0, 2.0), Some(20.0));
        assert_eq!(Unit::Kib.advantage(8.0, 96.0), Some(12.0));
        assert_eq!(Unit::Kib.advantage(0.0, 96.0), None);
    }
}
