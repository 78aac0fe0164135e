//! Publishers and consumers on their own threads.
//!
//! Threads sleep only until their mailbox wakes them. Which messages are acknowledged, returned or
//! lost with a connection comes from a seed; how the threads interleave does not.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::AtomicUsize;
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use parking_lot::Mutex;

use super::*;
use crate::alarm::Alarm;

const PUBLISHERS: u32 = 3;
const EACH: u32 = 2_000;
const ALL: usize = (PUBLISHERS * EACH) as usize;

/// How long a thread waits for mail that must come, before the test fails.
const NEVER: Duration = Duration::from_secs(20);

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }
}

/// What all threads share.
struct Hall {
    node: Arc<Node>,
    queue: Arc<Queue>,
    /// Messages that are done, by acknowledgement or by a delivery that needs none.
    done: AtomicUsize,
    /// Messages that were returned after a consumer had seen them.
    requeued: Mutex<HashSet<u32>>,
}

impl Hall {
    fn new() -> Arc<Self> {
        let node = node();
        let queue = queue(&node, false);
        Arc::new(Self { node, queue, done: AtomicUsize::new(0), requeued: Mutex::default() })
    }

    /// Counts messages that are done; the last one lets all consumers go, told by an alarm.
    fn count_done(&self, messages: usize) {
        if messages > 0 && self.done.fetch_add(messages, Ordering::SeqCst) + messages == ALL {
            self.node.set_alarm(Alarm::Memory, true);
        }
    }

    /// Publishes this publisher's messages in order, in batches.
    fn publish(&self, publisher: u32, mut random: Random) {
        let (mut next, end) = (publisher * EACH, (publisher + 1) * EACH);
        while next < end {
            let batch = 1 + random.below(20) as u32;
            let until = end.min(next + batch);
            publish(&self.queue, next..until);
            next = until;
        }
    }
}

/// How a connection ends.
#[derive(Clone, Copy)]
enum End {
    /// It stays until all is done.
    Never,
    /// As a session does: consumers first, then the mailbox, then what it held.
    InOrder(usize),
    /// The mailbox first, while the queue still delivers.
    Abruptly(usize),
}

