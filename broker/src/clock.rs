//! The one clock of the broker's shells; the core gets the time as an argument.

use std::sync::OnceLock;
use std::time::Instant;

/// Milliseconds since the first call; never goes back.
pub fn now_ms() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_millis() as u64
}
