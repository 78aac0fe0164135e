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

    /// One with this seed; those of neighbouring seeds have nothing in common.
    #[must_use]
    pub fn seeded(seed: u64) -> Random {
        // The finaliser of splitmix64.
        let mut state = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Random((state ^ (state >> 31)).max(1))
    }

    /// Any octet.
    pub fn octet(&mut self) -> u8 {
        self.below(256).to_le_bytes()[0]
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap() % bound
    }
}
