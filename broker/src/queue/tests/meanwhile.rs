//! What other threads do while a message is refused.

use lepus_storage::{
    Batch, Lsn, MemoryStore, QueueStats, ReadMax, Recovered, Seq as At, StoreConfig, StoreError,
    StoreStatus, Stored,
};
use lepus_sync::Mutex;
use tokio::sync::watch;

use super::*;
use crate::stores::Stores;

type Deed = Box<dyn FnOnce() + Send>;

/// A store that refuses a batch when something has been done before it answers.
struct Refusing {
    store: MemoryStore,
    meanwhile: Arc<Mutex<Option<Deed>>>,
}

impl MessageStore for Refusing {
    fn open(_: &StoreConfig) -> Result<(Self, Recovered), StoreError> {
        Err(StoreError::Full { needed: 0, free: 0 })
    }

    fn append(&self, batch: Batch) -> Result<Lsn, StoreError> {
        let deed = self.meanwhile.lock().take();
        if let Some(deed) = deed {
            deed();
            return Err(StoreError::Full { needed: 1, free: 0 });
        }
        self.store.append(batch)
    }

    fn durable(&self) -> watch::Receiver<Lsn> {
        self.store.durable()
    }

    fn read(
        &self,
        queue: QueueId,
        from: At,
        max: ReadMax,
        out: &mut Vec<Stored>,
    ) -> Result<At, StoreError> {
        self.store.read(queue, from, max, out)
    }

    fn stats(&self, queue: QueueId) -> QueueStats {
        self.store.stats(queue)
    }

    fn checkpoint(&self) -> Result<Lsn, StoreError> {
        self.store.checkpoint()
    }

    fn status(&self) -> StoreStatus {
        self.store.status()
    }

    fn close(&self) -> Result<(), StoreError> {
        self.store.close()
    }
}

fn refusing() -> (Arc<Node>, Arc<Mutex<Option<Deed>>>) {
    let meanwhile = Arc::new(Mutex::new(None));
    let store = MemoryStore::new(&StoreConfig::new(""));
    let messages = Arc::new(Refusing { store, meanwhile: meanwhile.clone() });
    let config = crate::config::Config { memory_watermark: u64::MAX, ..Default::default() };
    (Node::new(config, Stores { messages, ..Stores::in_memory() }), meanwhile)
}

/// Else the store would have it until the next start, which would bring it back.
#[test]
fn what_a_part_of_a_refused_transaction_drops_is_gone_but_what_it_settles_is_not() {
    let (node, meanwhile) = refusing();
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(1));
    let short = durable(&node, "short", arguments);
    let others = ["a", "b"].map(|name| durable(&node, name, FieldTable::default()));
    let stored = || {
        let of = |queue: &Arc<Queue>| node.store().stats(queue.stored_as().unwrap()).messages;
        (of(&short), others.each_ref().map(of))
    };
    let persistent = || vec![Builder::whole(0, b"\0\0", &[0, 0], b"body", true)];
    short.apply(Command::Publish(persistent()));
    others[1].apply(Command::Publish(persistent()));
    let Outcome::Got(Some(held), _) =
        others[1].apply(Command::Get { no_ack: false, connection: 0 })
    else {
        panic!("no message")
    };
    assert_eq!(stored(), (1, [0, 1]));
    let tx = Transaction::new(node.new_transaction(), 4, 0);
    *meanwhile.lock() = Some(Box::new(|| ()) as Deed);
    others[0].apply_for(Command::Publish(persistent()), None, Some(&tx));
    short.apply_for(Command::Publish(vec![message(1)]), None, Some(&tx));
    others[1].apply_for(Command::Settle(single(held.seq), Verdict::Ack), None, Some(&tx));
    assert_eq!(stored(), (0, [0, 1]));
    // What returns is there again, and may displace what came meanwhile.
    let get = Command::Get { no_ack: false, connection: 0 };
    short.apply(Command::Publish(persistent()));
    let Outcome::Got(Some(held), _) = short.apply(get) else { panic!("no message") };
    short.apply(Command::Publish(persistent()));
    assert_eq!(stored().0, 2);
    short.apply_for(Command::Settle(single(held.seq), Verdict::Requeue), None, Some(&tx));
    assert_eq!(stored().0, short.counts().ready as u64);
}

#[test]
fn what_is_dropped_for_a_message_that_is_refused_is_refused() {
    let (node, meanwhile) = refusing();
    let queue = deduplicating(&node);
    let (_, mailbox) = node.connect();
    let publish = |queue: &Arc<Queue>, receipt: &Arc<Receipt>| {
        receipt.await_one();
        queue.apply_for(Command::Publish(vec![keyed()]), Some(receipt), None);
        receipt.complete();
    };
    let receipts = [(); 3].map(|()| Receipt::new(&mailbox));
    let (other, second) = (queue.clone(), receipts[1].clone());
    *meanwhile.lock() = Some(Box::new(move || publish(&other, &second)) as Deed);
    publish(&queue, &receipts[0]);
    assert_eq!(queue.counts().ready, 0);
    publish(&queue, &receipts[2]);
    assert_eq!(receipts.map(|receipt| receipt.is_refused()), [true, true, false]);
    assert_eq!(queue.counts().ready, 1);
}
