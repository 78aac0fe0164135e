//! Transactions of several queues, and what follows from a part of one.

use super::*;

/// A queue for one message, and the one that its dead letters go to.
fn short_and_grave(node: &Arc<Node>) -> (Arc<Queue>, Arc<Queue>) {
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(1));
    arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString("".into()));
    arguments.insert("x-dead-letter-routing-key".into(), AMQPValue::LongString("grave".into()));
    (durable(node, "short", arguments), durable(node, "grave", FieldTable::default()))
}

/// A crash before the transaction is whole would otherwise leave a message where it has gone, and not
/// undo that it came from elsewhere.
#[test]
fn dead_letters_wait_for_the_transaction_that_brought_them() {
    let node = node();
    let (short, grave) = short_and_grave(&node);
    let other = durable(&node, "other", FieldTable::default());
    let message = Builder::whole(0, b"\0\x05short", &[0, 0], b"body", true);
    let tx = Transaction::new(node.new_transaction(), 2, 0);
    short.apply_for(Command::Publish(vec![message.clone(); 3]), None, Some(&tx));
    assert_eq!((short.counts().ready, grave.counts().ready), (1, 0));
    other.apply_for(Command::Publish(vec![message]), None, Some(&tx));
    assert_eq!((other.counts().ready, grave.counts().ready), (1, 2));
}

#[test]
fn so_do_those_that_others_make_of_its_messages() {
    let node = node();
    let (short, grave) = short_and_grave(&node);
    let other = durable(&node, "other", FieldTable::default());
    let message = Builder::whole(0, b"\0\x05short", &[0, 0], b"body", true);
    let tx = Transaction::new(node.new_transaction(), 2, 0);
    short.apply_for(Command::Publish(vec![message.clone()]), None, Some(&tx));
    short.apply(Command::Publish(vec![message.clone()]));
    assert_eq!((short.counts().ready, grave.counts().ready), (1, 0));
    other.apply_for(Command::Publish(vec![message.clone()]), None, Some(&tx));
    assert_eq!((short.counts().ready, grave.counts().ready), (1, 1));
    short.apply(Command::Publish(vec![message]));
    assert_eq!(grave.counts().ready, 2);
}

/// A crash before the transaction is whole would take both.
#[test]
fn what_is_dropped_for_a_message_of_a_transaction_is_safe_when_that_is_whole() {
    let node = node();
    let once = deduplicating(&node);
    let other = durable(&node, "other", FieldTable::default());
    let message = keyed();
    let tx = Transaction::new(node.new_transaction(), 2, 0);
    once.apply_for(Command::Publish(vec![message.clone()]), None, Some(&tx));
    let (_, mailbox) = node.connect();
    let publish = |receipt: &Arc<Receipt>| {
        receipt.await_one();
        once.apply_for(Command::Publish(vec![message.clone()]), Some(receipt), None);
        receipt.complete();
        receipt.fate(node.durability())
    };
    let receipts = [(); 2].map(|()| Receipt::new(&mailbox));
    assert_eq!(publish(&receipts[0]), Fate::Open);
    other.apply_for(Command::Publish(vec![message.clone()]), None, Some(&tx));
    assert_eq!(receipts[0].fate(node.durability()), Fate::Durable);
    assert_eq!((publish(&receipts[1]), once.counts().ready), (Fate::Durable, 1));
}
