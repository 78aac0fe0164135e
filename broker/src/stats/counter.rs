//! Numbers that others read while they change.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// A count that one thread at a time writes: no more than a load and a store.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// So many more.
    #[inline]
    pub fn add(&self, more: u64) {
        self.0.store(self.get() + more, Ordering::Relaxed);
    }

    /// As of now.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A count that any thread adds to.
#[derive(Debug, Default)]
pub struct Shared(AtomicU64);

impl Shared {
    /// So many more.
    #[inline]
    pub fn add(&self, more: u64) {
        if more > 0 {
            self.0.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// As of now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many there are of something that many threads add to and take from.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Where there were `before`, there are `after`.
    #[inline]
    pub fn exchange(&self, before: usize, after: usize) {
        if before != after {
            self.0.fetch_add(after as i64 - before as i64, Ordering::Relaxed);
        }
    }

    /// As of now.
    pub fn get(&self) -> u64 {
        // Of two changes at a time the later one may be seen first.
        u64::try_from(self.0.load(Ordering::Relaxed)).unwrap_or_default()
    }
}
