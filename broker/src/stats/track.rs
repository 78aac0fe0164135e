//! What numbers were a while ago, and how fast they change.

use std::collections::VecDeque;

use parking_lot::Mutex;

/// For how long the history of something is kept that nobody asks about any more, ms.
const WANTED_FOR: u64 = 600_000;

/// Of what length histories are: ms between two samples, and how many there are, as RabbitMQ's
/// `sample_retention_policies` have it for what is not the whole broker.
const TIERS: [(u64, usize); 2] = [(5_000, 121), (60_000, 61)];

/// The same for the broker and its virtual hosts.
const LONG_TIERS: [(u64, usize); 4] = [(5_000, 121), (60_000, 61), (600_000, 49), (1_800_000, 48)];

/// Numbers at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<const N: usize> {
    /// When, in ms since 1970.
    pub at: u64,
    /// What they were.
    pub values: [u64; N],
}

/// The times that somebody asks about, in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
    /// From one to the next.
    pub step: u64,
}

/// When samples are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// Now, in ms since 1970.
    pub now: u64,
    /// The time of the sample before.
    pub before: u64,
}

/// The last samples of some numbers. What was always 0 takes no room.
#[derive(Debug, Default)]
pub struct Track<const N: usize> {
    known: Mutex<Option<Box<Known<N>>>>,
    /// It is about the broker, or a virtual host: its history begins with the first sample.
    long: bool,
}

#[derive(Debug)]
struct Known<const N: usize> {
    before: Sample<N>,
    last: Sample<N>,
    history: Option<History<N>>,
}

impl<const N: usize> Track<N> {
    /// Numbers whose history is kept from the beginning, and for a day.
    pub fn long() -> Self {
        Self { long: true, ..Self::default() }
    }

    /// Takes a sample.
    pub fn sample(&self, tick: Tick, values: [u64; N]) {
        let mut known = self.known.lock();
        if known.is_none() && !self.long && values.iter().all(|value| *value == 0) {
            return;
        }
        let sample = Sample { at: tick.now, values };
        let known = known.get_or_insert_with(|| {
            // It was not there, or had done nothing.
            let zero = Sample { at: tick.before, values: [0; N] };
            let history = self.long.then(|| History::new(&LONG_TIERS, u64::MAX, &[zero]));
            Box::new(Known { before: zero, last: zero, history })
        });
        if sample.at <= known.last.at {
            return;
        }
        known.before = std::mem::replace(&mut known.last, sample);
        match &mut known.history {
            Some(history) if history.until >= tick.now => history.push(sample),
            history => *history = None,
        }
    }

    /// How fast each number has changed between the last two samples, per second.
    pub fn rates(&self) -> [f64; N] {
        match self.known.lock().as_deref() {
            Some(Known { before, last, .. }) => rates(before, last),
            None => [0.0; N],
        }
    }

    /// How much each number has changed between the last two samples.
    pub fn changes(&self) -> [u64; N] {
        match self.known.lock().as_deref() {
            Some(Known { before, last, .. }) => {
                std::array::from_fn(|at| value(last, at).saturating_sub(value(before, at)))
            }
            None => [0; N],
        }
    }

    /// What the numbers were at these times, the latest first; from now on they are remembered for longer.
    pub fn history(&self, now: u64, range: &Range) -> Vec<Sample<N>> {
        let mut known = self.known.lock();
        let zero = Sample { at: now, values: [0; N] };
        let known = known
            .get_or_insert_with(|| Box::new(Known { before: zero, last: zero, history: None }));
        let Known { before, last, history } = &mut **known;
        let wanted = now.saturating_add(WANTED_FOR);
        let history =
            history.get_or_insert_with(|| History::new(&TIERS, wanted, &[*before, *last]));
        history.until = history.until.max(wanted);
        history.at_times(range)
    }
}

fn value<const N: usize>(sample: &Sample<N>, at: usize) -> u64 {
    sample.values.get(at).copied().unwrap_or_default()
}

fn rates<const N: usize>(before: &Sample<N>, last: &Sample<N>) -> [f64; N] {
    let seconds = last.at.saturating_sub(before.at) as f64 / 1000.0;
    std::array::from_fn(|at| {
        let change = value(last, at) as f64 - value(before, at) as f64;
        if seconds > 0.0 { change / seconds } else { 0.0 }
    })
}

/// Samples, the older the fewer.
#[derive(Debug)]
struct History<const N: usize> {
    tiers: Vec<Tier<N>>,
    /// Until then it is wanted, ms since 1970.
    until: u64,
}

#[derive(Debug)]
struct Tier<const N: usize> {
    every: u64,
    most: usize,
    samples: VecDeque<Sample<N>>,
}

