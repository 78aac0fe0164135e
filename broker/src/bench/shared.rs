//! What the threads of one run share: the clock, the phase, the counters, the first error.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often a running measurement looks for a thread that failed.
const FAILURE_POLL: Duration = Duration::from_millis(20);

/// One thread's counter, alone on its cache lines so that counting costs no other thread anything.
#[repr(align(128))]
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// Adds to the counter; only its own thread does.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed) + n, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The state of one run.
#[derive(Debug)]
pub(super) struct Shared {
    base: Instant,
    measuring: AtomicBool,
    stopping: AtomicBool,
    error: Mutex<Option<anyhow::Error>>,
    /// Messages written, by producer.
    pub published: Vec<Counter>,
    /// Messages confirmed, by producer.
    pub confirmed: Vec<Counter>,
    /// Messages received in full, by consumer.
    pub consumed: Vec<Counter>,
    /// Times that a producer was told connection.blocked.
    pub blocked: AtomicU64,
    /// Messages refused by basic.nack.
    pub nacked: AtomicU64,
}

impl Shared {
    pub fn new(producers: u32, consumers: u32) -> Self {
        let counters = |n: u32| (0..n).map(|_| Counter::default()).collect();
        Self {
            base: Instant::now(),
            measuring: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            error: Mutex::new(None),
            published: counters(producers),
            confirmed: counters(producers),
            consumed: counters(consumers),
            blocked: AtomicU64::new(0),
            nacked: AtomicU64::new(0),
        }
    }

    /// Nanoseconds since the run began, never 0 (which marks a body without a time).
    pub fn now(&self) -> u64 {
        self.base.elapsed().as_nanos() as u64 + 1
    }

    /// Whether latencies count: warm-up is over and the end not reached.
    pub fn measuring(&self) -> bool {
        self.measuring.load(Ordering::Relaxed)
    }

    pub fn set_measuring(&self, on: bool) {
        self.measuring.store(on, Ordering::Relaxed);
    }

    /// Whether threads should end; an error met after this is only the socket being shut.
    pub fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Keeps the first error of any thread and ends the run.
    pub fn fail(&self, error: anyhow::Error) {
        if self.stopping() {
            return;
        }
        self.lock_error().get_or_insert(error);
        self.stop();
    }

    /// The error that ended the run early.
    pub fn take_error(&self) -> Option<anyhow::Error> {
        self.lock_error().take()
    }

    fn lock_error(&self) -> MutexGuard<'_, Option<anyhow::Error>> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps for `time`, or until a thread has failed.
    pub fn wait(&self, time: Duration) {
        let end = Instant::now() + time;
        while !self.stopping() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(FAILURE_POLL));
        }
    }
}
