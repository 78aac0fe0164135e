//! The task of a connection: it moves octets between the socket and the [`Link`].
//!
//! Each read fills a large buffer that all connections of a thread share, so that an idle
//! connection holds none; what it brings is taken apart without awaiting.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::timeout;

use super::entry::Ends;
use super::link::{Gone, Link};
use super::timer::Timer;
use super::transport::Transport;
use crate::clock::now_ms;
use crate::limits::{
    BACKLOG_PAUSE, BACKLOG_PAUSE_MAX, BACKLOG_SOFT, CLOSE_TIMEOUT, READ_BETWEEN_BODIES, READ_CHUNK,
    READS_PER_TURN,
};
use crate::linger::{await_end, linger};
use crate::mailbox::Mail;
use crate::node::Node;
use crate::tls;

/// A peer of whom so many octets were read without a pause streams.
const STREAMING: usize = 32 * 1024;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_CHUNK]);
}

/// Serves a connection to its end.
pub(super) async fn serve(
    node: Arc<Node>,
    stream: impl Transport,
    ends: Ends,
    tls: Option<tls::Facts>,
) {
    let link = link(node, ends, tls);
    let mut driver = Driver {
        stream,
        link,
        timer: Timer::default(),
        carry: Vec::new(),
        taken: 0,
        stalled: false,
        between_bodies: false,
        streamed: 0,
        letters: Vec::new(),
        paused_until: 0,
    };
    let _: Result<(), Gone> = poll_fn(|cx| driver.poll(cx)).await;
    let Driver { stream, link, .. } = driver;
    let is_left = link.is_left();
    drop(link);
    // Only the end needs room for the end.
    Box::pin(leave(stream, is_left)).await;
}

fn link(node: Arc<Node>, ends: Ends, tls: Option<tls::Facts>) -> Link {
    let mut link = Link::new(node, ends.peer.ip(), now_ms());
    link.facts_mut().set_addresses(ends.peer, ends.local);
    if let Some(tls) = tls {
        link.facts_mut().set_tls(tls);
    }
    link
}

/// Says goodbye, as far as the peer lets us, or waits for the peer to go.
async fn leave(mut stream: impl Transport, is_left: bool) {
    if !is_left {
        stream.end();
    }
    let said = timeout(CLOSE_TIMEOUT, poll_fn(|cx| stream.poll_flush(cx))).await;
    if matches!(said, Ok(Ok(()))) {
        let mut socket = stream.into_socket();
        if is_left {
            await_end(&mut socket, CLOSE_TIMEOUT).await;
        }
        linger(socket, CLOSE_TIMEOUT).await;
    }
}

/// How long to leave a streaming publisher alone, milliseconds: the longer the longer the backlog.
fn pause(backlog: usize) -> u64 {
    let pause = BACKLOG_PAUSE.as_millis() as u64 * (backlog / BACKLOG_SOFT) as u64;
    pause.min(BACKLOG_PAUSE_MAX.as_millis() as u64)
}

struct Driver<S> {
    stream: S,
    link: Link,
    timer: Timer,
    /// The start of a frame whose end has not arrived.
    carry: Vec<u8>,
    /// So much of `carry` the link has taken; 0 unless it is stalled.
    taken: usize,
    /// `carry` may hold whole frames: the link stopped in the middle of an input, since it could not go
    /// on or had done enough.
    stalled: bool,
    /// Octets read since the peer last had nothing more to read.
    streamed: usize,
    /// The last read went straight into a body.
    between_bodies: bool,
    /// An empty vector, kept for its room.
    letters: Vec<Mail>,
    /// A streaming publisher is left alone until then, milliseconds.
    paused_until: u64,
}

/// Whether a step changed anything.
type Progress = Result<bool, Gone>;

