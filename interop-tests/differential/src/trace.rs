//! The requests of a seed.

use std::ops::Range;

use lepus_tests::*;

use crate::client::{Client, PLAIN, Refusal, TX};
use crate::flavour::Flavour;
use crate::message;

const QUEUES: usize = 5;
const KINDS: [&str; 5] = ["direct", "fanout", "topic", "headers", "direct"];
/// The routing keys of all traces.
pub const KEYS: [&str; 5] = ["a", "b", "a.b", "a.*", "#"];
/// The first requests make something to work with.
const DECLARATIONS: u64 = 14;

/// The names that a seed uses.
pub struct Names {
    pub seed: u64,
    pub queues: Vec<String>,
    /// With their types.
    pub exchanges: Vec<(String, &'static str)>,
}

impl Names {
    pub fn of(seed: u64) -> Self {
        let exchange = |(number, kind)| (format!("d{seed}.e{number}"), kind);
        Self {
            seed,
            queues: (0..QUEUES).map(|number| format!("d{seed}.q{number}")).collect(),
            exchanges: KINDS.into_iter().enumerate().map(exchange).collect(),
        }
    }

    /// A quorum queue whose messages may come back a few times.
    pub fn limited(&self) -> String {
        format!("d{}.limited", self.seed)
    }
}

/// Makes these requests of a seed, in order, and prints the answers.
pub fn run(client: &mut Client, seed: u64, numbers: Range<u64>) {
    for number in numbers {
        // Generators of their own: an answer never changes what comes later.
        let random = Random::seeded(seed.wrapping_mul(1_000_003) ^ number);
        let (names, flavour) = (Names::of(seed), Flavour::of(seed));
        let mut request = Request { client, names, flavour, random };
        request.rest();
        let (name, answer) = request.make(number);
        let answer = answer.unwrap_or_else(|refusal| refusal);
        println!("seed {seed} request {number} {name} => {answer}");
    }
}

type Answer = Result<String, Refusal>;

struct Request<'a> {
    client: &'a mut Client,
    names: Names,
    flavour: Flavour,
    random: Random,
}

