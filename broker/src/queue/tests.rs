//! A queue among threads: what is delivered where, and what returns when connections disappear.

mod meanwhile;
mod no_room;
mod refused;
mod threads;
mod waiting;
mod whole;

use amq_protocol::types::AMQPValue;
use lepus_protocol::method::Verdict;
use lepus_protocol::properties;

use super::*;
use crate::dedup;
use crate::mailbox::Mailbox;
use crate::message::{Builder, Message};
use crate::topology::QueueSpec;
use state::{ANY_DELIVERY, ConsumerSpec, Entry, SeqRange};

pub(super) fn node() -> Arc<Node> {
    Node::in_memory(crate::config::Config { memory_watermark: u64::MAX, ..Default::default() })
}

fn spec(auto_delete: bool) -> QueueSpec {
    QueueSpec {
        name: "q".to_owned(),
        durable: false,
        owner: None,
        auto_delete,
        arguments: Default::default(),
    }
}

pub(super) fn queue(node: &Arc<Node>, auto_delete: bool) -> Arc<Queue> {
    let vhost = node.vhost("/").expect("the virtual host that every broker has");
    vhost.declare_queue(node, &spec(auto_delete)).expect("a queue")
}

fn durable(node: &Arc<Node>, name: &str, arguments: FieldTable) -> Arc<Queue> {
    let spec = QueueSpec { name: name.to_owned(), durable: true, arguments, ..spec(false) };
    let vhost = node.vhost("/").expect("the virtual host that every broker has");
    vhost.declare_queue(node, &spec).expect("a queue")
}

/// A durable queue that drops messages whose key it has.
fn deduplicating(node: &Arc<Node>) -> Arc<Queue> {
    let mut arguments = FieldTable::default();
    arguments.insert("x-message-deduplication".into(), AMQPValue::Boolean(true));
    durable(node, "once", arguments)
}

/// A persistent message with a key.
fn keyed() -> Message {
    let mut headers = FieldTable::default();
    headers.insert(dedup::HEADER.into(), AMQPValue::LongInt(1));
    let properties = properties::replace_headers(&[0, 0], &headers).expect("properties");
    Builder::whole(0, b"\0\x04once", &properties, b"", true)
}

/// A message that knows its number.
fn message(id: u32) -> Message {
    Builder::whole(0, b"\0\0", &[0, 0], &id.to_be_bytes(), false)
}

fn id_of(entry: &Entry) -> u32 {
    let number = entry.message.body().try_into().expect("a message of these tests");
    u32::from_be_bytes(number)
}

pub(super) fn consumer(key: ConsumerKey) -> ConsumerSpec {
    ConsumerSpec {
        key,
        no_ack: false,
        exclusive: false,
        prefetch: 0,
        priority: 0,
        pull: false,
        window: 16 * 1024,
        timeout: None,
    }
}

pub(super) fn single(seq: u64) -> Vec<SeqRange> {
    vec![SeqRange { first: seq, last: seq, returns: ANY_DELIVERY }]
}

/// Takes all that is ready.
fn drain(queue: &Arc<Queue>) -> Vec<Entry> {
    let mut all = Vec::new();
    while let Outcome::Got(Some(entry), _) =
        queue.apply(Command::Get { no_ack: true, connection: 0 })
    {
        all.push(entry);
    }
    all
}

fn is_sorted(entries: &[Entry]) -> bool {
    entries.windows(2).all(|pair| pair[0].seq < pair[1].seq)
}

pub(super) fn publish(queue: &Arc<Queue>, ids: std::ops::Range<u32>) {
    assert_eq!(queue.apply(Command::Publish(ids.map(message).collect())), Outcome::Done);
}

pub(super) fn ids(mail: &[Mail]) -> Vec<u32> {
    let mut ids = Vec::new();
    for mail in mail {
        if let Mail::Deliveries(_, deliveries) = mail {
            ids.extend(deliveries.iter().map(|delivery| id_of(&delivery.entry)));
        }
    }
    ids
}

