//! Numbers with their rates, and with what they were at the times that a query asks about.

use serde_json::{Map, Value, json};

use super::error::Fault;
use super::query::View;
use crate::stats::{Range, Sample, Track};

/// Samples that an answer may have of each number.
const SAMPLES_MAX: i64 = 500;

/// What numbers are about: each kind has its own `_age` and `_incr` in a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// How many there are.
    Lengths,
    /// How many there were of messages, and of comings and goings.
    Messages,
    /// Octets.
    Octets,
}

/// The times that a query asks about: for each kind of numbers, how far back and in what steps, ms.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Ages([Option<(u64, u64)>; 3]);

impl Ages {
    /// Reads them from a query.
    pub fn parse(view: &View) -> Result<Self, Fault> {
        let [lengths, messages, octets] = ["lengths", "msg_rates", "data_rates"];
        Ok(Self([age(view, lengths)?, age(view, messages)?, age(view, octets)?]))
    }

    fn range(&self, kind: Kind, now: u64) -> Option<Range> {
        let Self([lengths, messages, octets]) = *self;
        let (age, step) = match kind {
            Kind::Lengths => lengths,
            Kind::Messages => messages,
            Kind::Octets => octets,
        }?;
        let last = now / step * step;
        Some(Range { first: last.saturating_sub(age), last, step })
    }
}

/// The times that a query asks about, as of now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// Which times.
    pub ages: Ages,
    /// Now, in ms since 1970.
    pub now: u64,
}

/// What cannot be read as a number counts as not said, as with RabbitMQ.
fn age(view: &View, prefix: &str) -> Result<Option<(u64, u64)>, Fault> {
    let number = |what| view.get(&format!("{prefix}_{what}")).and_then(|text| text.parse().ok());
    let (Some(age), Some(step)): (Option<i64>, Option<i64>) = (number("age"), number("incr"))
    else {
        return Ok(None);
    };
    let ms = |seconds: i64| u64::try_from(seconds).ok().and_then(|n| n.checked_mul(1000));
    match (ms(age), ms(step)) {
        (Some(age_ms), Some(step_ms))
            if age > 0 && step > 0 && age.div_euclid(step) <= SAMPLES_MAX =>
        {
            Ok(Some((age_ms, step_ms)))
        }
        _ => Err(Fault::invalid(
            "invalid_range_parameters",
            format!("Invalid range parameters: age {age}, incr {step}"),
        )),
    }
}

/// Numbers as of now, and what is known of how they came to be.
#[derive(Clone, Debug)]
pub(super) struct Seen<const N: usize> {
    values: [u64; N],
    rates: [f64; N],
    lengths: Vec<Sample<N>>,
    messages: Vec<Sample<N>>,
    octets: Vec<Sample<N>>,
}

impl<const N: usize> Seen<N> {
    /// Looks at numbers as a query wants them.
    pub fn of(track: &Track<N>, values: [u64; N], Asked { ages, now }: &Asked) -> Self {
        let samples = |kind| match ages.range(kind, *now) {
            Some(range) => track.history(*now, &range),
            None => Vec::new(),
        };
        Self {
            values,
            rates: track.rates(),
            lengths: samples(Kind::Lengths),
            messages: samples(Kind::Messages),
            octets: samples(Kind::Octets),
        }
    }

    /// The sums of several ones' numbers.
    pub fn sum(all: impl IntoIterator<Item = Self>) -> Self {
        let none = Self {
            values: [0; N],
            rates: [0.0; N],
            lengths: Vec::new(),
            messages: Vec::new(),
            octets: Vec::new(),
        };
        all.into_iter().fold(none, |sum, one| Self {
            values: add(&sum.values, &one.values),
            rates: std::array::from_fn(|at| nth(&sum.rates, at) + nth(&one.rates, at)),
            lengths: add_samples(sum.lengths, one.lengths),
            messages: add_samples(sum.messages, one.messages),
            octets: add_samples(sum.octets, one.octets),
        })
    }

    /// A number.
    pub fn value(&self, at: usize) -> u64 {
        nth(&self.values, at)
    }

