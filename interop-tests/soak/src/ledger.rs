//! What the clients said of every message.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;

/// A client may say late what it did, and do late what it said.
const LATE_MS: u32 = 5_000;
/// The most violations that are told apart.
const MOST: usize = 20;

/// A message, as far as anybody has said something of it.
#[derive(Clone, Copy, Debug, Default)]
struct Message {
    confirmed: bool,
    refused: bool,
    /// How often it was settled, and when the first time, in ms since the begin.
    times: u8,
    first: u32,
}

/// A time in which something may be delivered twice.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    from: u32,
    to: Option<u32>,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    pub confirmed: u64,
    pub refused: u64,
    pub delivered: u64,
    /// Deliveries of what had been settled before: with the flag, and without it.
    pub again: u64,
    pub again_unflagged: u64,
    /// Those of them that no fault explains.
    pub unexplained: u64,
    pub reconnects: u64,
}

/// All of it.
pub struct Ledger {
    began: Instant,
    publishers: BTreeMap<u32, Vec<Message>>,
    troubles: Vec<Trouble>,
    pub totals: Totals,
    /// From publishing to being consumed, µs: of all, and of those while all was well.
    pub latency: Histogram<u64>,
    pub quiet: Histogram<u64>,
    pub violations: Vec<String>,
}

/// Who said something.
#[derive(Clone, Copy, Debug)]
pub struct Speaker {
    pub id: u32,
    /// Its latencies say nothing of the broker.
    pub slow: bool,
}

impl Ledger {
    pub fn new() -> Result<Self> {
        Ok(Self {
            began: Instant::now(),
            publishers: BTreeMap::new(),
            troubles: Vec::new(),
            totals: Totals::default(),
            latency: Histogram::new(3).context("a histogram")?,
            quiet: Histogram::new(3).context("a histogram")?,
            violations: Vec::new(),
        })
    }

    fn now(&self) -> u32 {
        u32::try_from(self.began.elapsed().as_millis()).unwrap_or(u32::MAX)
    }

    /// Notes a line of a client.
    pub fn note(&mut self, speaker: Speaker, line: &str) -> Result<()> {
        let now = self.now();
        self.note_at(speaker, line, now)
    }

    fn note_at(&mut self, speaker: Speaker, line: &str, now: u32) -> Result<()> {
        let (kind, rest) = line.split_at_checked(1).context("an empty line")?;
        if kind == "!" {
            self.violation(format!("client {}:{rest}", speaker.id));
            return Ok(());
        }
        let numbers: Result<Vec<u64>, _> = rest.split_whitespace().map(str::parse).collect();
        match (kind, numbers?.as_slice()) {
            ("c", [first, last]) => {
                for number in *first..=*last {
                    self.message(speaker.id, number)?.confirmed = true;
                    self.totals.confirmed += 1;
                }
            }
            ("n", [number]) => {
                self.message(speaker.id, *number)?.refused = true;
                self.totals.refused += 1;
            }
            ("d", [publisher, number, redelivered, age]) => {
                let (publisher, redelivered) = (u32::try_from(*publisher)?, *redelivered == 1);
                self.settled(publisher, *number, redelivered, now)?;
                if !speaker.slow && !redelivered {
                    self.latency.record(*age)?;
                    if self.was_quiet(now, *age) {
                        self.quiet.record(*age)?;
                    }
                }
            }
            ("r", []) => self.totals.reconnects += 1,
            _ => bail!("no such line"),
        }
        Ok(())
    }

    fn message(&mut self, publisher: u32, number: u64) -> Result<&mut Message> {
        let messages = self.publishers.entry(publisher).or_default();
        let at = usize::try_from(number)?;
        // No publisher gets so far in a day.
        anyhow::ensure!(at < 100_000_000, "message {number} of {publisher}");
        if messages.len() <= at {
            messages.resize(at + 1, Message::default());
        }
        messages.get_mut(at).context("it was just made")
    }

