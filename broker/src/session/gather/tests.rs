//! What is gathered for a queue whose rules change before it is served.

use serde_json::json;

use super::*;
use crate::config::Config;
use crate::message::Builder;
use crate::node::Node;
use crate::policy::{Kind, PolicySpec};
use crate::topology::QueueSpec;
use crate::vhost::Vhost;

fn message() -> Message {
    Builder::whole(0, b"\0\0", &[0, 0], b"m", false)
}

fn set(vhost: &Vhost, node: &Arc<Node>, length: u64) {
    let (name, pattern, apply_to) = ("p".to_owned(), String::new(), String::new());
    let definition = json!({"max-length": length, "overflow": "reject-publish"});
    let spec = PolicySpec { name, pattern, apply_to, priority: 0, definition };
    vhost.set_policy("operator", node, Kind::User, spec).expect("a valid policy");
}

#[test]
fn a_refusal_reaches_whoever_published_the_message() {
    let node = Node::in_memory(Config { memory_watermark: u64::MAX, ..Config::default() });
    let vhost = node.vhost("/").expect("the virtual host that every broker has");
    let spec = QueueSpec {
        name: "q".to_owned(),
        durable: false,
        owner: None,
        auto_delete: false,
        arguments: Default::default(),
    };
    let queue = vhost.declare_queue(&node, &spec).expect("a queue");
    let (_, mailbox) = node.connect();
    let mut gather = Gather::default();
    // Nobody could be told of the first any more: it and those after it are taken.
    gather.publish(&queue, message(), true, (1, 1));
    set(&vhost, &node, 0);
    gather.publish(&queue, message(), true, (1, 2));
    gather.serve(&mailbox);
    assert_eq!((queue.counts().ready, gather.take_rejected()), (2, Vec::new()));
    set(&vhost, &node, 3);
    for tag in 3..6 {
        gather.publish(&queue, message(), true, (1, tag));
    }
    gather.serve(&mailbox);
    assert_eq!((queue.counts().ready, gather.take_rejected()), (3, vec![(1, 4), (1, 5)]));
    // Refused no more: what was gathered before goes the same way.
    gather.publish(&queue, message(), true, (1, 6));
    assert!(vhost.clear_policy("operator", &node, Kind::User, "p"));
    gather.publish(&queue, message(), true, (1, 7));
    gather.serve(&mailbox);
    assert_eq!((queue.counts().ready, gather.take_rejected()), (5, Vec::new()));
}

#[test]
fn many_verdicts_come_in_pieces() {
    let range = |first, last| SeqRange { first, last, returns: 0 };
    let all = |ranges: &[SeqRange]| pieces(ranges.to_vec(), 3);
    assert_eq!(all(&[]), Vec::<Vec<SeqRange>>::new());
    assert_eq!(all(&[range(5, 7)]), [[range(5, 7)]]);
    assert_eq!(all(&[range(5, 11)]), [[range(5, 7)], [range(8, 10)], [range(11, 11)]]);
    let found = all(&[range(1, 1), range(3, 5), range(9, 9), range(20, 20)]);
    assert_eq!(
        found,
        [vec![range(1, 1), range(3, 4)], vec![range(5, 5), range(9, 9), range(20, 20)]]
    );
}
