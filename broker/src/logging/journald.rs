//! The log sent to systemd's journal, in its own protocol. A thread does that: who logs must not wait for it,
//! as with a layer that sends at once.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process;

use tracing::Level;

use super::lines::{Bringer, Line};

/// Where the journal listens.
const SOCKET: &str = "/run/systemd/journal/socket";

/// Octets of a line that fit into a datagram, however small the system's buffers are.
const LINE_MAX: usize = 65_000;

/// Sends what comes.
///
/// # Errors
/// There can be no more threads or sockets.
pub(super) fn send(lines: Bringer) -> io::Result<()> {
    let mut sender = Sender::to(SOCKET)?;
    lines.start("lepus-journald", move |line| sender.bring(&line))
}

struct Sender {
    socket: UnixDatagram,
    journal: PathBuf,
    /// Whether it was said that the journal takes nothing.
    told: bool,
}

impl Sender {
    fn to(journal: impl Into<PathBuf>) -> io::Result<Self> {
        Ok(Self { socket: UnixDatagram::unbound()?, journal: journal.into(), told: false })
    }

    /// A line that the journal does not take is lost.
    fn bring(&mut self, line: &Line) {
        match self.socket.send_to(&entry(line), &self.journal) {
            Err(error) => {
                if !std::mem::replace(&mut self.told, true) {
                    let journal = self.journal.display();
                    tracing::warn!("the log cannot be sent to journald at {journal}: {error}");
                }
            }
            Ok(_) => {
                if std::mem::take(&mut self.told) {
                    tracing::info!("the log is sent to journald again");
                }
            }
        }
    }
}

fn entry(line: &Line) -> Vec<u8> {
    let priority = match line.level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    };
    let text = line.text.trim_ascii_end();
    let text = text.get(..LINE_MAX).unwrap_or(text);
    let process = process::id();
    let fields = format!(
        "PRIORITY={priority}\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=lepus\nSYSLOG_PID={process}\n"
    );
    // With its length, since there may be anything in it.
    let length = (text.len() as u64).to_le_bytes();
    [fields.as_bytes(), b"MESSAGE\n", &length, text, b"\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line { level: Level::WARN, text: text.as_bytes().to_vec() }
    }

    #[test]
    fn the_journal_gets_entries_of_its_own_form() {
        let entry = entry(&line("a line: one\ntwo \n"));
        let process = process::id();
        let expected = format!(
            "PRIORITY=4\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=lepus\nSYSLOG_PID={process}\n\
             MESSAGE\n\x0f\0\0\0\0\0\0\0a line: one\ntwo\n"
        );
        assert_eq!(String::from_utf8(entry).unwrap(), expected);
    }

    #[test]
    fn a_journal_may_be_away_for_a_time() {
        let here = tempfile::tempdir().unwrap();
        let path = here.path().join("socket");
        let mut sender = Sender::to(&path).unwrap();
        sender.bring(&line("lost"));
        assert!(sender.told);
        let journal = UnixDatagram::bind(&path).unwrap();
        let long = "x".repeat(1 << 20);
        for text in ["first", &long] {
            sender.bring(&line(text));
            assert!(!sender.told);
            let mut octets = vec![0; 1 << 20];
            let length = journal.recv(&mut octets).unwrap();
            let cut = text.get(..LINE_MAX).unwrap_or(text);
            assert!(String::from_utf8_lossy(&octets[..length]).ends_with(&format!("{cut}\n")));
        }
    }
}
