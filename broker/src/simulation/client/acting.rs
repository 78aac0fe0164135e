//! What clients do, by chance.

use lepus_protocol::method::Verdict;
use lepus_storage::disk::sim::Random;

use super::super::laws::{LAWS, SOURCES};
use super::super::ledger::queue_of;
use super::super::letter::{KEYS, LATE, Letter};
use super::super::model::{FLEETING, Held, QUEUES};
use super::super::scene::Scene;
use super::{Channel, Client, Connection, Mode, Sent};

/// Channels of a connection.
const CHANNELS: u16 = 3;
/// Messages in all queues from which on little is published.
const PLENTY: usize = 100;

impl Client {
    /// Does something, if there is anything that can be done now.
    pub fn act(&mut self, scene: &mut Scene) {
        let Some(connection) = &mut self.connection else {
            if scene.random.chance(30) {
                self.connect(scene);
            }
            return;
        };
        if !connection.open || connection.closing {
            return;
        }
        let number = 1 + scene.random.below(u64::from(CHANNELS)) as u16;
        match connection.channels.get(&number) {
            None => connection.open_channel(number),
            Some(channel) if channel.waiting.is_some() || channel.closed => {}
            Some(_) => connection.act(number, scene),
        }
    }
}

impl Connection {
    pub fn open_channel(&mut self, number: u16) {
        self.channels.insert(number, Channel::new());
        self.say(Sent::Open(number));
    }

    fn act(&mut self, number: u16, scene: &mut Scene) {
        let Some(channel) = self.channels.get(&number) else { return };
        let (mode, untried) = (channel.mode, channel.published == 0);
        let random = &mut scene.random;
        if mode == Mode::Plain && untried && random.chance(60) {
            let confirms = random.chance(70) || channel.has_ruled();
            let mode = if confirms { Mode::Confirms } else { Mode::Tx };
            return self.say(Sent::Select(number, mode));
        }
        match random.below(100) {
            0..30 => self.publish_some(number, scene),
            30..62 => self.settle_some(number, random),
            62..70 => self.consume(number, random),
            70..72 => self.cancel(number, random),
            // Not from the one that may go while the answer is being read from the disk.
            72..76 => {
                let queue = ruled(random).unwrap_or(random.below(u64::from(FLEETING)) as u8);
                self.say(Sent::Get(number, queue));
            }
            76..94 if mode == Mode::Tx => {
                let sent = if random.chance(80) { Sent::Commit } else { Sent::Rollback };
                self.say(sent(number));
            }
            76..96 => self.change_topology(number, scene),
            96 if mode != Mode::Tx => self.say(Sent::Recover(number)),
            97 => self.say(Sent::Qos(number, random.below(8) as u16)),
            98 if random.chance(40) => self.say(Sent::Close(number)),
            99 if random.chance(20) => {
                self.closing = true;
                self.say(Sent::End);
            }
            _ => {}
        }
    }

    fn publish_some(&mut self, number: u16, scene: &mut Scene) {
        let Some(channel) = self.channels.get(&number) else { return };
        let mode = channel.mode;
        let there: usize = scene.model.queues().map(|queue| queue.bounds().1).sum();
        if there.max(scene.model.ledger.len()) > PLENTY && scene.random.chance(90) {
            return;
        }
        for _ in 0..=scene.random.below(5) {
            let letter = letter(scene, mode);
            letter.publish(&mut self.to_broker, number);
            self.note(Sent::Publish(number, letter));
        }
    }

    fn settle_some(&mut self, number: u16, random: &mut Random) {
        let Some(channel) = self.channels.get_mut(&number) else { return };
        let tags: Vec<u64> = channel.unacked.keys().copied().collect();
        if tags.is_empty() {
            return;
        }
        let verdict = match random.below(10) {
            0..7 => Verdict::Ack,
            7..9 => Verdict::Requeue,
            _ => Verdict::Discard,
        };
        let multiple = random.chance(40);
        let at = if random.chance(60) { 0 } else { random.index(tags.len()) };
        let chosen = if multiple { 0..at + 1 } else { at..at + 1 };
        let take = |tag: &u64| Some((*tag, channel.unacked.remove(tag)?));
        let settled: Vec<(u64, Held)> =
            tags.get(chosen).unwrap_or_default().iter().filter_map(take).collect();
        self.say_verdict(number, settled, verdict, multiple);
    }

    fn consume(&mut self, number: u16, random: &mut Random) {
        let Some(channel) = self.channels.get(&number) else { return };
        if channel.consumers.values().filter(|consumer| !consumer.ended).count() >= 2 {
            return;
        }
        let queue = ruled(random).unwrap_or(random.below(u64::from(QUEUES)) as u8);
        self.say_consume(number, queue);
    }

    pub fn say_consume(&mut self, number: u16, queue: u8) {
        self.consumers += 1;
        self.say(Sent::Consume(number, queue, format!("c{}", self.consumers)));
    }

    fn cancel(&mut self, number: u16, random: &mut Random) {
        let Some(channel) = self.channels.get(&number) else { return };
        let alive = channel.consumers.iter().filter(|(_, consumer)| !consumer.ended);
        let tags: Vec<&String> = alive.map(|(tag, _)| tag).collect();
        if let Some(tag) = tags.get(random.index(tags.len())) {
            self.say(Sent::Cancel(number, (*tag).clone()));
        }
    }

    fn change_topology(&mut self, number: u16, scene: &mut Scene) {
        let random = &mut scene.random;
        let queue = random.below(u64::from(QUEUES)) as u8;
        let exchange = 1 + random.below(2) as u8;
        let key = random.below(u64::from(KEYS)) as u8;
        let sent = match random.below(100) {
            0..30 => Sent::Declare(number, queue),
            30..40 => Sent::Exchange(number, exchange),
            40..62 => Sent::Bind(number, exchange, key, queue),
            62..68 => Sent::Unbind(number, exchange, key, queue),
            68..75 => Sent::Delete(number, FLEETING),
            75..79 => Sent::Purge(number, queue),
            _ => Sent::Passive(number, queue),
        };
        self.say(sent);
    }
}

impl Channel {
    /// Whether it has to do with queues with rules.
    fn has_ruled(&self) -> bool {
        let consumers = self.consumers.values().map(|consumer| consumer.incarnation);
        let mut all = consumers.chain(self.unacked.values().map(|held| held.incarnation));
        all.any(|incarnation| queue_of(incarnation).is_some())
    }
}

/// Sometimes a queue with rules.
fn ruled(random: &mut Random) -> Option<u8> {
    let chosen = random.chance(40);
    chosen.then(|| LAWS[random.index(LAWS.len())].queue)
}

/// A new message, to an exchange that exists.
fn letter(scene: &mut Scene, mode: Mode) -> Letter {
    let id = scene.next_letter();
    let random = &mut scene.random;
    if ruled(random).is_some() {
        let exchange = if random.chance(25) { LATE } else { 0 };
        let key = SOURCES[random.index(SOURCES.len())];
        let letter = Letter { id, exchange, key, persistent: true, mandatory: false };
        // What is refused in a transaction is told in another way.
        let other = Letter { exchange: LATE, ..letter };
        return if mode == Mode::Tx && letter.may_be_rejected() { other } else { letter };
    }
    let exchange = [0, 0, 1, 2][random.index(4)];
    let exchange = if scene.model.has_exchange(exchange) { exchange } else { 0 };
    let keys = if exchange == 0 { QUEUES } else { KEYS };
    Letter {
        id,
        exchange,
        key: random.below(u64::from(keys)) as u8,
        persistent: random.chance(80),
        mandatory: random.chance(20),
    }
}
