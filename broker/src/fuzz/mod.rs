//! What reads octets from outside, against octets that are almost right: valid ones, changed here and
//! there. Nothing may panic, run on for ever, take more memory than its bound ([`bounds`]) or answer nonsense,
//! whatever comes.
//!
//! `PROPTEST_CASES` says how many cases there are; `cargo xtask fuzz --seconds N` has ever new ones
//! until the time is over. What has failed is shrunk and printed; `PROPTEST_RNG_SEED` repeats a run.

pub mod bounds;
mod files;
mod http;
mod octets;
mod peer;
mod sequences;
mod texts;

use proptest::prelude::ProptestConfig;

/// As many cases as are asked for; `cost` times fewer of those that take long.
pub fn cases(cost: u32) -> ProptestConfig {
    let config = ProptestConfig::default();
    let cases = (config.cases / cost).max(1);
    lepus_tests::figure(&format!("fuzz executions: {cases}"));
    ProptestConfig { cases, failure_persistence: None, max_shrink_time: 60_000, ..config }
}
