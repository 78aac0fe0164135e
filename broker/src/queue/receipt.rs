//! What became of what a session has handed to its queues.

use lepus_sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::Arc;

use lepus_storage::{Lsn, MessageStore, StoreError, TxPart};
use lepus_sync::Mutex;

use super::Queue;
use super::state::{Dead, Ordered};
use crate::durability::Durability;
use crate::mailbox::{Mail, Mailbox};

/// Follows some writes of one session until all of them are durable.
///
/// Queues write to the store when they carry out effects, which another thread may do: only then
/// is the position known that must become durable.
#[derive(Debug)]
pub struct Receipt {
    /// Writes that have not reached the store; the session counts as one until it has added all.
    open: AtomicU32,
    lsn: AtomicU64,
    refused: AtomicBool,
    /// The session sees to it that its writes reach the disk.
    followed: AtomicBool,
    mailbox: Arc<Mailbox>,
}

/// What a [`Receipt`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Not known yet.
    Open,
    /// All would survive a crash.
    Durable,
    /// Something of it was refused, or will never be durable.
    Refused,
}

impl Receipt {
    /// For writes of the session behind `mailbox`.
    pub fn new(mailbox: &Arc<Mailbox>) -> Arc<Self> {
        Arc::new(Self {
            open: AtomicU32::new(1),
            lsn: AtomicU64::new(0),
            refused: AtomicBool::new(false),
            followed: AtomicBool::new(false),
            mailbox: mailbox.clone(),
        })
    }

    /// One more write.
    pub fn await_one(&self) {
        self.open.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether the session will call [`Self::write`]. If it no longer does, whoever has just appended one
    /// must ask the store to.
    pub fn set_followed(&self, followed: bool) {
        self.followed.store(followed, Ordering::SeqCst);
    }

    /// Whether the session will.
    pub fn is_followed(&self) -> bool {
        self.followed.load(Ordering::SeqCst)
    }

    /// Of a session that follows: writes, if all has reached the store, or leaves it to others. Whether
    /// something may have become durable by that.
    pub fn write(&self, store: &dyn MessageStore) -> bool {
        if self.is_open() {
            // Another thread carries it out.
            self.leave(store);
            return false;
        }
        store.write(true);
        true
    }

    /// The session no longer sees to it.
    pub fn leave(&self, store: &dyn MessageStore) {
        self.set_followed(false);
        store.write(false);
    }

    /// Whether some write has not reached the store.
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst) > 0
    }

    /// The session will add no more.
    pub fn complete(&self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    /// A write has reached the store, or was refused. If it was the last, and is durable already, the
    /// session hears of it from here.
    pub fn written(&self, lsn: Option<Lsn>, durability: &Durability) {
        match lsn {
            Some(lsn) => drop(self.lsn.fetch_max(lsn.0, Ordering::SeqCst)),
            None => self.refused.store(true, Ordering::SeqCst),
        }
        if self.open.fetch_sub(1, Ordering::SeqCst) == 1 && self.fate(durability) != Fate::Open {
            let _ = self.mailbox.post(Mail::Durable);
        }
    }

    /// What was to be written will not be.
    pub fn refuse(&self) {
        self.refused.store(true, Ordering::SeqCst);
    }

    /// Whether something of it is known to be refused.
    pub fn is_refused(&self) -> bool {
        self.refused.load(Ordering::SeqCst)
    }

    /// What became of it.
    pub fn fate(&self, durability: &Durability) -> Fate {
        if self.is_open() {
            Fate::Open
        } else if self.refused.load(Ordering::SeqCst) {
            Fate::Refused
        } else if durability.has(self.lsn.load(Ordering::SeqCst)) {
            Fate::Durable
        } else if durability.has_failed() {
            Fate::Refused
        } else {
            Fate::Open
        }
    }
}

/// Writes of several queues that survive a crash together or not at all.
#[derive(Debug)]
pub struct Transaction {
    id: u64,
    /// All parts were written, or none ever will be.
    done: AtomicBool,
    state: Mutex<Parts>,
}