    /// A number's `_details`.
    pub fn details(&self, at: usize, kind: Kind) -> Value {
        let rate = nth(&self.rates, at);
        let samples = match kind {
            Kind::Lengths => &self.lengths,
            Kind::Messages => &self.messages,
            Kind::Octets => &self.octets,
        };
        let (Some(newest), Some(oldest)) = (samples.first(), samples.last()) else {
            return json!({"rate": rate});
        };
        let sample = |sample: &Sample<N>| nth(&sample.values, at);
        let seconds = newest.at.saturating_sub(oldest.at) as f64 / 1000.0;
        let change = sample(newest) as f64 - sample(oldest) as f64;
        let sum: f64 = samples.iter().map(|of| sample(of) as f64).sum();
        let shown = samples.iter().map(|of| json!({"sample": sample(of), "timestamp": of.at}));
        json!({
            "rate": rate,
            "samples": shown.collect::<Vec<_>>(),
            "avg_rate": if seconds > 0.0 { change / seconds } else { 0.0 },
            "avg": sum / samples.len() as f64,
        })
    }

    /// Adds numbers, from this one on, and their `_details` to an object.
    pub fn put(&self, into: &mut Map<String, Value>, names: &[&str], from: usize, kind: Kind) {
        for (at, name) in (from..).zip(names).filter(|(_, name)| !name.is_empty()) {
            into.insert((*name).to_owned(), self.value(at).into());
            into.insert(format!("{name}_details"), self.details(at, kind));
        }
    }
}

fn nth<T: Copy + Default, const N: usize>(values: &[T; N], at: usize) -> T {
    values.get(at).copied().unwrap_or_default()
}

fn add<const N: usize>(a: &[u64; N], b: &[u64; N]) -> [u64; N] {
    std::array::from_fn(|at| nth(a, at) + nth(b, at))
}

/// Both are of the same times.
fn add_samples<const N: usize>(a: Vec<Sample<N>>, b: Vec<Sample<N>>) -> Vec<Sample<N>> {
    if a.is_empty() {
        return b;
    }
    let pairs = a.into_iter().zip(b);
    pairs.map(|(a, b)| Sample { at: a.at, values: add(&a.values, &b.values) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Tick;

    #[test]
    fn ages_are_read_as_rabbitmq_reads_them() {
        let ages = |query: &str| View::parse(query).map(|view| view.ages());
        let some = Ages([None, Some((60_000, 5_000)), None]);
        assert_eq!(ages("msg_rates_age=60&msg_rates_incr=5"), Ok(some));
        assert_eq!(ages("msg_rates_age=60"), Ok(Ages::default()));
        assert_eq!(ages("msg_rates_age=60&msg_rates_incr=x"), Ok(Ages::default()));
        assert!(ages("lengths_age=500&lengths_incr=1").is_ok());
        for (age, incr) in [(501, 1), (0, 5), (60, 0), (-60, 5)] {
            let text = format!("Invalid range parameters: age {age}, incr {incr}");
            let invalid = Err(Fault::invalid("invalid_range_parameters", text));
            assert_eq!(ages(&format!("lengths_age={age}&lengths_incr={incr}")), invalid);
        }
    }

    #[test]
    fn details_have_samples_if_they_are_asked_for() {
        let track = Track::long();
        for (now, value) in [(235, 0), (240, 10), (245, 30)] {
            track.sample(Tick { now: now * 1000, before: (now - 5) * 1000 }, [value]);
        }
        let seen = |query: &str| {
            let ages = View::parse(query).unwrap().ages();
            Seen::of(&track, [31], &Asked { ages, now: 247_000 })
        };
        assert_eq!(seen("").details(0, Kind::Messages), json!({"rate": 4.0}));
        let asked = seen("msg_rates_age=10&msg_rates_incr=5");
        assert_eq!(asked.details(0, Kind::Lengths), json!({"rate": 4.0}));
        let expected = json!({
            "rate": 4.0, "avg_rate": 3.0, "avg": 40.0 / 3.0,
            "samples": [
                {"sample": 30, "timestamp": 245_000},
                {"sample": 10, "timestamp": 240_000},
                {"sample": 0, "timestamp": 235_000},
            ],
        });
        assert_eq!(asked.details(0, Kind::Messages), expected);
        let twice = Seen::sum([asked.clone(), asked]);
        assert_eq!(
            (twice.value(0), &twice.details(0, Kind::Messages)["avg_rate"]),
            (62, &json!(6.0))
        );
    }
}
