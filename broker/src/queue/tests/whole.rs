//! Transactions of several queues, and what follows from a part of one.

use amq_protocol::types::{AMQPValue, FieldTable};

use super::*;

fn named(node: &Arc<Node>, name: &str, arguments: FieldTable) -> Arc<Queue> {
    let spec = QueueSpec { name: name.to_owned(), durable: true, arguments, ..spec(false) };
    node.vhost("/").expect("a virtual host").declare_queue(node, &spec).expect("a queue")
}

/// A crash before the transaction is whole would otherwise leave a message where it has gone, and not
/// undo that it came from elsewhere.
#[test]
fn dead_letters_wait_for_the_transaction_that_brought_them() {
    let node = node();
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(1));
    arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString("".into()));
    arguments.insert("x-dead-letter-routing-key".into(), AMQPValue::LongString("grave".into()));
    let short = named(&node, "short", arguments);
    let [other, grave] = ["other", "grave"].map(|name| named(&node, name, FieldTable::default()));
    let message = Builder::whole(0, b"\0\x05short", &[0, 0], b"body", true);
    let tx = Transaction::new(node.new_transaction(), 2, 0);
    short.apply_for(Command::Publish(vec![message.clone(); 3]), None, Some(&tx));
    assert_eq!((short.counts().ready, grave.counts().ready), (1, 0));
    other.apply_for(Command::Publish(vec![message]), None, Some(&tx));
    assert_eq!((other.counts().ready, grave.counts().ready), (1, 2));
}
