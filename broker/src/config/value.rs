//! How a value is read, and what the operator is told that it may be.

use std::borrow::Cow;
use std::fmt::Display;
use std::net::{IpAddr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// A way to read values.
pub struct Reader<T> {
    /// What is allowed, to be read after "allowed is".
    pub allowed: Cow<'static, str>,
    read: Read<T>,
}

type Read<T> = Box<dyn Fn(&str) -> Option<T> + Send + Sync>;

impl<T: 'static> Reader<T> {
    fn new(
        allowed: impl Into<Cow<'static, str>>,
        read: impl Fn(&str) -> Option<T> + Send + Sync + 'static,
    ) -> Self {
        Self { allowed: allowed.into(), read: Box::new(read) }
    }

    /// Reads a value. `None` if it is not allowed.
    pub fn read(&self, value: &str) -> Option<T> {
        (self.read)(value)
    }

    /// The same, but only what passes a test.
    pub fn filter(self, allowed: &'static str, passes: fn(&T) -> bool) -> Self {
        Self::new(allowed, move |value| self.read(value).filter(passes))
    }

    /// The same, as something else.
    pub fn map<U: 'static>(self, convert: fn(T) -> U) -> Reader<U> {
        Reader {
            allowed: self.allowed,
            read: Box::new(move |value| (self.read)(value).map(convert)),
        }
    }
}

/// A whole number.
pub fn number<T>(range: RangeInclusive<T>) -> Reader<T>
where
    T: FromStr + PartialOrd + Display + Send + Sync + 'static,
{
    let allowed = format!("a whole number from {} to {}", range.start(), range.end());
    Reader::new(allowed, move |value| value.parse().ok().filter(|number| range.contains(number)))
}

/// A number with or without a fraction.
pub fn fraction(range: RangeInclusive<f64>) -> Reader<f64> {
    let allowed = format!("a number from {:?} to {:?}", range.start(), range.end());
    Reader::new(allowed, move |value| value.parse().ok().filter(|number| range.contains(number)))
}

/// Milliseconds.
pub fn milliseconds() -> Reader<Duration> {
    number(0..=u32::MAX).map(|number| Duration::from_millis(u64::from(number)))
}

/// `infinity` or what another reader takes.
pub fn or_infinity<T: 'static>(reader: Reader<T>) -> Reader<Option<T>> {
    or_word("infinity", reader)
}

/// A word that stands for nothing, or what another reader takes.
pub fn or_word<T: 'static>(word: &'static str, reader: Reader<T>) -> Reader<Option<T>> {
    let allowed = format!("`{word}` or {}", reader.allowed);
    Reader::new(allowed, move |value| match value == word {
        true => Some(None),
        false => reader.read(value).map(Some),
    })
}

/// Nothing but one word.
pub fn only(word: &'static str) -> Reader<()> {
    Reader::new(format!("`{word}`"), move |value| (value == word).then_some(()))
}

/// `true` or `false`.
pub fn truth() -> Reader<bool> {
    one_of(&[("true", true), ("false", false)])
}

/// One of some words.
pub fn one_of<T: Copy + Send + Sync + 'static>(words: &'static [(&'static str, T)]) -> Reader<T> {
    let names: Vec<_> = words.iter().map(|(name, _)| format!("`{name}`")).collect();
    let allowed = match names.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => names.concat(),
    };
    Reader::new(allowed, move |value| {
        words.iter().find(|(name, _)| *name == value).map(|(_, meaning)| *meaning)
    })
}

/// Any text.
pub fn text() -> Reader<String> {
    Reader::new("text", |value| Some(value.to_owned()))
}

/// A file or a directory.
pub fn path() -> Reader<PathBuf> {
    Reader::new("a path", |value| Some(PathBuf::from(value)).filter(|_| !value.is_empty()))
}

/// An address.
pub fn ip() -> Reader<IpAddr> {
    Reader::new("an IPv4 or IPv6 address", address)
}

/// A regular expression of the kind that takes linear time.
pub fn pattern() -> Reader<String> {
    Reader::new("a regular expression, without look-around and back-references", |value| {
        regex::Regex::new(value).is_ok().then(|| value.to_owned())
    })
}

/// Words with commas between them.
pub fn list() -> Reader<Vec<String>> {
    Reader::new("words with commas between them", |value| {
        Some(value.split(',').map(|word| word.trim().to_owned()).collect())
    })
}

/// A port, with an address or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The address, if one is given.
    pub ip: Option<IpAddr>,
    /// The port.
    pub port: u16,
}

/// A port, or an address and a port.
pub fn endpoint() -> Reader<Endpoint> {
    Reader::new("a port, or an address and a port (`127.0.0.1:5672`, `::1:5672`)", |value| {
        let port = |port: &str| port.parse::<u16>().ok();
        match value.rsplit_once(':') {
            None => Some(Endpoint { ip: None, port: port(value)? }),
            Some((ip, after)) => Some(Endpoint { ip: Some(address(ip)?), port: port(after)? }),
        }
    })
}

