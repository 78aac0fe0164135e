//! The queue against a naive model, step by step, and RabbitMQ's rules by example.

mod deadlines;
mod durable;
mod fairness;
mod flow;
mod model;
mod priorities;
mod random;
mod retried;
mod returns;
mod rules;
mod single;
mod unique;

use lepus_protocol::method::Verdict;

use super::*;
use crate::message::Builder;

/// A message that knows its number, of so many octets beyond that.
fn message(id: u32, padding: usize) -> Message {
    let mut body = id.to_be_bytes().to_vec();
    body.resize(4 + padding, b'.');
    Builder::whole(0, b"\0\0", &[0, 0], &body, false)
}

/// The octets of properties that are but a priority.
fn of_priority(priority: u8) -> Vec<u8> {
    if priority == 0 { vec![0, 0] } else { vec![0x08, 0, priority] }
}

fn messages(ids: std::ops::Range<u32>) -> Vec<Message> {
    ids.map(|id| message(id, 0)).collect()
}

/// The number in a message.
fn id_of(message: &Message) -> u32 {
    let (number, _) = message.body().split_first_chunk().expect("a message of these tests");
    u32::from_be_bytes(*number)
}

fn key(number: u32) -> ConsumerKey {
    ConsumerKey { connection: 1, number }
}

fn consumer(number: u32) -> ConsumerSpec {
    ConsumerSpec {
        key: key(number),
        no_ack: false,
        exclusive: false,
        prefetch: 0,
        priority: 0,
        pull: false,
        window: 1 << 20,
        timeout: None,
    }
}

fn range(first: Seq, last: Seq) -> Vec<SeqRange> {
    vec![SeqRange { first, last, returns: ANY_DELIVERY }]
}

/// A queue that the store knows nothing of.
const CONFIG: Config = Config {
    auto_delete: false,
    durable: None,
    hot_max: usize::MAX,
    priorities: Priorities { max: 0, mode: PriorityMode::Strict },
};

/// A queue whose commands answer with what they led to.
struct Bench {
    state: State,
}

impl Bench {
    fn new() -> Self {
        Self { state: State::new(CONFIG, Arc::default(), &[], 0) }
    }

    fn with_rules(rules: Rules) -> Self {
        Self { state: State::new(CONFIG, Arc::new(rules), &[], 0) }
    }

    fn auto_delete() -> Self {
        Self { state: State::new(Config { auto_delete: true, ..CONFIG }, Arc::default(), &[], 0) }
    }

    fn apply(&mut self, command: Command) -> (Outcome, Effects) {
        let mut effects = Effects::default();
        let outcome = self.state.apply(0, command, &mut effects);
        (outcome, effects)
    }

    /// Deliveries as (consumer, message, redelivered).
    fn delivered(&mut self, command: Command) -> Vec<(u32, u32, bool)> {
        let (_, effects) = self.apply(command);
        let deliveries = effects.deliveries.into_iter();
        let plain = |Delivery { to, entry, .. }: Delivery| {
            (to.number, id_of(&entry.message), entry.redelivered)
        };
        deliveries.map(plain).collect()
    }

    fn notices(&mut self, command: Command) -> Vec<Notice> {
        self.apply(command).1.notices
    }

    /// Takes all that is ready, as (position, message, redelivered).
    fn drain(&mut self) -> Vec<(Seq, u32, bool)> {
        let mut all = Vec::new();
        while let (Outcome::Got(Some(entry), _), _) =
            self.apply(Command::Get { no_ack: true, connection: 0 })
        {
            all.push((entry.seq, id_of(&entry.message), entry.redelivered));
        }
        all
    }

    fn publish(&mut self, ids: std::ops::Range<u32>) -> Vec<(u32, u32, bool)> {
        self.delivered(Command::Publish(messages(ids)))
    }
}
