//! Policies and calls act on queues and exchanges that are there, and on those to come.

use std::time::Instant;

use amq_protocol::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};

use super::*;
use crate::config::Config;
use crate::mailbox::{Mail, Mailbox};
use crate::message::{Builder, Message};
use crate::queue::Queue;
use crate::queue::state::{Command as QueueCommand, ConsumerKey, ConsumerSpec, Outcome as Answer};
use crate::routing::{ExchangeKind, RouteInput};
use crate::topology::{BindingSpec, ExchangeSpec, QueueSpec, Target};

struct Bench {
    node: Arc<Node>,
    vhost: Arc<Vhost>,
}

impl Bench {
    fn new() -> Self {
        let node = Node::in_memory(Config { memory_watermark: u64::MAX, ..Config::default() });
        let vhost = node.vhost("/").expect("the virtual host that every broker has");
        Self { node, vhost }
    }

    fn queue_with(&self, name: &str, arguments: FieldTable) -> Arc<Queue> {
        let (durable, owner, auto_delete) = (true, None, false);
        let spec = QueueSpec { name: name.to_owned(), durable, owner, auto_delete, arguments };
        self.vhost.declare_queue(&self.node, &spec).expect("a queue")
    }

    fn queue(&self, name: &str) -> Arc<Queue> {
        self.queue_with(name, FieldTable::default())
    }

    fn exchange(&self, name: &str, arguments: FieldTable) {
        let spec = ExchangeSpec {
            name: name.to_owned(),
            kind: ExchangeKind::Fanout,
            durable: true,
            auto_delete: false,
            internal: false,
            arguments,
        };
        self.vhost.apply(&self.node, Command::DeclareExchange(spec)).expect("an exchange");
    }

    fn set(&self, kind: Kind, name: &str, pattern: &str, definition: Value) {
        let (name, pattern, apply_to) = (name.to_owned(), pattern.to_owned(), String::new());
        let spec = PolicySpec { name, pattern, apply_to, priority: 0, definition };
        self.vhost.set_policy("op", &self.node, kind, spec).expect("a valid policy");
    }

    fn clear(&self, kind: Kind, name: &str) -> bool {
        self.vhost.clear_policy("op", &self.node, kind, name)
    }

    fn consumer(&self, queue: &Arc<Queue>) -> Arc<Mailbox> {
        let (connection, mailbox) = self.node.connect();
        queue.apply(QueueCommand::Consume(ConsumerSpec {
            timeout: None,
            key: ConsumerKey { connection, number: 1 },
            no_ack: true,
            exclusive: false,
            prefetch: 0,
            priority: 0,
            pull: false,
            window: 1 << 20,
        }));
        mailbox
    }

    fn routed(&self, exchange: &str) -> Vec<String> {
        let input = RouteInput { keys: &[b"k"], ..RouteInput::default() };
        let route = self.vhost.route(exchange, &input, &message()).expect("an exchange");
        route.queues.iter().map(|queue| queue.name().to_owned()).collect()
    }
}

fn message() -> Message {
    Builder::whole(crate::clock::now_ms(), b"\0\0", &[0, 0], b"m", false)
}

fn publish(queue: &Arc<Queue>, messages: usize) -> Answer {
    queue.apply(QueueCommand::Publish((0..messages).map(|_| message()).collect()))
}

fn delivered(mailbox: &Mailbox) -> usize {
    let count = |mail: &Mail| match mail {
        Mail::Deliveries(_, deliveries) => deliveries.len(),
        _ => 0,
    };
    mailbox.collect(Vec::new()).iter().map(count).sum()
}

fn table(name: &str, value: AMQPValue) -> FieldTable {
    let mut table = FieldTable::default();
    table.insert(name.into(), value);
    table
}

#[test]
fn a_limit_holds_at_once_and_goes_at_once() {
    let bench = Bench::new();
    let (queue, other) = (bench.queue("q1"), bench.queue("other"));
    publish(&queue, 9);
    publish(&other, 9);
    bench.set(Kind::User, "p", "^q", json!({"max-length": 4}));
    assert_eq!((queue.counts().ready, other.counts().ready), (4, 9));
    bench.set(Kind::Operator, "o", "^q", json!({"max-length": 2}));
    assert_eq!(queue.counts().ready, 2);
    bench.set(Kind::Operator, "o", "^q", json!({"max-length": 7}));
    publish(&queue, 9);
    assert_eq!(queue.counts().ready, 4);
    assert!(bench.clear(Kind::User, "p") && !bench.clear(Kind::User, "p"));
    publish(&queue, 9);
    assert_eq!(queue.counts().ready, 7);
    assert!(bench.clear(Kind::Operator, "o"));
    publish(&queue, 9);
    assert_eq!(queue.counts().ready, 16);
}

