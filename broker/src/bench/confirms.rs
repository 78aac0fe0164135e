//! Which messages of one producer wait for their confirm, and since when.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};

use super::latency::Latencies;

/// The send times of the unconfirmed messages, by delivery tag.
///
/// The window is counted from the oldest unconfirmed message, so a ring of its size is enough
/// even when confirms come out of order. The writer and the reader may be two threads.
#[derive(Debug)]
pub(super) struct Confirms {
    window: u64,
    /// Send time by tag modulo the ring's size; 0 = confirmed.
    ring: Vec<AtomicU64>,
    /// Last tag sent.
    sent: AtomicU64,
    /// Lowest tag that is not confirmed.
    low: AtomicU64,
}

impl Confirms {
    pub fn new(window: u32) -> Self {
        let ring = (window as usize).next_power_of_two();
        Self {
            window: u64::from(window),
            ring: (0..ring).map(|_| AtomicU64::new(0)).collect(),
            sent: AtomicU64::new(0),
            low: AtomicU64::new(1),
        }
    }

    /// How many more messages may be sent now.
    pub fn room(&self) -> u64 {
        let outstanding = self.sent.load(Ordering::Acquire) + 1 - self.low.load(Ordering::Acquire);
        self.window.saturating_sub(outstanding)
    }

    /// Notes `count` messages that are about to be written.
    pub fn send(&self, count: u64, now: u64) {
        let first = self.sent.load(Ordering::Relaxed) + 1;
        for tag in first..first + count {
            if let Some(slot) = self.slot(tag) {
                slot.store(now, Ordering::Relaxed);
            }
        }
        self.sent.store(first + count - 1, Ordering::Release);
    }

    /// Takes one confirm from the broker and says how many messages it settled.
    pub fn settle(
        &self,
        tag: u64,
        multiple: bool,
        now: u64,
        record: Option<&mut Latencies>,
    ) -> Result<u64> {
        let sent = self.sent.load(Ordering::Acquire);
        ensure!((1..=sent).contains(&tag), "confirm of tag {tag}, but {sent} is the last one sent");
        let mut low = self.low.load(Ordering::Relaxed);
        let mut settled = 0;
        let mut record = record;
        for tag in if multiple { low } else { tag }..=tag {
            let at = self.slot(tag).map_or(0, |slot| slot.swap(0, Ordering::Relaxed));
            if at != 0 {
                settled += 1;
                if let Some(latencies) = record.as_deref_mut() {
                    latencies.record(at, now);
                }
            }
        }
        while low <= sent && self.slot(low).is_none_or(|slot| slot.load(Ordering::Relaxed) == 0) {
            low += 1;
        }
        self.low.store(low, Ordering::Release);
        Ok(settled)
    }

    fn slot(&self, tag: u64) -> Option<&AtomicU64> {
        self.ring.get(tag as usize & (self.ring.len() - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_of_order_and_multiple() {
        let confirms = Confirms::new(5);
        let mut latencies = Latencies::new().unwrap();
        confirms.send(5, 10);
        assert_eq!(confirms.room(), 0);
        assert_eq!(confirms.settle(3, false, 20, Some(&mut latencies)).unwrap(), 1);
        assert_eq!(confirms.room(), 0);
        assert_eq!(confirms.settle(2, true, 20, Some(&mut latencies)).unwrap(), 2);
        assert_eq!(confirms.room(), 3);
        confirms.send(3, 30);
        assert_eq!(confirms.settle(8, true, 40, None).unwrap(), 5);
        assert_eq!(confirms.room(), 5);
        assert_eq!(latencies.percentiles().unwrap().samples, 3);
        assert!(confirms.settle(9, false, 50, None).is_err());
    }
}
