//! The publishing side: as fast as the socket takes it, within a confirm window, or paced.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result};

use super::confirms::Confirms;
use super::frames::{Event, FrameReader};
use super::latency::Latencies;
use super::pace::{Pace, wake_precisely};
use super::publish_buffer::PublishBuffer;
use super::shared::Shared;

/// How long a paced producer sleeps while its confirm window is full.
const WINDOW_POLL: Duration = Duration::from_micros(20);

/// One publishing connection.
pub(super) struct Producer {
    pub stream: TcpStream,
    pub reader: FrameReader,
    pub buffer: PublishBuffer,
    pub index: usize,
    pub stamped: bool,
    /// Present when the channel is in confirm mode.
    pub confirms: Option<Arc<Confirms>>,
    /// Present when the rate is limited.
    pub pace: Option<Pace>,
}

impl Producer {
    /// Publishes until the run stops. Returns the confirm latencies that it saw.
    pub fn run(mut self, shared: &Arc<Shared>) -> Result<Latencies> {
        let mut latencies = Latencies::new()?;
        let done = match (self.pace.take(), self.confirms.clone()) {
            (None, Some(confirms)) => self.publish_within_window(&confirms, shared, &mut latencies),
            (pace, confirms) => {
                let listener = self.spawn_listener(confirms.clone(), shared)?;
                let done = match pace {
                    Some(pace) => self.publish_paced(pace, shared),
                    None => self.publish_freely(shared),
                };
                self.end_listener(listener, &done, &mut latencies)?;
                done
            }
        };
        if let Err(error) = done {
            shared.fail(error.context("a producer failed"));
        }
        Ok(latencies)
    }

    fn publish_freely(&mut self, shared: &Shared) -> Result<()> {
        while !shared.stopping() {
            self.write(usize::MAX, shared.now(), shared)?;
        }
        Ok(())
    }

    fn publish_paced(&mut self, mut pace: Pace, shared: &Shared) -> Result<()> {
        wake_precisely();
        while !shared.stopping() {
            let Some(due) = pace.due(shared.now()) else {
                pace.sleep(shared.now());
                continue;
            };
            let room = self.confirms.as_ref().map_or(u64::MAX, |confirms| confirms.room());
            if room == 0 {
                pace.held_back();
                std::thread::sleep(WINDOW_POLL);
                continue;
            }
            let written = self.write(to_usize(due.count.min(room)), due.stamp, shared)?;
            pace.sent(written as u64, shared.now());
        }
        Ok(())
    }

    /// One thread writes and reads in turn: no wake-up between a confirm and the next publish.
    fn publish_within_window(
        &mut self,
        confirms: &Confirms,
        shared: &Shared,
        latencies: &mut Latencies,
    ) -> Result<()> {
        while !shared.stopping() {
            let mut room = to_usize(confirms.room());
            while room > 0 {
                room -= self.write(room, shared.now(), shared)?;
            }
            loop {
                let event = self.reader.next(&mut self.stream)?;
                handle(event, Some(confirms), shared, self.index, latencies)?;
                if confirms.room() > 0 && !self.reader.has_frame() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Writes at most so many messages, sent at `now`, and says how many it wrote.
    fn write(&mut self, most: usize, now: u64, shared: &Shared) -> Result<usize> {
        let (count, bytes) = self.buffer.take(most, self.stamped.then_some(now));
        if let Some(confirms) = &self.confirms {
            // Before the write: the confirm may come before it returns.
            confirms.send(count as u64, now);
        }
        self.stream.write_all(bytes).context("publishing")?;
        if let Some(counter) = shared.published.get(self.index) {
            counter.add(count as u64);
        }
        Ok(count)
    }

    /// Reads what the broker says to a producer that does nothing but write.
    fn spawn_listener(
        &mut self,
        confirms: Option<Arc<Confirms>>,
        shared: &Arc<Shared>,
    ) -> Result<std::thread::JoinHandle<Result<Latencies>>> {
        let mut stream = self.stream.try_clone()?;
        let mut reader = std::mem::replace(&mut self.reader, FrameReader::new());
        let (shared, index) = (Arc::clone(shared), self.index);
        let listen = move || {
            let mut latencies = Latencies::new()?;
            loop {
                let done = reader.next(&mut stream).and_then(|event| {
                    handle(event, confirms.as_deref(), &shared, index, &mut latencies)
                });
                if let Err(error) = done {
                    shared.fail(error.context("a producer failed"));
                    return Ok(latencies);
                }
            }
        };
        Ok(std::thread::Builder::new().name(format!("listen-{index}")).spawn(listen)?)
    }

    /// Ends the listener. When writing failed, it may have the reason: the broker's close method
    /// arrives just before the socket breaks.
    fn end_listener(
        &self,
        listener: std::thread::JoinHandle<Result<Latencies>>,
        done: &Result<()>,
        latencies: &mut Latencies,
    ) -> Result<()> {
        if done.is_err() {
            std::thread::sleep(Duration::from_millis(100));
        }
        // An error here means that the socket is already shut.
        drop(self.stream.shutdown(std::net::Shutdown::Both));
        let heard = listener.join().map_err(|_| anyhow::anyhow!("a listener panicked"))??;
        latencies.merge(&heard)
    }
}

fn to_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn handle(
    event: Event,
    confirms: Option<&Confirms>,
    shared: &Shared,
    index: usize,
    latencies: &mut Latencies,
) -> Result<()> {
    match event {
        Event::Confirm { tag, multiple, nack } => {
            let confirms = confirms.context("a confirm outside confirm mode")?;
            let record = shared.measuring().then_some(latencies);
            let settled = confirms.settle(tag, multiple, shared.now(), record)?;
            if nack {
                shared.nacked.fetch_add(settled, Ordering::Relaxed);
            } else if let Some(counter) = shared.confirmed.get(index) {
                counter.add(settled);
            }
        }
        Event::Blocked => {
            shared.blocked.fetch_add(1, Ordering::Relaxed);
        }
        Event::Method { .. } | Event::Other => {}
    }
    Ok(())
}
