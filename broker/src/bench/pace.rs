//! Even spacing of messages without burning a core.

use std::time::Duration;

/// Nanoseconds within which late messages are taken to have been due together.
const SAME_TIME: f64 = 20_000.0;

/// A schedule: message n is due at start + n × interval.
#[derive(Debug)]
pub(super) struct Pace {
    interval: f64,
    start: Option<u64>,
    sent: u64,
    /// The peer held the last messages back: what is late since then is late because of it.
    held: bool,
    /// When the last write returned.
    free_at: u64,
}

/// Messages whose time has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub count: u64,
    /// The time from which their latency counts.
    pub stamp: u64,
}

impl Pace {
    /// A schedule of `rate` messages per second.
    pub fn new(rate: f64) -> Self {
        Self { interval: 1e9 / rate, start: None, sent: 0, held: false, free_at: 0 }
    }

    /// What is due at `now`.
    ///
    /// Latency counts from when a message was due if the broker kept this thread from sending it
    /// (otherwise a stalled broker would hide its own stall), and from `now` if this thread only
    /// overslept.
    pub fn due(&mut self, now: u64) -> Option<Due> {
        let start = *self.start.get_or_insert(now);
        let due_at = self.due_at(start);
        if now < due_at {
            return None;
        }
        let stalled = self.held || self.free_at > due_at;
        let passed = ((now - start) as f64 / self.interval) as u64 + 1;
        let late = passed.saturating_sub(self.sent).max(1);
        Some(match stalled {
            // Few at a time, because each was due at another time.
            true => Due { count: late.min((SAME_TIME / self.interval) as u64 + 1), stamp: due_at },
            false => Due { count: late, stamp: now },
        })
    }

    /// Notes that messages were written, which was done at `now`.
    pub fn sent(&mut self, count: u64, now: u64) {
        self.sent += count;
        self.free_at = now;
        self.held = false;
    }

    /// Notes that the broker's confirms are awaited.
    pub fn held_back(&mut self) {
        self.held = true;
    }

    /// Sleeps until the next message is due.
    pub fn sleep(&self, now: u64) {
        let due_at = self.start.map_or(now, |start| self.due_at(start));
        std::thread::sleep(Duration::from_nanos(due_at.saturating_sub(now)));
    }

    fn due_at(&self, start: u64) -> u64 {
        start + (self.sent as f64 * self.interval) as u64
    }
}

/// Asks the kernel to wake this thread on time instead of up to 50 µs late. Best effort: without
/// it the spacing is less even, but latencies are still counted from the real time of sending.
pub(super) fn wake_precisely() {
    let Ok(link) = std::fs::read_link("/proc/thread-self") else { return };
    if let Some(id) = link.file_name() {
        let path = std::path::Path::new("/proc").join(id).join("timerslack_ns");
        drop(std::fs::write(path, "1"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evenly_spaced_and_honest_about_stalls() {
        let mut pace = Pace::new(1_000.0);
        assert_eq!(pace.due(500), Some(Due { count: 1, stamp: 500 }));
        pace.sent(1, 600);
        assert_eq!(pace.due(1_000_499), None);
        // Overslept: counts from the real time of sending.
        assert_eq!(pace.due(1_000_900), Some(Due { count: 1, stamp: 1_000_900 }));
        // The write blocked past two due times: they count from when they were due.
        pace.sent(1, 3_500_000);
        assert_eq!(pace.due(3_500_100), Some(Due { count: 1, stamp: 2_000_500 }));
        pace.sent(1, 3_500_200);
        assert_eq!(pace.due(3_500_300), Some(Due { count: 1, stamp: 3_000_500 }));
        pace.sent(1, 3_500_400);
        assert_eq!(pace.due(3_500_500), None);
    }
}
