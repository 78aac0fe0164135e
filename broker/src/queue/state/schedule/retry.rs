//! When a message that came back is handed out again.

use lepus_protocol::method::Verdict;

/// The longest that anything waits: ten years, RabbitMQ's cap on times.
pub const LONGEST_MS: u64 = 315_360_000_000;

/// `x-delayed-retry-*`: messages that come back wait before they are handed out again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// Which.
    pub kind: RetryKind,
    /// The first delay in ms; the following ones are longer.
    pub min: u64,
    /// The longest delay in ms.
    pub max: u64,
    /// Each delay is the one before it times this; without it, the first one times the count.
    pub multiplier: Option<f64>,
    /// A delay may be shorter by up to this part of it.
    pub jitter: f64,
}

/// Which messages wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryKind {
    /// All that come back.
    All,
    /// Those that were rejected, or whose channel ended.
    Failed,
    /// Those that were given back.
    Returned,
}

impl Eq for Retry {}

impl Retry {
    /// How long a message waits that came back for the `count`th time, in ms. `draw` decides how much
    /// of the jitter is taken off. `None`: it does not wait.
    pub fn delay(&self, verdict: Verdict, count: u32, draw: u64) -> Option<u64> {
        let waits = match self.kind {
            RetryKind::All => verdict.returns(),
            RetryKind::Failed => verdict == Verdict::Fail,
            RetryKind::Returned => verdict == Verdict::Requeue,
        };
        if !waits {
            return None;
        }
        let (min, count) = (self.min as f64, count.max(1));
        let delay = match self.multiplier {
            None => min * f64::from(count),
            Some(factor) => min * factor.powi(i32::try_from(count - 1).unwrap_or(i32::MAX)),
        };
        let delay = delay.min(self.max.min(LONGEST_MS) as f64);
        let part = (spread(draw) >> 11) as f64 / (1u64 << 53) as f64;
        let delay = (delay * (1.0 - self.jitter * part)).round() as u64;
        (delay > 0).then_some(delay)
    }
}

/// Neighbouring numbers become far apart (the finalizer of splitmix64).
fn spread(draw: u64) -> u64 {
    let mut bits = draw.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Retry =
        Retry { kind: RetryKind::All, min: 100, max: 450, multiplier: None, jitter: 0.0 };

    fn delays(retry: Retry) -> [Option<u64>; 6] {
        [1, 2, 3, 4, 5, u32::MAX].map(|count| retry.delay(Verdict::Fail, count, 7))
    }

    #[test]
    fn delays_grow_with_the_count_up_to_the_longest() {
        assert_eq!(delays(RETRY), [100, 200, 300, 400, 450, 450].map(Some));
        let doubled = Retry { multiplier: Some(2.0), max: 1000, ..RETRY };
        assert_eq!(delays(doubled), [100, 200, 400, 800, 1000, 1000].map(Some));
        let constant = Retry { multiplier: Some(1.0), ..RETRY };
        assert_eq!(delays(constant), [Some(100); 6]);
        assert_eq!(delays(Retry { min: 0, ..RETRY }), [None; 6]);
        let endless = Retry { min: u64::MAX, max: u64::MAX, ..RETRY };
        assert_eq!(delays(endless), [Some(LONGEST_MS); 6]);
    }

    #[test]
    fn jitter_takes_up_to_its_part_off() {
        let retry = Retry { min: 1_000_000, max: u64::MAX, jitter: 0.25, ..RETRY };
        let drawn: Vec<u64> =
            (0..1000).filter_map(|draw| retry.delay(Verdict::Fail, 1, draw)).collect();
        assert!(drawn.iter().all(|delay| (750_000..=1_000_000).contains(delay)));
        assert!(drawn.iter().any(|delay| *delay < 760_000));
        assert!(drawn.iter().any(|delay| *delay > 990_000));
    }

    #[test]
    fn the_kind_says_which_messages_wait() {
        let waits = |kind| {
            [Verdict::Fail, Verdict::Requeue, Verdict::Ack, Verdict::Discard]
                .map(|verdict| Retry { kind, ..RETRY }.delay(verdict, 1, 0).is_some())
        };
        assert_eq!(waits(RetryKind::All), [true, true, false, false]);
        assert_eq!(waits(RetryKind::Failed), [true, false, false, false]);
        assert_eq!(waits(RetryKind::Returned), [false, true, false, false]);
    }
}
