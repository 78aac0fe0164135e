//! Reading a long backlog back from the store, on threads that may wait for the disk.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use lepus_storage::{MessageStore, QueueId, ReadMax, Seq as At, StoreError, Stored};
use parking_lot::{Condvar, Mutex};

use super::Queue;
use super::state::{Command, Entry, Seq};
use crate::limits::LOAD_MESSAGES;
use crate::message::Message;

/// How long to wait after the operating system has refused to read.
const RETRY: Duration = Duration::from_millis(100);

/// Messages to be read.
struct Job {
    queue: Arc<Queue>,
    from: Seq,
    octets: usize,
}

/// Queues that wait to be read.
#[derive(Default)]
pub struct Loader {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    jobs: VecDeque<Job>,
    stopped: bool,
}

impl Loader {
    /// Has messages read for a queue from a position on.
    pub fn submit(&self, queue: Arc<Queue>, from: Seq, octets: usize) {
        self.inner.lock().jobs.push_back(Job { queue, from, octets });
        self.changed.notify_one();
    }

    /// Does what is submitted until [`Self::stop`].
    pub fn work(&self) {
        loop {
            let job = {
                let mut inner = self.inner.lock();
                loop {
                    if inner.stopped {
                        return;
                    }
                    match inner.jobs.pop_front() {
                        Some(job) => break job,
                        None => self.changed.wait(&mut inner),
                    }
                }
            };
            if !self.attempt(job) {
                std::thread::sleep(RETRY);
            }
        }
    }

    /// Does one job on this thread, or tries to; `false` if there is none.
    pub fn step(&self) -> bool {
        let job = self.inner.lock().jobs.pop_front();
        job.map(|job| self.attempt(job)).is_some()
    }

    /// Does a job; one that fails waits for another turn, and that is `false`.
    fn attempt(&self, job: Job) -> bool {
        let done = run(&job);
        if !done {
            let mut inner = self.inner.lock();
            if !inner.stopped {
                inner.jobs.push_back(job);
            }
        }
        done
    }

    /// Ends [`Self::work`] on all threads.
    pub fn stop(&self) {
        let mut inner = self.inner.lock();
        inner.stopped = true;
        inner.jobs.clear();
        self.changed.notify_all();
    }
}

fn run(job: &Job) -> bool {
    let Job { queue, from, octets } = job;
    let Some(id) = queue.stored_as() else { return true };
    match read(queue.store(), id, *from, *octets) {
        Ok(command) => {
            queue.apply(command);
            true
        }
        Err(error) if queue.is_deleted() => {
            tracing::debug!(queue = queue.name(), "{error}");
            true
        }
        Err(error) => {
            tracing::error!(queue = queue.name(), "cannot read messages: {error}");
            false
        }
    }
}

fn read(
    store: &dyn MessageStore,
    queue: QueueId,
    from: Seq,
    octets: usize,
) -> Result<Command, StoreError> {
    let max = ReadMax { messages: LOAD_MESSAGES, bytes: octets };
    let mut stored = Vec::new();
    match store.read(queue, At(from), max, &mut stored) {
        Ok(next) => Ok(Command::Loaded { from, next: next.0, found: entries(stored) }),
        Err(error @ StoreError::Unreadable { seq, .. }) => {
            tracing::error!("{error}; it stays in the store and is passed over");
            Ok(Command::Unreadable { from, next: seq.0 + 1 })
        }
        Err(error) => Err(error),
    }
}

fn entries(stored: Vec<Stored>) -> Vec<Entry> {
    let entry = |Stored { seq, payload, returns }| {
        let Some(message) = Message::from_stored(payload) else {
            tracing::error!(position = seq.0, "what the store has here is not a message");
            return None;
        };
        let redelivered = returns > 0;
        Some(Entry { seq: seq.0, message, redelivered, returns, stored: true })
    };
    stored.into_iter().filter_map(entry).collect()
}