    fn settled(&mut self, publisher: u32, number: u64, redelivered: bool, now: u32) -> Result<()> {
        self.totals.delivered += 1;
        let message = self.message(publisher, number)?;
        let (times, first) = (message.times, message.first);
        message.times = message.times.saturating_add(1);
        if times == 0 {
            message.first = now;
            return Ok(());
        }
        match redelivered {
            true => self.totals.again += 1,
            false => self.totals.again_unflagged += 1,
        }
        // What was settled long before has been durable for as long, and does not come back.
        let during = |trouble: &Trouble| {
            trouble.from <= now
                && trouble.from <= first.saturating_add(LATE_MS)
                && trouble.to.is_none_or(|to| to.saturating_add(LATE_MS) >= first)
        };
        if !self.troubles.iter().any(during) {
            self.totals.unexplained += 1;
            self.violation(format!("{publisher} {number} came twice, and nothing had happened"));
        }
        Ok(())
    }

    /// Something is about to happen.
    pub fn trouble_begins(&mut self) {
        let from = self.now();
        self.troubles.push(Trouble { from, to: None });
    }

    /// All goes on as before.
    pub fn trouble_ends(&mut self) {
        let now = self.now();
        if let Some(trouble) = self.troubles.last_mut() {
            trouble.to = Some(now);
        }
    }

    fn was_quiet(&self, now: u32, age: u64) -> bool {
        let sent = now.saturating_sub(u32::try_from(age / 1000).unwrap_or(u32::MAX));
        let quiet_since = self.troubles.last().map_or(Some(0), |trouble| trouble.to);
        quiet_since.is_some_and(|since| sent > since.saturating_add(LATE_MS))
    }

    pub fn violation(&mut self, what: String) {
        if self.violations.len() < MOST {
            println!("VIOLATION: {what}");
            self.violations.push(what);
        }
    }

    /// Confirmed messages that nobody has settled: how many, and the first of them.
    pub fn missing(&self) -> (u64, Option<String>) {
        let (mut count, mut first) = (0, None);
        for (publisher, messages) in &self.publishers {
            for (number, message) in messages.iter().enumerate() {
                if message.confirmed && message.times == 0 {
                    count += 1;
                    first.get_or_insert_with(|| format!("message {number} of client {publisher}"));
                }
            }
        }
        (count, first)
    }

    /// Messages that were consumed although their publisher was told that they were refused.
    pub fn refused_and_there(&self) -> usize {
        let all = self.publishers.values().flatten();
        all.filter(|message| message.refused && message.times > 0).count()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn ledger(lines: &[(u32, &str)]) -> Ledger {
        let mut ledger = Ledger::new().unwrap();
        for (now, line) in lines {
            ledger.note_at(Speaker { id: 1, slow: false }, line, *now).unwrap();
        }
        ledger
    }

    #[test]
    fn what_was_confirmed_and_never_came_is_missing() {
        let ledger = ledger(&[(0, "c 1 3"), (1, "n 4"), (2, "d 1 2 0 90"), (2, "d 1 5 0 90")]);
        assert_eq!(ledger.missing(), (2, Some("message 1 of client 1".into())));
        assert_eq!(ledger.violations, Vec::<String>::new());
        assert_eq!((ledger.totals.confirmed, ledger.totals.refused), (3, 1));
    }

    #[test]
    fn twice_is_a_violation_unless_something_has_happened() {
        let twice = [(10_000, "c 1 1"), (10_000, "d 1 1 0 90"), (40_000, "d 1 1 1 90")];
        assert_eq!(ledger(&twice).violations.len(), 1);
        for (from, to, allowed) in [
            (12_000, 25_000, true),
            (1_000, 6_000, true),
            (1_000, 2_000, false),
            (20_000, 25_000, false),
        ] {
            let mut ledger = Ledger::new().unwrap();
            ledger.troubles.push(Trouble { from, to: Some(to) });
            for (now, line) in twice {
                ledger.note_at(Speaker { id: 1, slow: false }, line, now).unwrap();
            }
            assert_eq!(ledger.violations.is_empty(), allowed, "{from} {to}");
            assert_eq!((ledger.totals.again, ledger.totals.again_unflagged), (1, 0));
        }
    }

    #[test]
    fn nonsense_is_refused_and_complaints_are_violations() {
        let mut ledger = Ledger::new().unwrap();
        let speaker = Speaker { id: 7, slow: false };
        for line in ["", "c 1", "d 1 2 3", "c a b", "x 1"] {
            assert!(ledger.note_at(speaker, line, 0).is_err(), "{line}");
        }
        ledger.note_at(speaker, "! 1 2 has 3 octets", 0).unwrap();
        assert_eq!(ledger.violations.len(), 1);
    }
}
