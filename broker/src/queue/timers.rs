//! What queues have to do by themselves, and when.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use lepus_sync::{Condvar, Mutex};

use super::Queue;
use super::state::{Command, Dead};
use crate::clock::now_ms;
use crate::routing::QueueId;

/// Batches of dead letters from other threads that are sent on before queues are told the time again.
const PASSED_AT_ONCE: usize = 4;

thread_local! {
    /// How often the dead letters that this thread sends on were passed on.
    static PASSED: Cell<u32> = const { Cell::new(0) };
}

/// Queues that want to be told when a time has come.
#[derive(Default)]
pub struct Timers {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    /// By time in ms since 1970, and the queue's id.
    waiting: BTreeMap<(u64, QueueId), Weak<Queue>>,
    last: u64,
    /// Dead letters that wait for room, by time; the number tells those of one time apart.
    letters: BTreeMap<(u64, u64), (Arc<Queue>, Dead)>,
    /// Dead letters that another thread has passed on: first those that were passed on most often, so that
    /// there are never many where they multiply on their way, then by number.
    passed: BTreeMap<(Reverse<u32>, u64), (Arc<Queue>, Dead)>,
    stopped: bool,
}

impl Timers {
    /// Has a queue told at a time, in ms since 1970, and not at one that was set before.
    pub fn set(&self, due: u64, queue: &Arc<Queue>, before: u64) {
        let id = queue.record.id;
        let mut inner = self.inner.lock();
        inner.waiting.remove(&(before, id));
        let key = (due, id);
        inner.waiting.insert(key, Arc::downgrade(queue));
        if inner.waiting.first_key_value().is_some_and(|(first, _)| *first == key) {
            self.changed.notify_one();
        }
    }

    /// Has dead letters of a queue sent on at a time by the thread of the timers.
    pub fn send_at(&self, due: u64, queue: Arc<Queue>, dead: Dead) {
        let mut inner = self.inner.lock();
        inner.last += 1;
        let key = (due, inner.last);
        inner.letters.insert(key, (queue, dead));
        self.changed.notify_one();
    }

    /// Has dead letters sent on by the thread of the timers, as soon as it can.
    pub fn pass_on(&self, queue: Arc<Queue>, dead: Dead) {
        let mut inner = self.inner.lock();
        inner.last += 1;
        let key = (Reverse(PASSED.get() + 1), inner.last);
        inner.passed.insert(key, (queue, dead));
        self.changed.notify_one();
    }

    /// Tells queues in time until [`Self::stop`].
    pub fn work(&self) {
        loop {
            self.step(now_ms());
            let mut inner = self.inner.lock();
            if inner.stopped {
                return;
            }
            if !inner.passed.is_empty() {
                continue;
            }
            let timer = inner.waiting.first_key_value().map(|((due, _), _)| *due);
            let letter = inner.letters.first_key_value().map(|((due, _), _)| *due);
            match timer.into_iter().chain(letter).min() {
                None => self.changed.wait(&mut inner),
                Some(due) => {
                    let wait = Duration::from_millis(due.saturating_sub(now_ms()));
                    self.changed.wait_until(&mut inner, Instant::now() + wait);
                }
            }
        }
    }

    /// Tells all whose time has come.
    pub fn step(&self, now: u64) {
        let later = now + 1;
        let (due, letters) = {
            let mut inner = self.inner.lock();
            let rest = inner.waiting.split_off(&(later, QueueId(0)));
            let due = std::mem::replace(&mut inner.waiting, rest);
            let rest = inner.letters.split_off(&(later, 0));
            (due, std::mem::replace(&mut inner.letters, rest))
        };
        for (queue, dead) in letters.into_values() {
            queue.send_dead(dead);
        }
        for _ in 0..PASSED_AT_ONCE {
            let Some((key, (queue, dead))) = self.inner.lock().passed.pop_first() else { break };
            let (Reverse(times), _) = key;
            PASSED.set(times);
            queue.send_passed(dead);
            PASSED.set(0);
        }
        for queue in due.into_values().filter_map(|queue| queue.upgrade()) {
            queue.timer_has_come();
            queue.apply(Command::Tick);
        }
    }

    /// How many times are set.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.inner.lock().waiting.len()
    }

    /// Ends [`Self::work`].
    pub fn stop(&self) {
        self.inner.lock().stopped = true;
        self.changed.notify_all();
    }
}
