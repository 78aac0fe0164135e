//! Random numbers that a seed repeats.

use std::time::SystemTime;

/// A small generator of random numbers (xorshift64*).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// One with a seed of its own, which it prints; `LEPUS_TEST_SEED` gives another one.
    #[must_use]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Random {
        let given = std::env::var("LEPUS_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let now = || u64::from(SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos());
        let seed: u64 = given.unwrap_or_else(now).max(1);
        println!("LEPUS_TEST_SEED={seed}");
        Random(seed)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap() % bound
    }
}
