//! Latencies in nanoseconds, kept exactly enough (three digits) and summed over threads.

use anyhow::{Result, anyhow};
use hdrhistogram::Histogram;
use serde::Serialize;

/// Longest latency told apart; longer ones count as this.
const MAX_NANOS: u64 = 120_000_000_000;
const DIGITS: u8 = 3;

/// Recorded latencies.
#[derive(Debug, Clone)]
pub(super) struct Latencies(Histogram<u64>);

impl Latencies {
    pub fn new() -> Result<Self> {
        Ok(Self(Histogram::new_with_bounds(1, MAX_NANOS, DIGITS)?))
    }

    /// Counts one message that took from `sent` to `now`.
    pub fn record(&mut self, sent: u64, now: u64) {
        self.0.saturating_record(now.saturating_sub(sent));
    }

    pub fn merge(&mut self, other: &Self) -> Result<()> {
        self.0.add(&other.0).map_err(|error| anyhow!("{error:?}"))
    }

    /// The figures to report, unless nothing was recorded.
    pub fn percentiles(&self) -> Option<Percentiles> {
        let micros = |quantile: f64| self.0.value_at_quantile(quantile) as f64 / 1_000.0;
        (!self.0.is_empty()).then(|| Percentiles {
            samples: self.0.len(),
            p50: micros(0.50),
            p99: micros(0.99),
            p999: micros(0.999),
            max: self.0.max() as f64 / 1_000.0,
        })
    }
}

/// A latency distribution in microseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Percentiles {
    pub samples: u64,
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_in_microseconds() {
        let mut all = Latencies::new().unwrap();
        assert_eq!(all.percentiles(), None);
        let mut one = Latencies::new().unwrap();
        (1..=1000).for_each(|n| one.record(0, n * 1_000));
        all.merge(&one).unwrap();
        let got = all.percentiles().unwrap();
        assert_eq!(got.samples, 1000);
        assert!((got.p50 - 500.0).abs() < 1.0 && (got.p99 - 990.0).abs() < 2.0, "{got:?}");
    }
}
