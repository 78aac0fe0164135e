//! The one clock of the broker's shells; the core gets the time as an argument.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, as the system's clock had it at the first call; it never goes back, and
/// does not follow later corrections of the system's clock.
pub fn now_ms() -> u64 {
    static START: OnceLock<(Instant, u64)> = OnceLock::new();
    let (begin, unix) = START.get_or_init(|| {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        (Instant::now(), unix.as_millis() as u64)
    });
    unix + begin.elapsed().as_millis() as u64
}

/// By how much the system's clock is ahead of [`now_ms`] by now, milliseconds: it was set since, or the
/// machine slept.
pub fn ahead_ms() -> i64 {
    let system = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (system.as_millis() as i64).saturating_sub_unsigned(now_ms())
}

/// What a broker takes the time from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// [`now_ms`].
    #[default]
    System,
    /// Whoever holds it moves it; in ms since 1970.
    Set(Arc<AtomicU64>),
}

impl Clock {
    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        match self {
            Self::System => now_ms(),
            Self::Set(time) => time.load(Ordering::Relaxed),
        }
    }
}
