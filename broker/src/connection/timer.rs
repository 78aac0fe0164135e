//! When a connection is to be looked at though nothing has come.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// Who is so late stood still, or had no processor: what the peer has sent meanwhile may not have been
/// noticed yet.
const LATE: Duration = Duration::from_millis(500);

/// A timer that can tell whether its time was missed.
pub(super) struct Timer {
    sleep: Pin<Box<Sleep>>,
    /// When it is to go off, or has gone off, milliseconds; 0: it was never set.
    at: u64,
}

impl Default for Timer {
    fn default() -> Self {
        Self { sleep: Box::pin(sleep(Duration::ZERO)), at: 0 }
    }
}

impl Timer {
    /// Whether it should have been looked at long before.
    pub(super) fn is_late(&self, now: u64) -> bool {
        self.at > 0 && now > self.at + LATE.as_millis() as u64
    }

    /// Whether it has gone off. If not, the task is woken at the time that is wanted, or before.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, wanted: u64, now: u64) -> bool {
        // One that goes off too early only has somebody look again; one that would be late is set anew.
        if self.at <= now || wanted < self.at {
            let wait = Duration::from_millis(wanted.saturating_sub(now).max(1));
            self.sleep.as_mut().reset(Instant::now() + wait);
            self.at = wanted.max(now + 1);
        }
        let has_gone_off = self.sleep.as_mut().poll(cx).is_ready();
        if has_gone_off {
            // Who stands still now has not seen any later time.
            self.at = now;
        }
        has_gone_off
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use super::*;

    /// Polls it at the same time as before until it goes off, as who stands still after it has read the clock.
    async fn gone_off(timer: &mut Timer, wanted: u64, now: u64) {
        let poll = |cx: &mut Context<'_>| match timer.poll(cx, wanted, now) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        };
        poll_fn(poll).await;
    }

    #[tokio::test]
    async fn who_stands_still_before_or_after_it_goes_off_is_late() {
        let mut timer = Timer::default();
        assert!(!timer.is_late(10_000));
        gone_off(&mut timer, 10_001, 10_000).await;
        assert!(!timer.is_late(10_500));
        assert!(timer.is_late(14_000));
        let set = |timer: &mut Timer| {
            let cx = &mut Context::from_waker(std::task::Waker::noop());
            assert!(!timer.poll(cx, 20_000, 14_000));
        };
        set(&mut timer);
        assert!(!timer.is_late(20_500));
        assert!(timer.is_late(20_501));
    }
}
