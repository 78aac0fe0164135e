//! The loads, and which figures of each are shown.

/// One load.
#[derive(Debug)]
pub(super) struct Scenario {
    /// Name for `--only`.
    pub id: &'static str,
    pub title: &'static str,
    /// What Lepus is to reach.
    pub goal: &'static str,
    pub load: Load,
    /// The first one makes the ratio.
    pub metrics: &'static [Metric],
    /// Whether the socket floor is measured too.
    pub floor: bool,
    /// Loads run in this order, lowest first: memory before anything has grown it, quiet before heavy.
    pub turn: u8,
}

/// How a scenario is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// `lepus bench` with these options, for the chosen time.
    Bench(&'static [&'static str]),
    /// From the start of the process to its first answer.
    Start,
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
}

const CONSUMED: Metric = Metric { pointer: "/consumed_per_s", unit: Unit::PerSecond };
const CPU: Metric = Metric { pointer: "/broker/cpu_us_per_msg", unit: Unit::CpuMicros };
const P50: Metric = Metric { pointer: "/latency_us/p50", unit: Unit::LatencyMicros("p50") };
const P99: Metric = Metric { pointer: "/latency_us/p99", unit: Unit::LatencyMicros("p99") };
const IDLE: Metric = Metric { pointer: "/kib_per_connection", unit: Unit::Kib };
const CONNECTS: Metric = Metric { pointer: "/connects_per_s", unit: Unit::PerSecond };
const START: Metric = Metric { pointer: "/seconds", unit: Unit::Seconds };

/// Every row of the table.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "small",
        title: "16 B, 1 producer, 1 consumer, auto-ack",
        goal: "≥ 4 M/s, ≥ 20 ×, ≤ 0.20 µs",
        load: Load::Bench(&["--size", "16"]),
        metrics: &[CONSUMED, CPU],
        floor: true,
        turn: 3,
    },
    Scenario {
        id: "ack",
        title: "16 B, ack each, prefetch 1000",
        goal: "≥ 2 M/s",
        load: Load::Bench(&["--size", "16", "--ack", "1", "--prefetch", "1000"]),
        metrics: &[CONSUMED, CPU],
        floor: false,
        turn: 3,
    },
    Scenario {
        id: "1k",
        title: "1 KiB, auto-ack",
        goal: "≥ 1 M/s, ≤ 0.9 µs",
        load: Load::Bench(&["--size", "1024"]),
        metrics: &[CONSUMED, CPU],
        floor: true,
        turn: 3,
    },
    Scenario {
        id: "64k",
        title: "64 KiB, auto-ack",
        goal: "≥ 25 k/s, ≤ 30 µs",
        load: Load::Bench(&["--size", "65536"]),
        metrics: &[CONSUMED, CPU],
        floor: true,
        turn: 3,
    },
    Scenario {
        id: "fanout",
        title: "fan-out to 10 queues, 16 B: deliveries",
        goal: "≥ 5 M/s",
        load: Load::Bench(&["--size", "16", "--fanout", "10", "--consumers", "10"]),
        metrics: &[CONSUMED, CPU],
        floor: false,
        turn: 3,
    },
    Scenario {
        id: "20x20",
        title: "20 producers, 20 consumers, 20 queues, 16 B",
        goal: "≥ 3.5 M/s",
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
        floor: false,
        turn: 3,
    },
    Scenario {
        id: "paced",
        title: "2,000 msg/s paced, ack each: publish to delivery",
        goal: "p50 ≤ 0.030 ms, p99 ≤ 0.10 ms",
        load: Load::Bench(&["--size", "16", "--rate", "2000", "--ack", "1", "--prefetch", "1000"]),
        metrics: &[P50, P99],
        floor: true,
        turn: 2,
    },
    Scenario {
        id: "idle",
        title: "idle connection with one channel",
        goal: "≤ 8 KiB",
        load: Load::Bench(&["--idle-connections", "1000"]),
        metrics: &[IDLE],
        floor: false,
        turn: 0,
    },
    Scenario {
        id: "connects",
        title: "connect + open + declare + close, one after another",
        goal: "≥ 3,500 /s",
        load: Load::Bench(&["--connects"]),
        metrics: &[CONNECTS],
        floor: true,
        turn: 1,
    },
    Scenario {
        id: "start",
        title: "start to listening (empty)",
        goal: "≤ 0.02 s",
        load: Load::Start,
        metrics: &[START],
        floor: false,
        turn: 0,
    },
];

impl Unit {
    /// A figure as the table shows it.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::PerSecond if value >= 1e5 => format!("{} M/s", digits(value / 1e6)),
            Self::PerSecond if value >= 1e4 => format!("{} k/s", digits(value / 1e3)),
            Self::PerSecond => format!("{value:.0} /s"),
            Self::CpuMicros => format!("{} µs", digits(value)),
            Self::LatencyMicros(name) => format!("{name} {} ms", digits(value / 1e3)),
            Self::Kib => format!("{} KiB", digits(value)),
            Self::Seconds => format!("{value:.3} s"),
        }
    }

    /// How many times better `ours` is than `theirs`.
    pub fn advantage(self, ours: f64, theirs: f64) -> Option<f64> {
        let (high, low) = match self {
            Self::PerSecond => (ours, theirs),
            _ => (theirs, ours),
        };
        (low > 0.0).then(|| high / low)
    }
}

/// Two significant digits or, from 100 on, none after the point.
pub(super) fn digits(value: f64) -> String {
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
    }

    #[test]
    fn less_is_better_except_for_rates() {
        assert_eq!(Unit::PerSecond.advantage(40.0, 2.0), Some(20.0));
        assert_eq!(Unit::Kib.advantage(8.0, 96.0), Some(12.0));
        assert_eq!(Unit::Kib.advantage(0.0, 96.0), None);
    }
}
