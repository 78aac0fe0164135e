//! Messages go where somebody wants them: as dead letters do, each in the step of the store in which it
//! leaves.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lepus_sync::Mutex;

use super::state::schedule::{Moved, Note};
use super::state::{Command, Entry, Ordered, Outcome, Purpose, Seq};
use super::targets::Targets;
use super::{Queue, Receipt};
use crate::mailbox::Mailbox;
use crate::message::Message;

/// A message, and where it is to go.
#[derive(Debug)]
pub struct Move {
    /// The message where it is.
    pub entry: Entry,
    /// As it goes on.
    pub message: Message,
    /// The queues that get it.
    pub to: Vec<Arc<Queue>>,
}

/// Messages that somebody wants elsewhere, or gone.
#[derive(Debug)]
pub struct Order {
    /// What is written for it; refused if the store has no room.
    pub receipt: Arc<Receipt>,
    done: AtomicUsize,
    ways: Mutex<HashMap<Seq, Way>>,
}

type Way = (Message, Vec<Arc<Queue>>);

impl Order {
    fn new(ways: HashMap<Seq, Way>) -> Arc<Self> {
        let receipt = Receipt::new(&Arc::<Mailbox>::default());
        Arc::new(Self { receipt, done: AtomicUsize::new(0), ways: Mutex::new(ways) })
    }

    /// How many messages are where they should be, once the receipt is not open.
    pub fn done(&self) -> usize {
        self.done.load(Ordering::SeqCst)
    }
}

impl Queue {
    /// Moves those of these messages that are ready.
    pub fn move_elsewhere(self: &Arc<Self>, moves: Vec<Move>) -> Arc<Order> {
        let mut ways = HashMap::new();
        let mut entries = Vec::new();
        for Move { entry, message, to } in moves {
            ways.insert(entry.seq, (message, to));
            entries.push(entry);
        }
        let order = Order::new(ways);
        if entries.is_empty() {
            order.receipt.complete();
            return order;
        }
        self.give(order, |number| Command::Take(entries, Purpose::Move(number)))
    }

    /// Drops those of these messages that are ready.
    pub fn drop_messages(self: &Arc<Self>, entries: Vec<Entry>) -> Arc<Order> {
        self.drop_by(Command::Take(entries, Purpose::Drop))
    }

    /// Drops those of these messages that wait for a time.
    pub fn cancel_waiting(self: &Arc<Self>, waiting: Vec<Moved>) -> Arc<Order> {
        self.drop_by(Command::Schedule(Note::Cancel(waiting)))
    }

    /// Has those of these messages be due that wait for a time.
    pub fn run_waiting(self: &Arc<Self>, waiting: Vec<Moved>) -> Arc<Order> {
        self.give(Order::new(HashMap::new()), |number| {
            Command::Schedule(Note::Run(waiting, number))
        })
    }

    fn drop_by(self: &Arc<Self>, command: Command) -> Arc<Order> {
        let order = Order::new(HashMap::new());
        order.receipt.await_one();
        if let Outcome::Dropped(dropped) = self.apply_for(command, Some(&order.receipt), None) {
            order.done.store(dropped, Ordering::SeqCst);
        }
        order.receipt.complete();
        order
    }

    /// Gives the queue an order; its receipt is open until that was carried out.
    fn give(
        self: &Arc<Self>,
        order: Arc<Order>,
        command: impl FnOnce(u64) -> Command,
    ) -> Arc<Order> {
        let number = self.node.new_transaction();
        let moves = !order.ways.lock().is_empty();
        self.inner.lock().orders.push((number, order.clone()));
        match self.apply(command(number)) {
            Outcome::Dropped(taken) if !moves => order.done.store(taken, Ordering::SeqCst),
            Outcome::Dropped(1..) => {}
            // Nobody will carry it out.
            _ => self.take_order(number).into_iter().for_each(|order| order.receipt.complete()),
        }
        order
    }

    fn take_order(&self, number: u64) -> Option<Arc<Order>> {
        let orders = &mut self.inner.lock().orders;
        let at = orders.iter().position(|(known, _)| *known == number)?;
        Some(orders.swap_remove(at).1)
    }

    /// Sends messages where they are wanted. Without room in the store they stay where they are.
    pub(super) fn send_ordered(self: &Arc<Self>, Ordered { order, entries }: Ordered) {
        let Some(order) = self.take_order(order) else { return };
        let ops = self.settlement(&entries);
        let mut targets = Targets::default();
        let mut ways = order.ways.lock();
        for entry in &entries {
            if let Some((message, queues)) = ways.remove(&entry.seq) {
                targets.add(&queues, message);
            }
        }
        drop(ways);
        let room = !ops.is_empty() || !targets.need_storing() || self.node.stores();
        let left = room.then(|| self.leave_for(&targets, ops).ok()).flatten();
        let Some(tx) = left else {
            self.apply(Command::UndoTake(entries));
            order.receipt.refuse();
            return order.receipt.complete();
        };
        order.done.store(entries.len(), Ordering::SeqCst);
        for (queue, messages) in targets {
            order.receipt.await_one();
            queue.apply_for(Command::PublishDead(messages), Some(&order.receipt), tx.as_ref());
        }
        order.receipt.complete();
    }

    /// Has messages arrive that wait for a time.
    pub(super) fn run_ordered(self: &Arc<Self>, moved: Vec<Moved>, order: u64) {
        let Some(order) = self.take_order(order) else { return };
        self.move_due(moved, Some(&order.receipt));
        order.receipt.complete();
    }
}
