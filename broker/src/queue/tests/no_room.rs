//! Dead letters while the store takes nothing.

use amq_protocol::types::{AMQPValue, FieldTable};

use super::*;
use crate::alarm::Alarm;
use crate::clock::now_ms;

/// A queue, durable or not, and the durable one that its dead letters go to.
fn queue_and_grave(node: &Arc<Node>, durable: bool) -> (Arc<Queue>, Arc<Queue>) {
    let vhost = node.vhost("/").expect("a virtual host");
    let declared = |name: &str, durable, arguments| {
        let spec = QueueSpec { name: name.to_owned(), durable, arguments, ..spec(false) };
        vhost.declare_queue(node, &spec).expect("a queue")
    };
    let mut arguments = FieldTable::default();
    arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString("".into()));
    arguments.insert("x-dead-letter-routing-key".into(), AMQPValue::LongString("grave".into()));
    (declared("q", durable, arguments), declared("grave", true, FieldTable::default()))
}

#[test]
fn rejected_messages_wait_and_soon_no_more_are_handed_out() {
    const MESSAGES: usize = 40;
    for durable in [true, false] {
        let node = node();
        let (queue, grave) = queue_and_grave(&node, durable);
        let large = Builder::whole(0, b"\0\x01q", &[0, 0], &[7; 100_000], true);
        queue.apply(Command::Publish(vec![large; MESSAGES]));
        node.set_alarm(Alarm::Store, true);
        let mut rejected = 0;
        while let Outcome::Got(Some(entry), _) =
            queue.apply(Command::Get { no_ack: false, connection: 0 })
        {
            rejected += 1;
            queue.apply(Command::Settle(single(entry.seq), Verdict::Discard));
        }
        assert_eq!((rejected, queue.counts().ready), (11, MESSAGES - rejected), "{durable}");
        let end = now_ms() + 20_000;
        node.timers().step(now_ms() + 1000);
        assert_eq!(
            queue.apply(Command::Get { no_ack: true, connection: 0 }),
            Outcome::Got(None, 0)
        );
        node.set_alarm(Alarm::Store, false);
        while grave.counts().ready < rejected {
            assert!(now_ms() < end, "they never come");
            node.timers().step(now_ms() + 1000);
        }
        assert_eq!(drain(&queue).len(), MESSAGES - rejected);
        assert_eq!(drain(&grave).len(), rejected);
    }
}