impl<S: Transport> Driver<S> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        let mut reads = 0;
        loop {
            let now = now_ms();
            let mut progress = self.take_mail(now);
            progress |= self.poll_write(cx, now)?;
            if self.link.is_over() && !self.stream.owes() {
                return Poll::Ready(Ok(()));
            }
            if reads < READS_PER_TURN {
                let read = self.poll_read(cx, now)?;
                // Whoever has stopped in the middle and could go on has done enough.
                let is_tired = self.stalled && self.link.wants_input();
                reads = if is_tired { READS_PER_TURN } else { reads + usize::from(read) };
                progress |= read;
            } else {
                // Others' turn; come back at once.
                self.link.count_turn();
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            progress |= self.poll_timer(cx, now)?;
            if progress || self.link.write_stored() {
                self.link.count_turn();
                continue;
            }
            self.link.mailbox().register(cx.waker());
            if self.link.mailbox().is_empty() {
                return Poll::Pending;
            }
        }
    }

    fn take_mail(&mut self, now: u64) -> bool {
        let mut letters = self.link.mailbox().collect(std::mem::take(&mut self.letters));
        let any = letters.iter().any(|mail| !matches!(mail, Mail::Channels(_)));
        for mail in letters.drain(..) {
            self.link.mail(mail, now);
        }
        if any {
            self.link.end_of_mail();
            self.link.count_turn();
        }
        self.letters = letters;
        any
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, now: u64) -> Progress {
        if self.link.out.is_empty() && !self.stream.owes() {
            return Ok(false);
        }
        let unread = !self.link.wants_input();
        while !self.link.out.is_empty() {
            let written = self.link.out.write(|slices| self.stream.poll_write(cx, slices));
            match written {
                Poll::Pending => return Ok(false),
                Poll::Ready(Ok(octets)) if octets > 0 => {
                    self.link.out.advance(octets);
                    self.link.wrote(octets, unread, now);
                }
                Poll::Ready(_) => return Err(Gone),
            }
        }
        match self.stream.poll_flush(cx) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_)) => return Err(Gone),
        }
        self.link.all_written();
        Ok(true)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, now: u64) -> Progress {
        if !self.link.wants_input() || now < self.paused_until {
            return Ok(false);
        }
        if self.stalled {
            let backlog = self.go_on(now);
            self.hold_back_if_streaming(backlog, now);
            return Ok(true);
        }
        if let Some(read) = self.poll_read_body(cx, now)? {
            return Ok(read);
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let carried = self.carry.len();
            if scratch.len() < carried + READ_CHUNK / 2 {
                scratch.resize(carried + READ_CHUNK, 0);
            }
            let (head, room) = scratch.split_at_mut(carried);
            head.copy_from_slice(&self.carry);
            let room = match std::mem::take(&mut self.between_bodies) {
                true => room.get_mut(..READ_BETWEEN_BODIES).unwrap_or_default(),
                false => room,
            };
            let octets = match self.stream.poll_read(cx, room) {
                Poll::Pending => {
                    self.streamed = 0;
                    return Ok(false);
                }
                Poll::Ready(Ok(octets)) if octets > 0 => octets,
                Poll::Ready(_) => return Err(Gone),
            };
            self.link.count_read(octets);
            let backlog = self.give(scratch.get(..carried + octets).unwrap_or_default(), now);
            self.streamed += octets;
            self.hold_back_if_streaming(backlog, now);
            Ok(true)
        })
    }

    /// Reads into a large body that is arriving; `None` if there is none.
    fn poll_read_body(&mut self, cx: &mut Context<'_>, now: u64) -> Result<Option<bool>, Gone> {
        let Some(stream) = self.stream.plain() else { return Ok(None) };
        let read = self.link.read_body(now, |room| match stream.poll_read_ready(cx) {
            Poll::Pending => Err(ErrorKind::WouldBlock),
            Poll::Ready(_) => stream.try_read_buf(room).map_err(|error| error.kind()),
        });
        match read {
            None => Ok(None),
            Some(Ok(0)) => Err(Gone),
            Some(Ok(octets)) => {
                self.link.count_read(octets);
                self.between_bodies = true;
                self.streamed += octets;
                Ok(Some(true))
            }
            // After a false alarm of readiness the waker must be registered again.
            Some(Err(ErrorKind::WouldBlock)) => Ok(Some(stream.poll_read_ready(cx).is_ready())),
            Some(Err(_)) => Err(Gone),
        }
    }

    /// Leaves a streaming publisher alone, if there is a backlog.
    fn hold_back_if_streaming(&mut self, backlog: usize, now: u64) {
        if self.streamed < STREAMING {
            return;
        }
        let pause = pause(backlog);
        self.paused_until = now + pause;
        if pause > 0 {
            self.link.held_back(now, pause);
        }
    }

    /// Gives the link what has arrived and keeps what it leaves. Returns the backlog met, octets.
    fn give(&mut self, input: &[u8], now: u64) -> usize {
        let (used, backlog) = self.link.input(input, now);
        self.stalled = used < input.len() && self.has_stopped();
        self.carry.clear();
        self.carry.extend_from_slice(input.get(used..).unwrap_or_default());
        self.give_back_room();
        backlog
    }

    /// Gives the link what it has left when it stopped. Returns the backlog met, octets.
    fn go_on(&mut self, now: u64) -> usize {
        let left = self.carry.get(self.taken..).unwrap_or_default();
        let (used, backlog) = self.link.input(left, now);
        self.taken += used;
        self.stalled = self.taken < self.carry.len() && self.has_stopped();
        if !self.stalled {
            self.carry.drain(..self.taken.min(self.carry.len()));
            self.taken = 0;
            self.give_back_room();
        }
        backlog
    }

    /// Whether the link did not take in all that it could have.
    fn has_stopped(&self) -> bool {
        self.link.is_tired() || !self.link.wants_input()
    }

    fn give_back_room(&mut self) {
        if self.carry.is_empty() && self.carry.capacity() > 1024 {
            self.carry = Vec::new();
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>, now: u64) -> Progress {
        let was_empty = self.link.out.is_empty();
        if self.timer.is_late(now) {
            self.link.stood_still(now);
        }
        let mut wanted = self.link.tick(now)?;
        if was_empty && !self.link.out.is_empty() {
            return Ok(true);
        }
        if now < self.paused_until {
            wanted = wanted.into_iter().chain([self.paused_until]).min();
        }
        Ok(wanted.is_some_and(|wanted| self.timer.poll(cx, wanted, now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_with_the_backlog_up_to_its_bound() {
        assert_eq!(pause(0), 0);
        assert_eq!(pause(BACKLOG_SOFT - 1), 0);
        assert_eq!(pause(BACKLOG_SOFT), 1);
        assert_eq!(pause(10 * BACKLOG_SOFT), 10);
        assert_eq!(pause(usize::MAX), 100);
    }
}