#[test]
fn what_is_declared_later_follows_policies_too() {
    let bench = Bench::new();
    bench.set(Kind::User, "p", "^q", json!({"max-length": 3, "overflow": "reject-publish"}));
    let queue = bench.queue_with("q", table("x-max-length", AMQPValue::LongInt(2)));
    assert_eq!(publish(&queue, 4), Answer::Rejected(vec![2, 3]));
    assert!(queue.refuses());
    bench.clear(Kind::User, "p");
    assert!(!queue.refuses());
    assert_eq!(publish(&queue, 4), Answer::Done);
    assert_eq!(queue.counts().ready, 2);
    let effective = |applied: Applied| applied.effective().map(Value::Object);
    assert_eq!(bench.vhost.queue_policies("q").map(effective), Ok(None));
    bench.set(Kind::User, "p", "^q", json!({"expires": 9_000_000}));
    bench.set(Kind::Operator, "o", "", json!({"expires": 8_000_000, "max-length": 1}));
    let both = json!({"expires": 8_000_000, "max-length": 1});
    assert_eq!(bench.vhost.queue_policies("q").map(effective), Ok(Some(both)));
    let operators = json!({"expires": 8_000_000, "max-length": 1});
    assert_eq!(bench.vhost.exchange_policies("amq.topic").map(effective), Ok(Some(operators)));
    assert_eq!(bench.vhost.policies(Kind::User).len(), 1);
}

#[test]
fn a_time_to_live_counts_for_what_is_there() {
    let bench = Bench::new();
    let queue = bench.queue("q");
    publish(&queue, 5);
    bench.set(
        Kind::User,
        "p",
        "",
        json!({"message-ttl": 0, "dead-letter-exchange": "",
        "dead-letter-routing-key": "dead"}),
    );
    let dead = bench.queue("dead");
    bench.set(Kind::User, "a", "^dead$", json!({"max-length": 100}));
    publish(&queue, 5);
    // The first five had nowhere to go.
    assert_eq!((queue.counts().ready, dead.counts().ready), (0, 5));
}

#[test]
fn an_alternate_exchange_comes_and_goes() {
    let bench = Bench::new();
    bench.exchange("source", FieldTable::default());
    bench.exchange("own", table("alternate-exchange", AMQPValue::LongString("none".into())));
    bench.exchange("spare", FieldTable::default());
    bench.queue("q");
    let arguments = &FieldTable::default();
    let spec = BindingSpec { source: "spare", target: Target::Queue("q"), key: "", arguments };
    bench.vhost.apply(&bench.node, Command::Bind(spec, 0)).expect("a binding");
    assert!(bench.routed("source").is_empty());
    let version = bench.vhost.version();
    bench.set(Kind::User, "p", "^(source|own)$", json!({"alternate-exchange": "spare"}));
    assert_ne!(bench.vhost.version(), version, "routes that sessions know are stale");
    assert_eq!((bench.routed("source"), bench.routed("own")), (vec!["q".to_owned()], vec![]));
    bench.clear(Kind::User, "p");
    assert!(bench.routed("source").is_empty());
}

#[test]
fn a_paused_queue_takes_messages_and_gives_none() {
    let bench = Bench::new();
    let queue = bench.queue("q");
    let mailbox = bench.consumer(&queue);
    let get = || queue.apply(QueueCommand::Get { no_ack: true, connection: 0 });
    let pause = |paused| {
        let flow = Flow { paused, ..Flow::default() };
        bench.vhost.set_flow(&bench.node, "q", flow).expect("the queue");
    };
    pause(true);
    publish(&queue, 3);
    assert_eq!((delivered(&mailbox), queue.counts().ready), (0, 3));
    assert_eq!(get(), Answer::Got(None, 0));
    bench.set(Kind::User, "p", "^q", json!({"pause": true}));
    pause(false);
    assert_eq!((delivered(&mailbox), queue.counts().ready), (0, 3));
    bench.clear(Kind::User, "p");
    assert_eq!((delivered(&mailbox), queue.counts().ready), (3, 0));
    assert!(bench.vhost.set_flow(&bench.node, "none", Flow::default()).is_err());
}

#[test]
fn a_rate_lets_a_burst_through_and_waits_for_the_timer() {
    let bench = Bench::new();
    let queue = bench.queue("q");
    let flow = Flow { max_rate: Some(20), ..Flow::default() };
    bench.vhost.set_flow(&bench.node, "q", flow).expect("the queue");
    assert_eq!(bench.vhost.flow("q"), Ok(flow));
    let mailbox = bench.consumer(&queue);
    publish(&queue, 100);
    let first = delivered(&mailbox);
    assert!((2..100).contains(&first), "{first} at once");
    // Later by the timers' clock; the queue looks at its own.
    while delivered(&mailbox) == 0 {
        bench.node.timers().step(u64::MAX - 1);
        std::thread::yield_now();
    }
    bench.vhost.set_flow(&bench.node, "q", Flow::default()).expect("the queue");
    assert_eq!(queue.counts().ready, 0);
}

/// The figure is 100 ms; it is told, not asserted.
#[test]
fn ten_thousand_queues_follow_a_policy() {
    const QUEUES: usize = 10_000;
    let bench = Bench::new();
    let queues: Vec<_> =
        (0..QUEUES).map(|number| bench.queue(&format!("orders.{number}"))).collect();
    for number in 0..10 {
        bench.set(
            Kind::User,
            &number.to_string(),
            &format!("^other{number}"),
            json!({"expires": 1}),
        );
    }
    let start = Instant::now();
    bench.set(Kind::User, "p", r"^orders\.\d+$", json!({"max-length": 1, "message-ttl": 60_000}));
    println!("a policy set for {QUEUES} queues in {:?}", start.elapsed());
    queues.iter().for_each(|queue| drop(publish(queue, 2)));
    assert!(queues.iter().all(|queue| queue.counts().ready == 1));
    let start = Instant::now();
    bench.clear(Kind::User, "p");
    println!("and cleared in {:?}", start.elapsed());
}