#[test]
fn deliveries_reach_the_mailboxes_of_their_consumers() {
    let node = node();
    let queue = queue(&node, false);
    let mailboxes: Vec<_> = (0..3).map(|_| node.connect()).collect();
    for (connection, _) in &mailboxes {
        for number in 1..=2 {
            let key = ConsumerKey { connection: *connection, number };
            queue.apply(Command::Consume(consumer(key)));
        }
    }
    publish(&queue, 0..12);
    // In turn; a connection's mail stays in order.
    let got: Vec<_> = mailboxes.iter().map(|(_, mailbox)| ids(&mailbox.close())).collect();
    assert_eq!(got, [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]]);
}

#[test]
fn deliveries_to_a_closed_mailbox_return() {
    for forgotten in [false, true] {
        let node = node();
        let queue = queue(&node, false);
        let (connection, mailbox) = node.connect();
        let key = ConsumerKey { connection, number: 1 };
        queue.apply(Command::Consume(consumer(key)));
        mailbox.close();
        if forgotten {
            node.disconnect(connection);
        }
        publish(&queue, 0..100);
        let counts = Counts { ready: 100, consumers: 1, ready_bytes: 400, ..Counts::default() };
        assert_eq!(queue.counts(), counts);
        queue.apply(Command::Cancel(key));
        let left = drain(&queue);
        assert!(left.iter().map(id_of).eq(0..100));
        assert!(left.iter().all(|entry| !entry.redelivered));
    }
}

#[test]
fn what_returns_goes_to_a_consumer_that_lives() {
    let node = node();
    let queue = queue(&node, false);
    let (dead, closed) = node.connect();
    let (alive, mailbox) = node.connect();
    let important =
        ConsumerSpec { priority: 1, ..consumer(ConsumerKey { connection: dead, number: 1 }) };
    queue.apply(Command::Consume(important));
    queue.apply(Command::Consume(consumer(ConsumerKey { connection: alive, number: 1 })));
    closed.close();
    publish(&queue, 0..10);
    let mut got = ids(&mailbox.collect(Vec::new()));
    got.sort_unstable();
    assert!(got.into_iter().eq(0..10));
    assert_eq!(queue.counts().unacked, 10);
}

#[test]
fn an_auto_delete_queue_is_forgotten_with_its_last_consumer() {
    let node = node();
    let queue = queue(&node, true);
    let (connection, _mailbox) = node.connect();
    let key = ConsumerKey { connection, number: 1 };
    queue.apply(Command::Consume(consumer(key)));
    queue.apply(Command::Cancel(key));
    assert!(queue.is_deleted());
    let vhost = node.vhost("/").expect("the virtual host that every broker has");
    assert!(vhost.read(|topology| topology.queue("q", connection).is_err()));
    let another = vhost.declare_queue(&node, &spec(true)).expect("another queue");
    assert!(!Arc::ptr_eq(&queue, &another) && !another.is_deleted());
}

#[test]
fn consumers_hear_that_their_queue_is_gone_and_that_messages_wait() {
    let node = node();
    let queue = queue(&node, false);
    let (connection, mailbox) = node.connect();
    let key = ConsumerKey { connection, number: 1 };
    queue.apply(Command::Consume(ConsumerSpec { pull: true, ..consumer(key) }));
    publish(&queue, 0..1);
    let vhost = node.vhost("/").expect("the virtual host that every broker has");
    assert_eq!(vhost.delete_queue(&node, &queue, false, false), Outcome::Dropped(1));
    let mail = mailbox.collect(Vec::new());
    let [Mail::Wanted(wanted), Mail::Cancelled(cancelled)] = &mail[..] else {
        panic!("{mail:?}");
    };
    assert_eq!((*wanted, *cancelled), (key, key));
}

#[test]
fn the_backlog_is_a_hint_for_queues_with_consumers() {
    let node = node();
    let queue = queue(&node, false);
    publish(&queue, 0..5);
    assert_eq!(queue.backlog_of_consumers(), 0);
    let (connection, _mailbox) = node.connect();
    let key = ConsumerKey { connection, number: 1 };
    queue.apply(Command::Consume(ConsumerSpec { prefetch: 2, ..consumer(key) }));
    let behind = queue.backlog_of_consumers();
    assert_ne!(behind, 0);
    publish(&queue, 5..6);
    assert!(queue.backlog_of_consumers() > behind);
    queue.apply(Command::Cancel(key));
    assert_eq!(queue.backlog_of_consumers(), 0);
}
