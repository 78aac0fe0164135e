//! Reading a long backlog back from the store, on threads that may wait for the disk.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use lepus_storage::{QueueId, ReadMax, StoreError, Stored};
use lepus_sync::{Condvar, Mutex};

use super::Queue;
use super::complaints::{Complaints, PAUSE_MS};
use super::state::place::{from_store, in_store};
use super::state::schedule::{Bucket, Pair};
use super::state::{Command, Entry, Seq};
use crate::clock::now_ms;
use crate::limits::LOAD_MESSAGES;
use crate::message::Message;

/// How long to wait after the operating system has refused to read.
const RETRY: Duration = Duration::from_millis(100);
/// How long to wait before what was not said is.
const PAUSE: Duration = Duration::from_millis(PAUSE_MS);

/// Messages to be read.
struct Job {
    queue: Arc<Queue>,
    task: Task,
}

enum Task {
    /// The backlog from a position on, so many octets.
    Load(Seq, usize),
    /// A bucket of messages that wait, from a position on.
    Scan(u64, Bucket, Seq),
    /// Messages that are due.
    Fetch(u64, Vec<Pair>),
}

/// Queues that wait to be read.
#[derive(Default)]
pub struct Loader {
    inner: Mutex<Inner>,
    changed: Condvar,
    complaints: Complaints,
}

#[derive(Default)]
struct Inner {
    jobs: VecDeque<Job>,
    stopped: bool,
}

impl Loader {
    /// Has messages read for a queue from a position on.
    pub fn submit(&self, queue: Arc<Queue>, from: Seq, octets: usize) {
        self.add(queue, Task::Load(from, octets));
    }

    /// Has a bucket looked through for a queue from a position on.
    pub fn scan(&self, queue: Arc<Queue>, round: u64, bucket: Bucket, from: Seq) {
        self.add(queue, Task::Scan(round, bucket, from));
    }

    /// Has messages read that are due.
    pub fn fetch(&self, queue: Arc<Queue>, round: u64, pairs: Vec<Pair>) {
        self.add(queue, Task::Fetch(round, pairs));
    }

    fn add(&self, queue: Arc<Queue>, task: Task) {
        self.inner.lock().jobs.push_back(Job { queue, task });
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
                    if let Some(job) = inner.jobs.pop_front() {
                        break Some(job);
                    }
                    if !self.complaints.is_waiting() {
                        self.changed.wait(&mut inner);
                    } else if self.changed.wait_for(&mut inner, PAUSE).timed_out() {
                        break None;
                    }
                }
            };
            if job.is_some_and(|job| !self.attempt(job)) {
                std::thread::sleep(RETRY);
            }
            self.complaints.tell_overdue(now_ms());
        }
    }

    /// Does one job on this thread, or tries to; `false` if there is none.
    pub fn step(&self) -> bool {
        let job = self.inner.lock().jobs.pop_front();
        job.map(|job| self.attempt(job)).is_some()
    }

    /// Does a job; one that fails waits for another turn, and that is `false`.
    fn attempt(&self, job: Job) -> bool {
        let done = self.run(&job);
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

    fn run(&self, job: &Job) -> bool {
        let Some(id) = job.queue.stored_as() else { return true };
        match self.command(job, id) {
            Ok(command) => {
                job.queue.apply(command);
                true
            }
            Err(error) if job.queue.is_deleted() => {
                tracing::debug!(queue = job.queue.name(), "{error}");
                true
            }
            Err(error) => {
                let from = match &job.task {
                    Task::Load(from, _) | Task::Scan(_, _, from) => *from,
                    Task::Fetch(_, pairs) => pairs.first().map_or(0, |pair| pair.seq),
                };
                self.complain(job, from, format!("cannot read messages yet: {error}"));
                false
            }
        }
    }

    fn command(&self, job: &Job, id: QueueId) -> Result<Command, StoreError> {
        let (note, complaint) = match &job.task {
            Task::Load(from, octets) => return self.load(job, id, (*from, *octets)),
            Task::Scan(round, bucket, from) => job.queue.scan_bucket(*round, *bucket, *from)?,
            Task::Fetch(round, pairs) => job.queue.fetch_due(*round, pairs)?,
        };
        if let Some((position, what)) = complaint {
            self.complain(job, position, what);
        }
        Ok(Command::Schedule(note))
    }

    fn load(
        &self,
        job: &Job,
        id: QueueId,
        (from, octets): (Seq, usize),
    ) -> Result<Command, StoreError> {
        let queue = &job.queue;
        let max = ReadMax { messages: LOAD_MESSAGES, bytes: octets };
        let (level, at) = in_store(id, from);
        let mut stored = Vec::new();
        match queue.store().read(level, at, max, &mut stored) {
            Ok(next) => {
                let found = stored.into_iter().filter_map(|stored| self.entry(job, level, stored));
                let next = from_store(level, next);
                Ok(Command::Loaded { from, next, found: found.collect() })
            }
            Err(StoreError::Unreadable { seq, place, detail, .. }) => {
                let what = format!(
                    "a message cannot be read from {place}: {detail}; it stays in the store and is \
                     passed over"
                );
                let seq = from_store(level, seq);
                self.complain(job, seq, what);
                Ok(Command::Unreadable { from, next: seq + 1 })
            }
            Err(error) => Err(error),
        }
    }

    fn entry(&self, job: &Job, level: QueueId, stored: Stored) -> Option<Entry> {
        let seq = from_store(level, stored.seq);
        let entry = entry_of(level, stored);
        if entry.is_none() {
            self.complain(job, seq, "what the store has here is not a message".to_owned());
        }
        entry
    }

    fn complain(&self, job: &Job, position: Seq, what: String) {
        self.complaints.tell(&job.queue, position, what, now_ms());
    }
}

/// What the store has of a level of a queue; `None` if it is not a message.
pub(super) fn entry_of(level: QueueId, stored: Stored) -> Option<Entry> {
    let Stored { seq, payload, returns } = stored;
    let seq = from_store(level, seq);
    let message = Message::from_stored(payload)?;
    let returns = returns.saturating_add(message.returns_before());
    Some(Entry { seq, message, redelivered: returns > 0, returns, stored: true })
}
