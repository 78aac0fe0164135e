//! Long work is done beside the threads that serve all connections.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

use crate::limits::{LONG_WORK, PLACES_MIN};

/// Carries out work on so many things. If these are many, others on this thread are taken over by another
/// one.
pub fn aside<R>(things: usize, work: impl FnOnce() -> R) -> R {
    if things >= LONG_WORK { blocking(work) } else { work() }
}

/// Does what may take a while: others on this thread are taken over by another one.
pub fn blocking<R>(work: impl FnOnce() -> R) -> R {
    if has_others() { block_in_place(work) } else { work() }
}

/// Whether this thread serves others, and another one could take them over.
fn has_others() -> bool {
    Handle::try_current().is_ok_and(|of| of.runtime_flavor() == RuntimeFlavor::MultiThread)
}

/// Those for all connections: as many as processors, so that the threads in them stay few.
static PLACES: LazyLock<Places> =
    LazyLock::new(|| Places::new(available_parallelism().map_or(0, usize::from).max(PLACES_MIN)));

/// Places for those who may never come to an end. The system shares the processors out between these and
/// the threads that serve connections, who wake up for a moment and so go first.
struct Places {
    max: usize,
    taken: AtomicUsize,
}

/// Somebody has one of them.
pub struct Place(&'static Places);

impl Places {
    fn new(max: usize) -> Self {
        Self { max, taken: AtomicUsize::new(0) }
    }

    fn take(&'static self) -> Option<Place> {
        let taken = self.taken.fetch_add(1, Ordering::Relaxed);
        let place = Place(self);
        (taken < self.max).then_some(place)
    }
}

impl Place {
    /// One that nobody has.
    pub fn free() -> Option<Self> {
        has_others().then(|| PLACES.take()).flatten()
    }

    /// Works there.
    pub fn work<R>(self, work: impl FnOnce() -> R) -> R {
        blocking(work)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static TWO: LazyLock<Places> = LazyLock::new(|| Places::new(2));

    #[test]
    fn there_are_so_many_places() {
        let (first, second) = (TWO.take(), TWO.take());
        assert!(first.is_some() && second.is_some() && TWO.take().is_none());
        drop(first);
        assert!(TWO.take().is_some_and(|place| place.work(|| TWO.take().is_none())));
        assert!(TWO.take().is_some());
    }

    #[test]
    fn who_has_a_thread_of_its_own_needs_none() {
        assert!(Place::free().is_none());
    }
}