impl Request<'_> {
    fn make(&mut self, number: u64) -> (&'static str, Answer) {
        let choice = self.random.below(100);
        match choice {
            _ if number < 5 => ("declare queue", self.declare_queue(number as usize)),
            _ if number < 10 => ("declare exchange", self.declare_exchange(number as usize - 5)),
            _ if number < DECLARATIONS => ("bind", self.bind()),
            0..5 => {
                let which = self.random.below(QUEUES);
                ("declare queue", self.declare_queue(which))
            }
            5..7 => {
                let which = self.random.below(KINDS.len());
                ("declare exchange", self.declare_exchange(which))
            }
            7..16 => ("bind", self.bind()),
            16..18 => ("unbind", self.unbind()),
            18..21 if self.flavour == Flavour::Letters => ("limit", self.limit()),
            18..52 => ("publish", self.publish()),
            52..68 => ("get", self.get()),
            68..82 => ("consume", self.consume()),
            82..84 => ("purge", self.purge()),
            84 => ("delete queue", self.delete_queue()),
            85 => ("delete exchange", self.delete_exchange()),
            86..96 => ("transaction", self.transaction()),
            _ => {
                self.client.recycle(PLAIN);
                ("close channel", Ok("closed and opened".to_owned()))
            }
        }
    }

    /// Waits until no dead letters are on their way.
    fn rest(&mut self) {
        if self.flavour != Flavour::Plain {
            self.client.rest(&self.names.queues);
        }
    }

    fn queue(&mut self) -> String {
        let which = self.random.below(QUEUES);
        self.names.queues[which].clone()
    }

    fn exchange(&mut self) -> (String, &'static str) {
        let which = self.random.below(KINDS.len());
        self.names.exchanges[which].clone()
    }

    fn key(&mut self) -> &'static str {
        KEYS[self.random.below(KEYS.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.random.below(100) < percent
    }

    fn declare_queue(&mut self, which: usize) -> Answer {
        let name = self.names.queues[which].clone();
        let arguments = self.flavour.arguments(&self.names, which, &mut self.random);
        println!("seed {} declares {name} with {arguments:?}", self.names.seed);
        let declare = queue::Declare {
            durable: self.chance(85),
            exclusive: self.chance(7),
            auto_delete: self.chance(7),
            arguments,
            ..declare(&name)
        };
        let _: queue::DeclareOk = self.client.ask(PLAIN, declare)?;
        Ok(format!("{} ready", self.client.count(PLAIN, &name)?))
    }

    fn declare_exchange(&mut self, which: usize) -> Answer {
        let (name, kind) = self.names.exchanges[which].clone();
        let declare = exchange::Declare {
            durable: self.chance(80),
            auto_delete: self.chance(7),
            ..declare_exchange(&name, kind)
        };
        let _: exchange::DeclareOk = self.client.ask(PLAIN, declare)?;
        Ok("ok".to_owned())
    }

    fn arguments(&mut self, kind: &str) -> FieldTable {
        if kind != "headers" {
            return FieldTable::default();
        }
        let rule = if self.chance(50) { "all" } else { "any" };
        table([("x-match", text(rule)), ("a", AMQPValue::Void)])
    }

    fn bind(&mut self) -> Answer {
        let ((exchange, kind), key) = (self.exchange(), self.key());
        let arguments = self.arguments(kind);
        if self.chance(15) {
            let (destination, _) = self.exchange();
            let bind = exchange::Bind { arguments, ..bind_exchange(&destination, &exchange, key) };
            let _: exchange::BindOk = self.client.ask(PLAIN, bind)?;
        } else {
            let queue = self.queue();
            let bind = queue::Bind { arguments, ..bind(&queue, &exchange, key) };
            let _: queue::BindOk = self.client.ask(PLAIN, bind)?;
        }
        Ok("ok".to_owned())
    }

    fn unbind(&mut self) -> Answer {
        let ((exchange, kind), key, queue) = (self.exchange(), self.key(), self.queue());
        let unbind =
            queue::Unbind { arguments: self.arguments(kind), ..unbind(&queue, &exchange, key) };
        let _: queue::UnbindOk = self.client.ask(PLAIN, unbind)?;
        Ok("ok".to_owned())
    }

    fn publishing(&mut self) -> (basic::Publish, (BasicProperties, Vec<u8>)) {
        let (exchange, key) = match self.chance(40) || self.flavour == Flavour::Full {
            true => (String::new(), self.queue()),
            false => (self.exchange().0, self.key().to_owned()),
        };
        let publish = basic::Publish { mandatory: self.chance(30), ..publish(&exchange, &key) };
        let copies: &[&str] = match self.flavour {
            Flavour::Plain | Flavour::Letters => &["CC", "BCC"],
            Flavour::Full => &[],
        };
        (publish, message::any(&mut self.random, copies, &self.names.queues))
    }

    fn publish(&mut self) -> Answer {
        let mut answers = Vec::new();
        for _ in 0..=self.random.below(12) {
            let (publish, message) = self.publishing();
            let (priority, size) = (message.0.priority(), message.1.len());
            let to = format!("{}|{}|{priority:?}|{size}", publish.exchange, publish.routing_key);
            let answer = self.client.publish(PLAIN, publish, &message)?;
            answers.push(format!("{to} {answer}"));
            if self.flavour == Flavour::Full {
                self.rest();
            }
        }
        Ok(answers.join("; "))
    }

    fn get(&mut self) -> Answer {
        let queue = self.queue();
        let mut answers = Vec::new();
        for _ in 0..=self.random.below(6) {
            let no_ack = self.chance(20);
            let Some((tag, text)) = self.client.get(PLAIN, &queue, no_ack)? else {
                answers.push("empty".to_owned());
                break;
            };
            answers.push(text);
            if !no_ack {
                self.settle(PLAIN, tag);
            }
        }
        Ok(answers.join("; "))
    }

    fn settle(&mut self, id: u16, tag: u64) {
        let choice = self.random.below(10);
        match choice {
            0..5 => self.client.send(id, ack(tag)),
            // A rejection makes the order of earlier deaths decide whether a letter goes in circles.
            5 if self.flavour == Flavour::Full => self.client.send(id, reject(tag, true)),
            5 => self.client.send(id, reject(tag, false)),
            6 => self.client.send(id, reject(tag, true)),
            7 => self.client.send(id, nack(tag, true)),
            // Messages that all come back at the end of a channel would drop others everywhere at once.
            _ if self.flavour == Flavour::Full => self.client.send(id, ack(tag)),
            // It stays unsettled until the channel is closed.
            _ => {}
        }
        if (5..8).contains(&choice) && id == PLAIN {
            self.rest();
        }
    }

    fn consume(&mut self) -> Answer {
        let queue = self.queue();
        let most = 1 + self.random.below(15) as u16;
        let (several, requeue) = (self.chance(30), self.chance(50));
        if several && self.flavour == Flavour::Letters {
            // Several queues at once would bury their messages in any order.
            self.client.recycle(PLAIN);
        }
        let count = self.client.count(PLAIN, &queue)?;
        let _: basic::QosOk = self.client.ask(PLAIN, qos(most))?;
        let exclusive = self.chance(20);
        let consume = basic::Consume { exclusive, ..consume(&queue, "tag") };
        let _: basic::ConsumeOk = self.client.ask(PLAIN, consume)?;
        let mut deliveries = Vec::new();
        for _ in 0..count.min(u32::from(most)) {
            deliveries.push(self.client.delivery(PLAIN)?);
        }
        // Before anything is settled: no more may come.
        self.client.send(PLAIN, cancel("tag"));
        while self.client.has_delivery(PLAIN)? {
            deliveries.push(self.client.delivery(PLAIN)?);
        }
        let _: basic::CancelOk = self.client.answer(PLAIN)?;
        match deliveries.last() {
            Some((last, _)) if several => {
                let requeue = requeue || self.flavour == Flavour::Full;
                self.client.send(PLAIN, nack_up_to(*last, requeue));
                self.rest();
            }
            _ => deliveries.iter().for_each(|(tag, _)| self.settle(PLAIN, *tag)),
        }
        let texts: Vec<String> = deliveries.into_iter().map(|(_, text)| text).collect();
        Ok(format!("{count} ready: {}", texts.join("; ")))
    }

    fn purge(&mut self) -> Answer {
        let queue = self.queue();
        let purged: queue::PurgeOk = self.client.ask(PLAIN, purge(&queue))?;
        Ok(format!("{} purged", purged.message_count))
    }

    fn delete_queue(&mut self) -> Answer {
        let queue = self.queue();
        let delete = queue::Delete { if_empty: self.chance(60), ..delete(&queue) };
        // Unsettled messages would be neither in the queue nor gone.
        self.client.recycle(PLAIN);
        self.client.count(PLAIN, &queue)?;
        let deleted: queue::DeleteOk = self.client.ask(PLAIN, delete)?;
        Ok(format!("{} deleted", deleted.message_count))
    }

    fn delete_exchange(&mut self) -> Answer {
        let (exchange, _) = self.exchange();
        let delete = exchange::Delete { if_unused: self.chance(60), ..delete_exchange(&exchange) };
        let _: exchange::DeleteOk = self.client.ask(PLAIN, delete)?;
        Ok("ok".to_owned())
    }

    fn transaction(&mut self) -> Answer {
        let mut answers = Vec::new();
        let queue = self.queue();
        self.client.sync(PLAIN)?;
        // Queues that may be full see one thing at a time.
        let (most_settled, most_published) = match (self.flavour, self.chance(50)) {
            (Flavour::Full, true) => (1, 0),
            (Flavour::Full, false) => (0, 1),
            _ => (self.random.below(4), self.random.below(6)),
        };
        for _ in 0..most_settled {
            let Some((tag, text)) = self.client.get(TX, &queue, false)? else { break };
            answers.push(text);
            self.settle(TX, tag);
        }
        for _ in 0..most_published {
            let (publish, message) = self.publishing();
            let publish = basic::Publish { mandatory: false, ..publish };
            answers.push(self.client.publish(TX, publish, &message)?);
        }
        if self.chance(70) {
            let _: tx::CommitOk = self.client.ask(TX, tx::Commit {})?;
            answers.push("committed".to_owned());
        } else {
            let _: tx::RollbackOk = self.client.ask(TX, tx::Rollback {})?;
            answers.push("rolled back".to_owned());
        }
        // What is not settled goes back.
        self.client.recycle(TX);
        Ok(answers.join("; "))
    }

    /// A message that comes back until it is a dead letter.
    fn limit(&mut self) -> Answer {
        let limited = self.names.limited();
        let arguments = table([
            ("x-queue-type", text("quorum")),
            ("x-delivery-limit", int((self.names.seed % 4) as i32)),
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text(&self.names.queues[0])),
        ]);
        let declare = queue::Declare { durable: true, arguments, ..declare(&limited) };
        let _: queue::DeclareOk = self.client.ask(PLAIN, declare)?;
        let message = message::any(&mut self.random, &[], &[]);
        let mut answers = vec![self.client.publish(PLAIN, publish("", &limited), &message)?];
        while let Some((tag, text)) = self.client.get(PLAIN, &limited, false)? {
            answers.push(text);
            if self.chance(50) {
                self.client.send(PLAIN, nack(tag, true));
            } else {
                self.client.send(PLAIN, reject(tag, true));
            }
        }
        Ok(answers.join("; "))
    }
}
