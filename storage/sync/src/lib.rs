//! Locks, atomics and threads: parking_lot's and the standard library's, or with the feature `shuttle`
//! those of the model checker Shuttle, which then chooses who goes on after each of their steps.
//!
//! What several threads agree on by more than a lock uses these, so that its models run the code that
//! ships. With the feature they only work inside of `shuttle::check_*`.

#[cfg(feature = "shuttle")]
mod check;
#[cfg(feature = "shuttle")]
mod model;

#[cfg(feature = "shuttle")]
pub use check::check;
#[cfg(feature = "shuttle")]
pub use model::{Condvar, Mutex, MutexGuard, WaitTimeoutResult};
#[cfg(feature = "shuttle")]
pub use shuttle::{sync::atomic, thread, thread_local};

#[cfg(not(feature = "shuttle"))]
pub use parking_lot::{Condvar, Mutex, MutexGuard, WaitTimeoutResult};
#[cfg(not(feature = "shuttle"))]
pub use std::{sync::atomic, thread, thread_local};