#[derive(Debug)]
struct Parts {
    left: usize,
    /// Octets of large messages that these publish.
    octets: u64,
    written: bool,
    /// The store did not take one: none of the others may become valid.
    refused: bool,
    /// Where the last part stands.
    end: Option<Lsn>,
    /// What may only be done when all parts were written.
    held: Vec<Held>,
    /// Whoever counts on what it brings.
    awaited: Vec<Arc<Receipt>>,
}

/// Messages that are to leave a queue and came with transactions which may not be whole yet.
#[derive(Debug)]
pub struct Held {
    /// The queue.
    pub queue: Arc<Queue>,
    /// The messages.
    pub leaving: Leaving,
    /// Other transactions that they wait for.
    pub open: Vec<Arc<Transaction>>,
}

/// Messages that leave a queue for others.
#[derive(Debug)]
pub enum Leaving {
    /// They are dead.
    Dead(Dead),
    /// Somebody wants them elsewhere.
    Ordered(Ordered),
}

impl Transaction {
    /// A transaction of so many parts, which publish so many octets of large messages.
    pub fn new(id: u64, parts: usize, octets: u64) -> Arc<Self> {
        let (held, awaited) = (Vec::new(), Vec::new());
        let (written, refused, end) = (false, false, None);
        let state = Parts { left: parts, octets, written, refused, end, held, awaited };
        Arc::new(Self { id, done: AtomicBool::new(false), state: Mutex::new(state) })
    }

    /// Whether all parts were written, or none ever will be. One of which the store has but a part never is.
    pub fn is_done(&self) -> bool {
        self.done.load(Ordering::SeqCst)
    }

    /// Keeps what may only be done when all parts were written; gives it back if they were.
    pub fn hold(&self, held: Held) -> Option<Held> {
        let mut parts = self.state.lock();
        if parts.left == 0 {
            return Some(held);
        }
        parts.held.push(held);
        None
    }

    /// Takes what may be done now.
    pub fn take_held(&self) -> Vec<Held> {
        let mut parts = self.state.lock();
        if parts.left == 0 { std::mem::take(&mut parts.held) } else { Vec::new() }
    }

    /// A receipt follows it, too, unless all parts were written.
    pub fn await_whole(&self, receipt: &Arc<Receipt>) {
        let mut parts = self.state.lock();
        if parts.left > 0 {
            receipt.await_one();
            parts.awaited.push(receipt.clone());
        } else if parts.refused {
            receipt.refuse();
        }
    }

    /// Takes those that are to hear of the last part, if that was written or refused, and where it stands.
    pub fn take_awaited(&self) -> (Vec<Arc<Receipt>>, Option<Lsn>) {
        let mut parts = self.state.lock();
        let awaited = if parts.left == 0 { std::mem::take(&mut parts.awaited) } else { Vec::new() };
        (awaited, parts.end)
    }

    /// Writes one part, which publishes so many octets of large messages; `write` is told how many
    /// are to come. The lock makes the last part the last one in the store, too. `empty`: there is
    /// nothing to write, unless it is the end of what others have written. After a part that was
    /// refused no other is written.
    pub fn part(
        &self,
        empty: bool,
        octets: u64,
        write: impl FnOnce(TxPart, u64) -> Result<Lsn, StoreError>,
    ) -> Result<Lsn, StoreError> {
        let mut parts = self.state.lock();
        parts.left = parts.left.saturating_sub(1);
        parts.octets = parts.octets.saturating_sub(octets);
        let last = parts.left == 0;
        let done = if parts.refused {
            Err(StoreError::Poisoned("another part of the transaction was".to_owned()))
        } else if empty && !(last && parts.written) {
            Ok(Lsn(0))
        } else {
            let to_come = if last { 0 } else { parts.octets };
            let done = write(TxPart { tx: self.id, last }, to_come);
            parts.refused = done.is_err();
            parts.written |= done.is_ok();
            done
        };
        if last {
            parts.end = done.as_ref().ok().copied();
            self.done.store(!(parts.refused && parts.written), Ordering::SeqCst);
        }
        done
    }
}
