//! Lines of the log on their way to a thread that does something slow with them.

use std::cell::Cell;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait.
const WAITING_MAX: usize = 4096;

/// How long to wait for the last ones when the broker ends.
const END_TIMEOUT: Duration = Duration::from_secs(1);

thread_local! {
    /// Whether this thread brings lines somewhere: what it says itself is not for the same place.
    static BRINGS: Cell<bool> = const { Cell::new(false) };
}

/// A line, as it is to be shown.
pub(super) struct Line {
    pub level: Level,
    pub text: Vec<u8>,
}

/// Lines, and at the end somebody who waits until they are through.
enum Item {
    Line(Line),
    End(std::sync::mpsc::Sender<()>),
}

/// What a layer of the log writes to. What does not fit is dropped: a log that nobody takes must not
/// stop the broker.
#[derive(Clone)]
pub(super) struct Lines(SyncSender<Item>);

/// Lines to be brought somewhere.
pub(super) struct Bringer(Receiver<Item>);

/// Waits for the last lines when it goes.
pub(super) struct LastLines(Lines);

/// A way for lines.
pub(super) fn lines() -> (Lines, Bringer) {
    let (to, from) = sync_channel(WAITING_MAX);
    (Lines(to), Bringer(from))
}

impl Lines {
    /// What waits for them at the end.
    pub fn last(&self) -> LastLines {
        LastLines(self.clone())
    }
}

impl Bringer {
    /// Has a thread do something with each line.
    ///
    /// # Errors
    /// There can be no more threads.
    pub fn start(self, name: &str, mut bring: impl FnMut(Line) + Send + 'static) -> io::Result<()> {
        let work = move || {
            BRINGS.set(true);
            for item in self.0 {
                match item {
                    Item::Line(line) => bring(line),
                    Item::End(waiting) => drop(waiting.send(())),
                }
            }
        };
        // It ends with the process.
        thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
    }
}

impl Drop for LastLines {
    fn drop(&mut self) {
        let (through, wait) = channel();
        if self.0.0.try_send(Item::End(through)).is_ok() {
            let _ = wait.recv_timeout(END_TIMEOUT);
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Pen<'a>;

    fn make_writer(&'a self) -> Pen<'a> {
        Pen { lines: self, level: Level::INFO }
    }

    fn make_writer_for(&'a self, about: &Metadata<'_>) -> Pen<'a> {
        Pen { lines: self, level: *about.level() }
    }
}

/// Writes one line, which comes as a whole.
pub(super) struct Pen<'a> {
    lines: &'a Lines,
    level: Level,
}

impl Write for Pen<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if !BRINGS.get() {
            let line = Line { level: self.level, text: text.to_vec() };
            let _ = self.lines.0.try_send(Item::Line(line));
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
