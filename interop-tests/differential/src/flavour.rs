//! What a seed's queues do with messages that nobody wants, or that are too many.
//!
//! RabbitMQ's queues hand their dead letters on by themselves, each at its own time. So that a trace has
//! one outcome, dead letters either spread freely, or queues are full, but not both.

use lepus_tests::*;

use crate::trace::{KEYS, Names};

/// In a trace of the flavour `Full` the first queues refuse what is too much.
const REFUSING: usize = 2;

/// The kind of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// Without dead letters.
    Plain,
    /// Rejected messages go wherever an exchange leads them. There are priorities.
    Letters,
    /// Queues of few messages, which go on to one other queue, or are refused. Messages come to one queue
    /// each, and only one at a time is on its way.
    Full,
}

impl Flavour {
    /// The flavour of a seed.
    pub fn of(seed: u64) -> Self {
        [Self::Plain, Self::Letters, Self::Full][(seed % 3) as usize]
    }

    /// The arguments of a queue: mostly those that it always has in this trace.
    pub fn arguments(self, names: &Names, which: usize, random: &mut Random) -> FieldTable {
        match self {
            Self::Plain => plain(random),
            _ if random.below(100) < 15 => self.any_arguments(names, which, random),
            _ => {
                let usual = names.seed.wrapping_mul(31).wrapping_add(which as u64);
                self.any_arguments(names, which, &mut Random::seeded(usual))
            }
        }
    }

    fn any_arguments(self, names: &Names, which: usize, random: &mut Random) -> FieldTable {
        let mut arguments = FieldTable::default();
        if random.below(100) < 30 {
            arguments.insert("x-max-priority".into(), int(1 + random.below(6) as i32));
        }
        if self == Self::Letters {
            letters(names, random, &mut arguments);
        } else {
            few(names, which, random, &mut arguments);
        }
        arguments
    }
}

fn plain(random: &mut Random) -> FieldTable {
    match random.below(12) {
        0 => table([("x-message-ttl", int(86_400_000))]),
        1 => table([("x-queue-type", text("classic"))]),
        2 => table([("x-max-length", int(1_000_000)), ("x-queue-mode", text("lazy"))]),
        _ => FieldTable::default(),
    }
}

/// Any exchange, which may be missing; its own key, a queue's or none.
fn letters(names: &Names, random: &mut Random, arguments: &mut FieldTable) {
    if random.below(100) < 20 {
        return;
    }
    let exchange = match random.below(10) {
        0..3 => "",
        _ => names.exchanges[random.below(names.exchanges.len())].0.as_str(),
    };
    arguments.insert("x-dead-letter-exchange".into(), text(exchange));
    let key = match random.below(10) {
        0..4 => return,
        4..7 => names.queues[random.below(names.queues.len())].as_str(),
        _ => KEYS[random.below(KEYS.len())],
    };
    arguments.insert("x-dead-letter-routing-key".into(), text(key));
}

/// Dead letters of a full queue go to one that refuses nothing: RabbitMQ drops letters that are refused.
fn few(names: &Names, which: usize, random: &mut Random, arguments: &mut FieldTable) {
    let refuses = which < REFUSING;
    if random.below(100) < 70 {
        let target = REFUSING + random.below(names.queues.len() - REFUSING);
        arguments.insert("x-dead-letter-exchange".into(), text(""));
        arguments.insert("x-dead-letter-routing-key".into(), text(&names.queues[target]));
    }
    if refuses || random.below(100) < 70 {
        arguments.insert("x-max-length".into(), int(random.below(6) as i32));
    }
    if random.below(100) < 25 {
        arguments.insert("x-max-length-bytes".into(), int(random.below(2_500) as i32));
    }
    let overflow = match (refuses, random.below(3)) {
        (true, 0) => "reject-publish",
        (true, _) => "reject-publish-dlx",
        (false, 0) => "drop-head",
        (false, _) => return,
    };
    arguments.insert("x-overflow".into(), text(overflow));
}
