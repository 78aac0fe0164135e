//! While the broker has other work, a long answer is spread over most of the time for which its reader
//! waits: what it takes of the processors at once, messages miss.

use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use tokio::runtime::{Handle, RuntimeMetrics};
use tokio::time::sleep;

/// How long Prometheus waits, in seconds.
const TIMEOUT: &str = "x-prometheus-scrape-timeout-seconds";

/// What it waits unless it is told otherwise, seconds; also taken for others.
const USUAL_TIMEOUT: f64 = 10.0;

/// How much of that time an answer may take.
const SHARE: f64 = 0.7;

/// While the broker has other work, an answer pauses so many times as long as it works.
const PAUSES: u32 = 20;

/// No pause is shorter, so that work is done in larger pieces; nor are there more looks at the broker.
const STEP: Duration = Duration::from_millis(20);

/// The broker has other work when its threads are busy for a larger part of their time.
const BUSY: f64 = 0.25;

/// The pace of an answer.
pub(super) struct Pace {
    broker: Broker,
    began: Instant,
    spread: Duration,
    worked: Duration,
}

impl Pace {
    /// From now on, for who asks with these headers.
    pub fn new(broker: &Handle, headers: &HeaderMap) -> Self {
        let broker = Broker::new(broker.metrics());
        Self { broker, began: Instant::now(), spread: spread(headers), worked: Duration::ZERO }
    }

    /// Makes a piece of the answer.
    pub fn work<T>(&mut self, make: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let made = make();
        self.worked += began.elapsed();
        made
    }

    /// Pauses if it is time for it. `done`: how much of the answer is made.
    pub async fn keep(&mut self, done: f64) {
        loop {
            let ahead = ahead(self.spread.mul_f64(done), self.worked, self.began.elapsed());
            if ahead < STEP || !self.broker.has_work() {
                return;
            }
            sleep(STEP).await;
        }
    }
}

/// How long it may take to send an answer.
fn spread(headers: &HeaderMap) -> Duration {
    let timeout = headers.get(TIMEOUT).and_then(|timeout| timeout.to_str().ok()?.parse().ok());
    let timeout = timeout.filter(|timeout| (0.0..=f64::from(u16::MAX)).contains(timeout));
    Duration::from_secs_f64(timeout.unwrap_or(USUAL_TIMEOUT) * SHARE)
}

/// By how much an answer is ahead of its time, which has `due` for as much as it has.
fn ahead(due: Duration, worked: Duration, passed: Duration) -> Duration {
    due.min(worked * PAUSES).saturating_sub(passed)
}

/// How much the threads have to do that serve connections.
struct Broker {
    metrics: RuntimeMetrics,
    looked: Instant,
    busy: Duration,
    has_work: bool,
}

impl Broker {
    fn new(metrics: RuntimeMetrics) -> Self {
        Self { busy: busy(&metrics), metrics, looked: Instant::now(), has_work: false }
    }

    fn has_work(&mut self) -> bool {
        let passed = self.looked.elapsed();
        if passed >= STEP {
            let busy = busy(&self.metrics);
            let share = busy.saturating_sub(self.busy).as_secs_f64() / passed.as_secs_f64();
            self.has_work = share > BUSY * self.metrics.num_workers() as f64;
            (self.busy, self.looked) = (busy, Instant::now());
        }
        self.has_work
    }
}

fn busy(metrics: &RuntimeMetrics) -> Duration {
    (0..metrics.num_workers()).map(|worker| metrics.worker_total_busy_duration(worker)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn most_of_the_readers_patience_is_used() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(TIMEOUT, text.parse().unwrap());
            spread(&headers)
        };
        assert_eq!(spread(&HeaderMap::new()), seconds(7.0));
        assert_eq!(of("1"), seconds(0.7));
        assert_eq!(of("2.5"), seconds(1.75));
        for wrong in ["", "long", "-1", "inf", "NaN", "1e300"] {
            assert_eq!(of(wrong), seconds(7.0), "{wrong}");
        }
    }

    #[test]
    fn pauses_are_as_long_as_the_time_allows_and_the_work_is() {
        // Half of 7 s for half of the answer.
        assert_eq!(ahead(seconds(3.5), seconds(1.0), seconds(1.0)), seconds(2.5));
        // What was quickly made is quickly sent.
        assert_eq!(ahead(seconds(3.5), seconds(0.01), seconds(0.05)), seconds(0.15));
        assert_eq!(ahead(seconds(3.5), seconds(1.0), seconds(4.0)), Duration::ZERO);
    }

    #[test]
    fn who_works_is_seen() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let mut broker = Broker::new(runtime.metrics());
        let look = |broker: &mut Broker| {
            std::thread::sleep(STEP);
            broker.has_work()
        };
        assert!(!look(&mut broker));
        let work = runtime.spawn(async {
            loop {
                std::hint::spin_loop();
                tokio::task::yield_now().await;
            }
        });
        let deadline = Instant::now() + Duration::from_secs(20);
        while !look(&mut broker) {
            assert!(Instant::now() < deadline);
        }
        work.abort();
        while look(&mut broker) {
            assert!(Instant::now() < deadline);
        }
    }
}