fn address(value: &str) -> Option<IpAddr> {
    let bare = value.strip_prefix('[').and_then(|value| value.strip_suffix(']'));
    match bare {
        Some(bare) => bare.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => value.parse().ok(),
    }
}

/// Octets, with one of RabbitMQ's units or without.
pub fn size(range: RangeInclusive<u64>) -> Reader<u64> {
    let limits = match (*range.start(), *range.end()) {
        (0, u64::MAX) => String::new(),
        (start, u64::MAX) => format!(", at least {start}"),
        (start, end) => format!(", from {start} to {end}"),
    };
    let allowed = format!("octets, with a unit (`kB`, `MiB`, `GB`, …) or without{limits}");
    Reader::new(allowed, move |value| octets(value).filter(|octets| range.contains(octets)))
}

/// `k`, `Ki`, `KiB` are 1024, `kB` is 1000, and so on, whatever the case.
fn octets(value: &str) -> Option<u64> {
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = value.get(digits.len()..)?.to_ascii_lowercase();
    let power = match unit.chars().next() {
        None => 0,
        Some(first) => 1 + "kmgtp".find(first)? as u32,
    };
    let factor: u64 = match unit.get(1..).unwrap_or_default() {
        "b" => 1000,
        "" | "i" | "ib" => 1024,
        _ => return None,
    };
    let number: u64 = digits.trim_end().parse().ok()?;
    number.checked_mul(factor.checked_pow(power)?)
}

/// A time with RabbitMQ's units (`1w2d3h4m5s6ms`), or milliseconds.
pub fn duration() -> Reader<Duration> {
    let allowed = "milliseconds, or a time with units (`1d`, `2h30m`, `5s`, `100ms`)";
    Reader::new(allowed, |value| match value.parse::<u64>() {
        Ok(milliseconds) => Some(Duration::from_millis(milliseconds)),
        Err(_) => with_units(value),
    })
}

fn with_units(value: &str) -> Option<Duration> {
    let mut rest = value;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at_checked(digits)?;
        let letters = after.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(letters)?;
        let factor: u64 = match unit {
            "w" => 7 * 24 * 60 * 60 * 1000,
            "d" => 24 * 60 * 60 * 1000,
            "h" => 60 * 60 * 1000,
            "m" => 60 * 1000,
            "s" => 1000,
            "ms" => 1,
            _ => return None,
        };
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(factor)?)?;
        rest = after;
    }
    Some(Duration::from_millis(total)).filter(|_| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rabbitmqs_units() {
        let sizes = size(0..=u64::MAX);
        for (value, octets) in [
            ("0", 0),
            ("1024", 1024),
            ("1k", 1 << 10),
            ("1kiB", 1 << 10),
            ("1Ki", 1 << 10),
            ("1kB", 1_000),
            ("1KB", 1_000),
            ("64MiB", 64 << 20),
            ("2 GB", 2_000_000_000),
            ("2gb", 2_000_000_000),
            ("1TiB", 1 << 40),
        ] {
            assert_eq!(sizes.read(value), Some(octets), "{value}");
        }
        for value in
            ["", "k", "-1", "1.5G", "1x", "1kBB", "1é", "20000000000GB", "99999999999999999999"]
        {
            assert_eq!(sizes.read(value), None, "{value}");
        }
    }

    #[test]
    fn a_port_or_an_address_and_a_port() {
        let read =
            |value| endpoint().read(value).map(|end| (end.ip.map(|ip| ip.to_string()), end.port));
        assert_eq!(read("5672"), Some((None, 5672)));
        assert_eq!(read("127.0.0.1:5672"), Some((Some("127.0.0.1".into()), 5672)));
        assert_eq!(read("::1:5672"), Some((Some("::1".into()), 5672)));
        assert_eq!(read("[::]:5672"), Some((Some("::".into()), 5672)));
        for wrong in ["", "amqp", "65536", "localhost:5672", ":5672", "127.0.0.1:", "[127.0.0.1]:1"]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn times() {
        let read = |value| duration().read(value).map(|time| time.as_millis());
        assert_eq!(read("1500"), Some(1500));
        assert_eq!(read("1h30m"), Some(5_400_000));
        assert_eq!(read("1d1ms"), Some(86_400_001));
        for wrong in ["", "h", "1", "1y", "1h 2m", "-1s"].into_iter().filter(|value| *value != "1")
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_allowed_is_said() {
        assert_eq!(one_of(&[("a", 1), ("b", 2), ("c", 3)]).allowed, "`a`, `b` or `c`");
        assert_eq!(or_infinity(number(1..=9)).allowed, "`infinity` or a whole number from 1 to 9");
        assert_eq!(number(0u16..=9).read("+5"), Some(5));
        assert_eq!(fraction(0.0..=1.0).read("NaN"), None);
    }
}
