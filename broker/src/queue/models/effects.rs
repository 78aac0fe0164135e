//! Threads apply commands to one queue; one at a time carries out what they lead to. Found: effects
//! carried out by several threads at once; a thread that goes although others have left it theirs.

use std::sync::Arc;

use lepus_sync::{check, thread};

use super::super::tests::{consumer, ids, node, publish, queue, single};
use super::super::{Command, ConsumerKey, Queue};
use crate::mailbox::{Mail, Mailbox};

/// Two publishers, each with so many messages.
fn publish_all(queue: &Arc<Queue>) -> [thread::JoinHandle<()>; 2] {
    [0..2, 10..12].map(|ids| {
        let queue = queue.clone();
        thread::spawn(move || ids.for_each(|id| publish(&queue, id..id + 1)))
    })
}

/// All positions of the mail are in order, and what there is of it.
fn sorted(mailbox: &Mailbox) -> Vec<u32> {
    let mail = mailbox.close();
    let positions = mail.iter().flat_map(|mail| match mail {
        Mail::Deliveries(_, deliveries) => deliveries.iter().map(|each| each.entry.seq).collect(),
        _ => Vec::new(),
    });
    assert!(positions.is_sorted());
    ids(&mail)
}

#[test]
fn deliveries_come_all_and_in_order() {
    check(|| {
        let node = node();
        let queue = queue(&node, false);
        let (connection, mailbox) = node.connect();
        let key = ConsumerKey { connection, number: 1 };
        let publishing = publish_all(&queue);
        queue.apply(Command::Consume(consumer(key)));
        publishing.into_iter().for_each(|thread| thread.join().unwrap());
        let mut got = sorted(&mailbox);
        let of = |publisher: u32| got.iter().filter(move |id| **id / 10 == publisher);
        assert!(of(0).is_sorted() && of(1).is_sorted());
        got.sort_unstable();
        assert_eq!(got, [0, 1, 10, 11]);
        node.dismantle();
    });
}

#[test]
fn what_a_connection_has_left_goes_to_another_one() {
    check(|| {
        let node = node();
        let queue = queue(&node, false);
        let (gone, closed) = node.connect();
        let (stays, mailbox) = node.connect();
        let [leaves, remains] =
            [gone, stays].map(|connection| ConsumerKey { connection, number: 1 });
        queue.apply(Command::Consume(consumer(leaves)));
        let publishing = publish_all(&queue);
        let leaving = thread::spawn({
            let queue = queue.clone();
            move || {
                for mail in closed.close() {
                    if let Mail::Deliveries(queue, deliveries) = mail {
                        queue.apply(super::super::undo_command(deliveries));
                    }
                }
                queue.apply(Command::Leave(leaves));
            }
        });
        queue.apply(Command::Consume(consumer(remains)));
        publishing.into_iter().for_each(|thread| thread.join().unwrap());
        leaving.join().unwrap();
        let mut got = ids(&mailbox.close());
        got.sort_unstable();
        assert_eq!(got, [0, 1, 10, 11]);
        assert_eq!(queue.counts().unacked, 4);
        queue.apply(Command::Settle(single(0), lepus_protocol::method::Verdict::Ack));
        node.dismantle();
    });
}
