//! Persistent messages in durable queues, all with publisher confirms.

use super::{CONSUMED, CPU, Floor, Goal, Load, Metric, Scenario, Unit};

const CONFIRM_P50: Metric =
    Metric { pointer: "/confirm_us/p50", unit: Unit::LatencyMicros("confirm p50") };
const CONFIRM_P99: Metric =
    Metric { pointer: "/confirm_us/p99", unit: Unit::LatencyMicros("confirm p99") };
const APPENDED_P50: Metric =
    Metric { pointer: "/appended_us/p50", unit: Unit::LatencyMicros("to a growing file p50") };
const DELIVERY_P99: Metric =
    Metric { pointer: "/latency_us/p99", unit: Unit::LatencyMicros("delivery p99") };
const CONFIRMED: Metric = Metric { pointer: "/confirmed_per_s", unit: Unit::PerSecond };
const FILL: Metric = Metric { pointer: "/fill/per_s", unit: Unit::Rate("fill") };
const DRAIN: Metric = Metric { pointer: "/drain/per_s", unit: Unit::Rate("drain") };
const DEVICE: Metric = Metric { pointer: "/device/bytes_per_body_byte", unit: Unit::Times };
const DECLARES: Metric = Metric { pointer: "/declares_per_s", unit: Unit::PerSecond };
const FIRST: Metric =
    Metric { pointer: "/first_after_start_ms", unit: Unit::Millis("first after") };
const COUNT: Metric = Metric { pointer: "/count", unit: Unit::Count("messages") };
const FILLED_RSS: Metric = Metric { pointer: "/filled_kib", unit: Unit::Mib("RSS filled") };
const STARTED_RSS: Metric = Metric { pointer: "/started_kib", unit: Unit::Mib("RSS started") };
const PER_MESSAGE: Metric =
    Metric { pointer: "/bytes_per_message", unit: Unit::Bytes("of memory per message") };
const PEAK_RSS: Metric = Metric { pointer: "/peak_rss_kib", unit: Unit::Mib("peak RSS") };

/// 1 KiB within a wide window; also the load of `device-bytes`.
const KIB: &[&str] =
    &["--persistent", "--size", "1024", "--confirm", "2000", "--ack", "100", "--prefetch", "2000"];

/// The rows, in the order of the table.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "durable-1k-200",
        title: "durable: 1 KiB, window 200, ack every 10, prefetch 200",
        goals: &[Goal::Least(CONSUMED, 200e3), Goal::Ratio(5.0), Goal::Most(CPU, 4.0)],
        load: Load::Bench(&[
            "--persistent",
            "--size",
            "1024",
            "--confirm",
            "200",
            "--ack",
            "10",
            "--prefetch",
            "200",
        ]),
        metrics: &[CONSUMED, CPU],
        floor: Floor::None,
        turn: 4,
    },
    Scenario {
        id: "durable-1k",
        title: "durable: 1 KiB, window 2,000, ack every 100, prefetch 2,000",
        goals: &[Goal::Least(CONSUMED, 350e3)],
        load: Load::Bench(KIB),
        metrics: &[CONSUMED, CPU],
        floor: Floor::None,
        turn: 4,
    },
    Scenario {
        id: "durable-16",
        title: "durable: 16 B, window 2,000, ack every 100, prefetch 2,000",
        goals: &[Goal::Least(CONSUMED, 1e6), Goal::Most(CPU, 0.8)],
        load: Load::Bench(&[
            "--persistent",
            "--size",
            "16",
            "--confirm",
            "2000",
            "--ack",
            "100",
            "--prefetch",
            "2000",
        ]),
        metrics: &[CONSUMED, CPU],
        floor: Floor::None,
        turn: 4,
    },
    Scenario {
        id: "confirm-1",
        title: "durable: one publisher, window 1, 1 KiB; floor: write + fdatasync to a file written before",
        goals: &[Goal::Most(CONFIRM_P50, 160.0), Goal::OfFloor(1.3)],
        load: Load::Bench(&[
            "--persistent",
            "--size",
            "1024",
            "--confirm",
            "1",
            "--consumers",
            "0",
        ]),
        metrics: &[CONFIRM_P50, CONFIRM_P99, APPENDED_P50],
        floor: Floor::Disk(&["--size", "1024"]),
        turn: 2,
    },
    Scenario {
        id: "two-publishers",
        title: "durable: two publishers, two queues, window 1, 1 KiB: confirms",
        goals: &[],
        load: Load::Bench(&[
            "--persistent",
            "--size",
            "1024",
            "--confirm",
            "1",
            "--consumers",
            "0",
            "--producers",
            "2",
            "--queues",
            "2",
        ]),
        metrics: &[CONFIRMED, CONFIRM_P50, CONFIRM_P99],
        floor: Floor::None,
        turn: 2,
    },
    Scenario {
        id: "durable-paced",
        title: "durable: 2,000 msg/s paced, 16 B, ack each",
        goals: &[Goal::Most(DELIVERY_P99, 110.0), Goal::Most(CONFIRM_P99, 600.0)],
        load: Load::Bench(&[
            "--persistent",
            "--size",
            "16",
            "--rate",
            "2000",
            "--confirm",
            "2000",
            "--ack",
            "1",
            "--prefetch",
            "1000",
        ]),
        metrics: &[DELIVERY_P99, CONFIRM_P99],
        floor: Floor::None,
        turn: 2,
    },
    Scenario {
        id: "fill-drain",
        title: "durable: fill 500 k × 100 B, window 2,000; then drain, ack every 100",
        goals: &[Goal::Least(FILL, 1e6), Goal::Least(DRAIN, 1e6)],
        load: Load::Bench(&[
            "--backlog",
            "500000",
            "--persistent",
            "--size",
            "100",
            "--confirm",
            "2000",
            "--ack",
            "100",
            "--prefetch",
            "2000",
        ]),
        metrics: &[FILL, DRAIN],
        floor: Floor::None,
        turn: 5,
    },
    Scenario {
        id: "device-bytes",
        title: "durable: bytes to the device per byte of 1 KiB messages",
        goals: &[Goal::Most(DEVICE, 1.3)],
        load: Load::Device(KIB),
        metrics: &[DEVICE],
        floor: Floor::None,
        turn: 5,
    },
    Scenario {
        id: "declares",
        title: "durable queues declared, one after another",
        goals: &[Goal::Least(DECLARES, 3000.0)],
        load: Load::Bench(&["--declares"]),
        metrics: &[DECLARES],
        floor: Floor::None,
        turn: 5,
    },
    Scenario {
        id: "backlog",
        title: "start with a long queue of 16 B messages",
        goals: &[Goal::Most(FIRST, 1e3), Goal::Most(PER_MESSAGE, 1.0)],
        load: Load::Backlog(&["--persistent", "--size", "16", "--confirm", "2000"]),
        metrics: &[FIRST, COUNT, FILLED_RSS, STARTED_RSS, PER_MESSAGE, FILL],
        floor: Floor::None,
        turn: 6,
    },
    Scenario {
        id: "deep",
        title: "1 KiB messages far beyond 512 MB of memory: fill, kill -9, start, drain in order",
        goals: &[Goal::Most(PEAK_RSS, 500e3)],
        load: Load::Deep(KIB),
        metrics: &[FILL, DRAIN, FIRST, COUNT, PEAK_RSS],
        floor: Floor::None,
        turn: 7,
    },
];