impl<const N: usize> History<N> {
    fn new(tiers: &[(u64, usize)], until: u64, samples: &[Sample<N>]) -> Self {
        let tier = |&(every, most)| Tier { every, most, samples: VecDeque::new() };
        let mut history = Self { tiers: tiers.iter().map(tier).collect(), until };
        samples.iter().for_each(|sample| history.push(*sample));
        history
    }

    fn push(&mut self, sample: Sample<N>) {
        self.tiers.iter_mut().for_each(|tier| tier.push(sample));
    }

    /// From the finest samples that go back far enough.
    fn at_times(&self, range: &Range) -> Vec<Sample<N>> {
        let reaches = |tier: &&Tier<N>| {
            let first = tier.samples.front();
            tier.samples.len() < tier.most || first.is_some_and(|first| first.at <= range.first)
        };
        let Some(tier) = self.tiers.iter().find(reaches).or(self.tiers.last()) else {
            return Vec::new();
        };
        let times = (0..).map(|steps| range.first + steps * range.step);
        let times = times.take_while(|at| *at <= range.last);
        let mut samples: Vec<_> = times.filter_map(|at| tier.at(at)).collect();
        samples.reverse();
        samples
    }
}

impl<const N: usize> Tier<N> {
    fn push(&mut self, sample: Sample<N>) {
        if let Some(last) = self.samples.back()
            && last.at / self.every == sample.at / self.every
            && self.samples.len() > 1
        {
            // Samples may come more often than they are to be kept.
            self.samples.pop_back();
        }
        self.samples.push_back(sample);
        if self.samples.len() > self.most {
            self.samples.pop_front();
        }
    }

    /// What the numbers were at a time. Before the first sample they were the same, as far as is known.
    fn at(&self, at: u64) -> Option<Sample<N>> {
        let after = self.samples.partition_point(|sample| sample.at <= at);
        let sample = self.samples.get(after.saturating_sub(1))?;
        Some(Sample { at, values: sample.values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(now: u64) -> Tick {
        Tick { now, before: now - 5000 }
    }

    #[test]
    fn what_does_nothing_takes_no_room_and_then_has_a_rate_at_once() {
        let track = Track::default();
        track.sample(tick(100_000), [0, 0]);
        assert!(track.known.lock().is_none());
        track.sample(tick(105_000), [50, 0]);
        assert_eq!((track.rates(), track.changes()), ([10.0, 0.0], [50, 0]));
        track.sample(tick(110_000), [40, 5]);
        assert_eq!((track.rates(), track.changes()), ([-2.0, 1.0], [0, 5]));
        track.sample(tick(115_000), [40, 5]);
        assert_eq!(track.rates(), [0.0, 0.0]);
    }

    #[test]
    fn a_history_begins_when_it_is_asked_for_and_ends_when_nobody_asks() {
        let track = Track::default();
        track.sample(tick(5_000), [5]);
        track.sample(tick(10_000), [10]);
        let range = Range { first: 0, last: 10_000, step: 5_000 };
        let seen = |range: &Range| {
            let samples = track.history(range.last, range);
            samples.iter().map(|sample| (sample.at, sample.values[0])).collect::<Vec<_>>()
        };
        assert_eq!(seen(&range), [(10_000, 10), (5_000, 5), (0, 5)]);
        for now in 3..=120 {
            track.sample(tick(now * 5_000), [now * 5]);
        }
        let range = Range { first: 500_000, last: 600_000, step: 50_000 };
        assert_eq!(seen(&range), [(600_000, 600), (550_000, 550), (500_000, 500)]);
        for now in 121..=240 {
            track.sample(tick(now * 5_000), [now * 5]);
        }
        // The finest samples that go back so far.
        let range = Range { first: 300_000, last: 420_000, step: 60_000 };
        assert_eq!(seen(&range), [(420_000, 415), (360_000, 355), (300_000, 295)]);
        let range = Range { first: 1_150_000, last: 1_200_000, step: 50_000 };
        assert_eq!(seen(&range), [(1_200_000, 1200), (1_150_000, 1150)]);
        track.sample(tick(1_200_000 + WANTED_FOR), [9]);
        assert!(track.known.lock().as_ref().is_some_and(|known| known.history.is_some()));
        track.sample(tick(1_200_001 + WANTED_FOR), [9]);
        assert!(track.known.lock().as_ref().is_some_and(|known| known.history.is_none()));
    }

    #[test]
    fn histories_are_bounded() {
        let track = Track::long();
        for now in 1..20_000 {
            track.sample(tick(5_000 + now * 5_000), [now]);
        }
        let known = track.known.lock();
        let tiers = &known.as_ref().unwrap().history.as_ref().unwrap().tiers;
        let kept: Vec<_> = tiers.iter().map(|tier| tier.samples.len()).collect();
        assert_eq!(kept, [121, 61, 49, 48]);
    }
}
