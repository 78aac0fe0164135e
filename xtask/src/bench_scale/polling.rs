//! All that operators ask for, once a second each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::asked::{Asked, get};
use super::median;
use crate::tools;

/// How often each is asked for; a longer answer is waited for.
const EVERY: Duration = Duration::from_secs(1);

/// What is asked for.
const KINDS: [&str; 3] = ["page", "`/metrics`", "`/metrics/per-object`"];

/// How long each answer took, in ms, by kind.
#[derive(Default)]
pub(super) struct Polls([Vec<f64>; 3]);

/// Clients at work.
pub(super) struct Polling {
    done: Arc<AtomicBool>,
    clients: [JoinHandle<Result<Vec<f64>>>; 3],
}

/// Starts a client for each kind.
pub(super) fn start(asked: &Asked) -> Polling {
    let done = Arc::new(AtomicBool::new(false));
    let urls = [asked.page_url(), asked.metrics_url().to_owned(), asked.objects_url()];
    let clients = urls.map(|url| {
        let done = done.clone();
        thread::spawn(move || {
            step_back()?;
            let mut took = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let began = Instant::now();
                get(&url, url.contains("/metrics"))?;
                took.push(began.elapsed().as_secs_f64() * 1e3);
                thread::sleep(EVERY.saturating_sub(began.elapsed()));
            }
            Ok(took)
        })
    });
    Polling { done, clients }
}

/// These clients would be on another machine.
fn step_back() -> Result<()> {
    let task = std::fs::read_link("/proc/thread-self")?;
    let task = task.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !tools::answers("renice", &["-n", "19", "-p", &task]) {
        eprintln!("renice is missing: the clients that poll take time from the broker");
    }
    Ok(())
}

impl Polling {
    /// When the answers on their way are there.
    pub(super) fn stop(self) -> Result<Polls> {
        self.done.store(true, Ordering::Relaxed);
        let mut polls = Polls::default();
        for (all, client) in polls.0.iter_mut().zip(self.clients) {
            *all = client.join().map_err(|_| anyhow!("a client that polls has panicked"))??;
        }
        Ok(polls)
    }
}

impl Polls {
    pub(super) fn add(&mut self, others: &Self) {
        for (all, other) in self.0.iter_mut().zip(&others.0) {
            all.extend(other);
        }
    }

    pub(super) fn text(&self) -> String {
        let each = KINDS.iter().zip(&self.0).map(|(kind, took)| {
            format!("{} of {kind} ({:.0} ms)", took.len(), median(took.clone()))
        });
        each.collect::<Vec<_>>().join(", ")
    }
}