/// A connection with its consumers, on a thread of its own.
struct Connection {
    hall: Arc<Hall>,
    id: u64,
    mailbox: Arc<Mailbox>,
    random: Random,
    no_ack: BTreeMap<u32, bool>,
    /// Deliveries that await their verdict.
    held: Vec<Entry>,
    /// Positions and messages seen, in order, by consumer.
    seen: BTreeMap<u32, Vec<(u64, u32)>>,
    done: Vec<u32>,
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Connection {
    fn open(hall: &Arc<Hall>, consumers: u32, mut random: Random) -> Self {
        let (id, mailbox) = hall.node.connect();
        let mut no_ack = BTreeMap::new();
        for number in 1..=consumers {
            let spec = ConsumerSpec {
                no_ack: random.one_in(3),
                prefetch: random.below(3) as u32 * 20,
                // From one message to all that a consumer ever gets.
                window: 1 << (4 + random.below(11)),
                ..consumer(ConsumerKey { connection: id, number })
            };
            no_ack.insert(number, spec.no_ack);
            assert_eq!(hall.queue.apply(Command::Consume(spec)), Outcome::Done);
        }
        let (held, seen, done) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self { hall: hall.clone(), id, mailbox, random, no_ack, held, seen, done }
    }

    fn key(&self, number: u32) -> ConsumerKey {
        ConsumerKey { connection: self.id, number }
    }

    /// Takes mail until its end.
    fn serve(mut self, end: End) -> Self {
        loop {
            for mail in self.wait() {
                match mail {
                    Mail::Deliveries(_, deliveries) => self.take(deliveries),
                    Mail::Alarm => return self,
                    other => panic!("{other:?}"),
                }
            }
            let seen: usize = self.seen.values().map(Vec::len).sum();
            match end {
                End::InOrder(limit) if seen >= limit => return self.leave(),
                End::Abruptly(limit) if seen >= limit => return self.vanish(),
                End::Never => self.settle_all(false),
                _ => self.settle_all(true),
            }
        }
    }

    fn wait(&mut self) -> Vec<Mail> {
        loop {
            self.mailbox.register(&Waker::from(Arc::new(Unpark(thread::current()))));
            if !self.mailbox.is_empty() {
                return self.mailbox.collect(Vec::new());
            }
            if self.hall.node.alarms().any() {
                return vec![Mail::Alarm]; // All was done before this connection was opened.
            }
            let before = std::time::Instant::now();
            thread::park_timeout(NEVER);
            assert!(before.elapsed() < NEVER, "no mail, and not all is done");
        }
    }

    fn take(&mut self, deliveries: Vec<Delivery>) {
        let mut octets = BTreeMap::new();
        let mut done = 0;
        for Delivery { to, entry, .. } in deliveries {
            let id = id_of(&entry);
            assert_eq!(to.connection, self.id);
            assert_eq!(entry.redelivered, self.hall.requeued.lock().contains(&id), "{id}");
            *octets.entry(to.number).or_default() +=
                u64::from(state::delivery_cost(&entry.message));
            self.seen.entry(to.number).or_default().push((entry.seq, id));
            if self.no_ack[&to.number] {
                self.done.push(id);
                done += 1;
            } else {
                self.held.push(entry);
            }
        }
        for (number, octets) in octets {
            self.hall.queue.apply(Command::Credit(self.key(number), octets));
        }
        self.hall.count_done(done);
    }

    /// Settles all that it holds; some of it returns to the queue if `some_return`.
    fn settle_all(&mut self, some_return: bool) {
        let mut done = 0;
        for entry in std::mem::take(&mut self.held) {
            let verdict = if some_return && self.random.one_in(10) {
                self.hall.requeued.lock().insert(id_of(&entry));
                Verdict::Requeue
            } else {
                self.done.push(id_of(&entry));
                done += 1;
                Verdict::Ack
            };
            self.hall.queue.apply(Command::Settle(single(entry.seq), verdict));
        }
        self.hall.count_done(done);
    }

    fn cancel_all(&self) {
        for number in self.no_ack.keys() {
            self.hall.queue.apply(Command::Cancel(self.key(*number)));
        }
    }

    /// What it has not seen was never sent; what it has seen and not settled is redelivered.
    fn give_back(&mut self, mail: Vec<Mail>) {
        for mail in mail {
            if let Mail::Deliveries(queue, deliveries) = mail {
                queue.apply(undo_command(deliveries));
            }
        }
        for entry in self.held.drain(..) {
            self.hall.requeued.lock().insert(id_of(&entry));
            self.hall.queue.apply(Command::Settle(single(entry.seq), Verdict::Requeue));
        }
    }

    fn leave(mut self) -> Self {
        self.cancel_all();
        let mail = self.mailbox.close();
        self.give_back(mail);
        self.hall.node.disconnect(self.id);
        self
    }

    fn vanish(mut self) -> Self {
        let mail = self.mailbox.close();
        self.give_back(mail);
        self.hall.node.disconnect(self.id);
        self.cancel_all();
        self
    }
}

/// Runs publishers and connections to their ends.
fn run(
    hall: &Arc<Hall>,
    seed: u64,
    threads: u64,
    ends: fn(&mut Random) -> Vec<End>,
) -> Vec<Connection> {
    thread::scope(|scope| {
        let consuming: Vec<_> = (1..=threads)
            .map(|thread| {
                let mut random = Random(seed << 8 | thread);
                scope.spawn(move || {
                    let mut lives = Vec::new();
                    for end in ends(&mut random) {
                        let consumers = 1 + random.below(2) as u32;
                        let own = Random(random.below(u64::MAX));
                        lives.push(Connection::open(hall, consumers, own).serve(end));
                    }
                    lives
                })
            })
            .collect();
        for publisher in 0..PUBLISHERS {
            let random = Random(seed << 8 | 128 | u64::from(publisher));
            scope.spawn(move || hall.publish(publisher, random));
        }
        let lives = consuming.into_iter().map(|thread| thread.join().expect("a thread that ends"));
        lives.flatten().collect()
    })
}

/// Each message is done once, or is still in the queue.
fn check_nothing_lost(hall: &Hall, connections: &[Connection]) {
    let left = drain(&hall.queue);
    assert!(is_sorted(&left));
    assert_eq!(hall.queue.counts().unacked, 0);
    let done = connections.iter().flat_map(|connection| connection.done.iter().copied());
    let mut all: Vec<u32> = done.chain(left.iter().map(id_of)).collect();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..ALL as u32), "lost or doubled");
}

#[test]
fn each_consumer_sees_each_publishers_messages_in_order() {
    for seed in 0..8 {
        let hall = Hall::new();
        let connections = run(&hall, seed, 3, |_| vec![End::Never]);
        assert_eq!(hall.done.load(Ordering::SeqCst), ALL);
        check_nothing_lost(&hall, &connections);
        for seen in connections.iter().flat_map(|connection| connection.seen.values()) {
            assert!(seen.is_sorted_by_key(|(seq, _)| *seq), "seed {seed}: {seen:?}");
            for publisher in 0..PUBLISHERS {
                let own = seen.iter().filter(|(_, id)| *id / EACH == publisher);
                assert!(own.is_sorted_by_key(|(_, id)| *id), "seed {seed}: {seen:?}");
            }
        }
    }
}

#[test]
fn no_message_is_lost_or_doubled_when_connections_disappear() {
    fn short_lives(random: &mut Random) -> Vec<End> {
        let lives = (0..8).map(|_| match (random.one_in(2), random.below(200) as usize) {
            (true, limit) => End::InOrder(limit),
            (false, limit) => End::Abruptly(limit),
        });
        lives.collect()
    }
    for seed in 0..6 {
        let hall = Hall::new();
        let connections = run(&hall, seed, 4, short_lives);
        check_nothing_lost(&hall, &connections);
        assert_eq!(hall.queue.counts().consumers, 0);
    }
}

#[test]
fn whoever_stays_gets_what_those_that_disappear_leave() {
    fn one_stays(random: &mut Random) -> Vec<End> {
        vec![End::InOrder(random.below(300) as usize), End::Abruptly(50), End::Never]
    }
    for seed in 0..3 {
        let hall = Hall::new();
        let connections = run(&hall, seed, 3, one_stays);
        assert_eq!(hall.done.load(Ordering::SeqCst), ALL);
        check_nothing_lost(&hall, &connections);
    }
}
