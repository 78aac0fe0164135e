//! The basic class's properties (0-9-1 §1.8.4), found in place in a content header.

use crate::encode::generate;
use crate::limits::SHORT_STRING_MAX;
use crate::methods::basic::{AMQPProperties, gen_properties, parse_properties};
use crate::table::{self, TableError};
use crate::types::FieldTable;
use crate::types::generation::gen_field_table;
use crate::wire::{Reader, Truncated};

/// More flags follow; the class has none that would need them.
const CONTINUED: u16 = 1;
const CONTENT_TYPE: u16 = 1 << 15;
const CONTENT_ENCODING: u16 = 1 << 14;
const HEADERS: u16 = 1 << 13;
const DELIVERY_MODE: u16 = 1 << 12;
const PRIORITY: u16 = 1 << 11;
const CORRELATION_ID: u16 = 1 << 10;
const REPLY_TO: u16 = 1 << 9;
const EXPIRATION: u16 = 1 << 8;
const MESSAGE_ID: u16 = 1 << 7;
const TIMESTAMP: u16 = 1 << 6;
const TYPE: u16 = 1 << 5;
const USER_ID: u16 = 1 << 4;
const APP_ID: u16 = 1 << 3;
const CLUSTER_ID: u16 = 1 << 2;

/// Why properties were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PropertiesError {
    /// Flags announce more than the octets hold.
    #[error("the properties end inside a value")]
    Truncated,
    /// Flags or octets beyond the class's 14 properties.
    #[error("more than the class's own properties")]
    UnknownFlags,
    /// The headers table can't be read.
    #[error("headers: {0}")]
    Headers(TableError),
}

impl From<Truncated> for PropertiesError {
    fn from(_: Truncated) -> Self {
        Self::Truncated
    }
}

/// What the broker looks at; all other properties only pass through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Properties<'a> {
    /// The headers table's octets, without the length prefix; checked.
    pub headers: Option<&'a [u8]>,
    /// 2 is persistent.
    pub delivery_mode: Option<u8>,
    /// 0 to 9 by the spec, 0 to 255 in RabbitMQ.
    pub priority: Option<u8>,
    /// Which request a reply is to.
    pub correlation_id: Option<&'a [u8]>,
    /// Where replies go.
    pub reply_to: Option<&'a [u8]>,
    /// Milliseconds in decimal digits.
    pub expiration: Option<&'a [u8]>,
    /// The application's name for the message.
    pub message_id: Option<&'a [u8]>,
    /// Seconds, by the spec.
    pub timestamp: Option<u64>,
    /// The publishing user, validated by the broker.
    pub user_id: Option<&'a [u8]>,
}

impl<'a> Properties<'a> {
    /// Walks all 14 properties, so that each value is known to be whole.
    pub fn decode(octets: &'a [u8]) -> Result<Self, PropertiesError> {
        let mut reader = Reader::new(octets);
        let flags = reader.u16()?;
        let mut found = Self::default();
        if flags == 0 && reader.rest().is_empty() {
            return Ok(found);
        }
        if flags & CONTINUED != 0 {
            return Err(PropertiesError::UnknownFlags);
        }
        skip_strings(&mut reader, flags, &[CONTENT_TYPE, CONTENT_ENCODING])?;
        if flags & HEADERS != 0 {
            let headers = reader.long_string()?;
            table::check(headers).map_err(PropertiesError::Headers)?;
            found.headers = Some(headers);
        }
        if flags & DELIVERY_MODE != 0 {
            found.delivery_mode = Some(reader.u8()?);
        }
        if flags & PRIORITY != 0 {
            found.priority = Some(reader.u8()?);
        }
        found.correlation_id = optional_string(&mut reader, flags, CORRELATION_ID)?;
        found.reply_to = optional_string(&mut reader, flags, REPLY_TO)?;
        found.expiration = optional_string(&mut reader, flags, EXPIRATION)?;
        found.message_id = optional_string(&mut reader, flags, MESSAGE_ID)?;
        if flags & TIMESTAMP != 0 {
            found.timestamp = Some(reader.u64()?);
        }
        skip_strings(&mut reader, flags, &[TYPE])?;
        found.user_id = optional_string(&mut reader, flags, USER_ID)?;
        skip_strings(&mut reader, flags, &[APP_ID, CLUSTER_ID])?;
        if !reader.rest().is_empty() {
            return Err(PropertiesError::UnknownFlags);
        }
        Ok(found)
    }
}

fn optional_string<'a>(
    reader: &mut Reader<'a>,
    flags: u16,
    flag: u16,
) -> Result<Option<&'a [u8]>, Truncated> {
    if flags & flag == 0 { Ok(None) } else { reader.short_string().map(Some) }
}

fn skip_strings(reader: &mut Reader<'_>, flags: u16, which: &[u16]) -> Result<(), Truncated> {
    for flag in which {
        optional_string(reader, flags, *flag)?;
    }
    Ok(())
}

/// The same properties with other headers. `octets` must have passed [`Properties::decode`].
pub fn replace_headers(octets: &[u8], headers: &FieldTable) -> Result<Vec<u8>, PropertiesError> {
    let mut reader = Reader::new(octets);
    let flags = reader.u16()?;
    skip_strings(&mut reader, flags, &[CONTENT_TYPE, CONTENT_ENCODING])?;
    let at = octets.len() - reader.rest().len();
    if flags & HEADERS != 0 {
        reader.long_string()?;
    }
    Ok(splice(octets, flags | HEADERS, at, &generate(gen_field_table(headers)), reader.rest()))
}

/// Reads over the flags, which are returned, and what stands before the correlation id.
fn after_priority(octets: &[u8]) -> Result<(Reader<'_>, u16), PropertiesError> {
    let mut reader = Reader::new(octets);
    let flags = reader.u16()?;
    skip_strings(&mut reader, flags, &[CONTENT_TYPE, CONTENT_ENCODING])?;
    if flags & HEADERS != 0 {
        reader.long_string()?;
    }
    for flag in [DELIVERY_MODE, PRIORITY] {
        if flags & flag != 0 {
            reader.u8()?;
        }
    }
    Ok((reader, flags))
}

/// The same properties with another reply-to, at most 255 octets of it. `octets` must have
/// passed [`Properties::decode`].
pub fn replace_reply_to(octets: &[u8], reply_to: &str) -> Result<Vec<u8>, PropertiesError> {
    let (mut reader, flags) = after_priority(octets)?;
    skip_strings(&mut reader, flags, &[CORRELATION_ID])?;
    let at = octets.len() - reader.rest().len();
    optional_string(&mut reader, flags, REPLY_TO)?;
    let text = reply_to.as_bytes();
    let text = text.get(..text.len().min(SHORT_STRING_MAX)).unwrap_or_default();
    let value = [&[text.len() as u8], text].concat();
    Ok(splice(octets, flags | REPLY_TO, at, &value, reader.rest()))
}

/// Properties taken apart around headers and expiration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split<'a> {
    flags: u16,
    before: &'a [u8],
    /// The headers table's octets, without the length prefix.
    pub headers: Option<&'a [u8]>,
    between: &'a [u8],
    /// Milliseconds in decimal digits.
    pub expiration: Option<&'a [u8]>,
    after: &'a [u8],
}

impl<'a> Split<'a> {
    /// Those of `octets`, which must have passed [`Properties::decode`].
    pub fn of(octets: &'a [u8]) -> Result<Self, PropertiesError> {
        let mut reader = Reader::new(octets);
        let flags = reader.u16()?;
        let begin = reader.rest();
        skip_strings(&mut reader, flags, &[CONTENT_TYPE, CONTENT_ENCODING])?;
        let before = passed(begin, &reader);
        let headers = if flags & HEADERS == 0 { None } else { reader.long_string().map(Some)? };
        let begin = reader.rest();
        for flag in [DELIVERY_MODE, PRIORITY] {
            if flags & flag != 0 {
                reader.u8()?;
            }
        }
        skip_strings(&mut reader, flags, &[CORRELATION_ID, REPLY_TO])?;
        let between = passed(begin, &reader);
        let expiration = optional_string(&mut reader, flags, EXPIRATION)?;
        Ok(Self { flags, before, headers, between, expiration, after: reader.rest() })
    }

    /// Appends the same properties with other headers (the octets of a table, with the length
    /// prefix) and without an expiration.
    pub fn lasting(&self, headers: &[u8], out: &mut Vec<u8>) {
        let flags = (self.flags | HEADERS) & !EXPIRATION;
        let flags = flags.to_be_bytes();
        for part in [&flags[..], self.before, headers, self.between, self.after] {
            out.extend_from_slice(part);
        }
    }
}

/// What a reader that began with `begin` has read.
fn passed<'a>(begin: &'a [u8], reader: &Reader<'_>) -> &'a [u8] {
    begin.get(..begin.len() - reader.rest().len()).unwrap_or_default()
}

/// Flags, what stood before `at`, a new value, and the rest.
fn splice(octets: &[u8], flags: u16, at: usize, value: &[u8], rest: &[u8]) -> Vec<u8> {
    let before = octets.get(2..at).unwrap_or_default();
    [&flags.to_be_bytes()[..], before, value, rest].concat()
}

/// All properties but the headers. `octets` must have passed [`Properties::decode`]; `None` if a text is
/// not UTF-8.
pub fn parse(octets: &[u8]) -> Option<AMQPProperties> {
    // Headers may nest deeper than a parser should follow.
    let bare = replace_headers(octets, &FieldTable::default()).ok()?;
    let (_, properties) = parse_properties(bare.as_slice()).ok()?;
    Some(properties)
}

/// The octets of generated properties.
pub fn encode(properties: &AMQPProperties) -> Vec<u8> {
    generate(gen_properties(properties))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::AMQPValue;
    use proptest::prelude::*;

    fn table(key: &str, value: i32) -> FieldTable {
        let mut table = FieldTable::default();
        table.insert(key.into(), AMQPValue::LongInt(value));
        table
    }

    fn any_properties() -> impl Strategy<Value = AMQPProperties> {
        (any::<u16>(), "[a-z]{0,20}", any::<u8>(), any::<u64>()).prop_map(
            |(which, text, number, time)| {
                let mut p = AMQPProperties::default();
                let text = || text.as_str().into();
                let has = |bit: u16| which & (1 << bit) != 0;
                if has(0) {
                    p = p.with_content_type(text());
                }
                if has(1) {
                    p = p.with_content_encoding(text());
                }
                if has(2) {
                    p = p.with_headers(table("h", i32::from(number)));
                }
                if has(3) {
                    p = p.with_delivery_mode(number);
                }
                if has(4) {
                    p = p.with_priority(number);
                }
                if has(5) {
                    p = p.with_correlation_id(text());
                }
                if has(6) {
                    p = p.with_reply_to(text());
                }
                if has(7) {
                    p = p.with_expiration(text());
                }
                if has(8) {
                    p = p.with_message_id(text());
                }
                if has(9) {
                    p = p.with_timestamp(time);
                }
                if has(10) {
                    p = p.with_type(text());
                }
                if has(11) {
                    p = p.with_user_id(text());
                }
                if has(12) {
                    p = p.with_app_id(text());
                }
                if has(13) {
                    p = p.with_cluster_id(text());
                }
                p
            },
        )
    }

    proptest! {
        #[test]
        fn in_place_equals_the_generated_codec(expected in any_properties()) {
            let octets = encode(&expected);
            let found = Properties::decode(&octets).unwrap();
            let text = |s: &Option<crate::types::ShortString>| s.as_ref().map(|s| s.as_str().as_bytes().to_vec());
            prop_assert_eq!(found.reply_to.map(<[u8]>::to_vec), text(expected.reply_to()));
            prop_assert_eq!(found.expiration.map(<[u8]>::to_vec), text(expected.expiration()));
            prop_assert_eq!(found.correlation_id.map(<[u8]>::to_vec), text(expected.correlation_id()));
            prop_assert_eq!(found.message_id.map(<[u8]>::to_vec), text(expected.message_id()));
            prop_assert_eq!(found.timestamp, *expected.timestamp());
            prop_assert_eq!(found.user_id.map(<[u8]>::to_vec), text(expected.user_id()));
            prop_assert_eq!(found.delivery_mode, *expected.delivery_mode());
            prop_assert_eq!(found.priority, *expected.priority());
            let others = expected.clone().with_headers(FieldTable::default());
            prop_assert_eq!(parse(&octets), Some(others));
            let headers = found.headers.map(|h| table::decode_body(h).unwrap());
            prop_assert_eq!(&headers, expected.headers());
        }

        #[test]
        fn headers_are_replaced_and_nothing_else(before in any_properties()) {
            let octets = replace_headers(&encode(&before), &table("new", 7)).unwrap();
            prop_assert_eq!(octets, encode(&before.with_headers(table("new", 7))));
        }

        #[test]
        fn the_reply_to_is_replaced_and_nothing_else(before in any_properties()) {
            let octets = replace_reply_to(&encode(&before), "new").unwrap();
            prop_assert_eq!(octets, encode(&before.with_reply_to("new".into())));
        }

        #[test]
        fn headers_are_replaced_and_the_expiration_goes(before in any_properties()) {
            let octets = encode(&before);
            let split = Split::of(&octets).unwrap();
            let found = Properties::decode(&octets).unwrap();
            prop_assert_eq!((split.headers, split.expiration), (found.headers, found.expiration));
            let mut lasting = Vec::new();
            split.lasting(&table::encode(&table("new", 7)), &mut lasting);
            let replaced = replace_headers(&octets, &table("new", 7)).unwrap();
            let taken = before.expiration().as_ref().map_or(0, |text| 1 + text.as_str().len());
            prop_assert_eq!(lasting.len() + taken, replaced.len());
            let expected = Properties { expiration: None, ..Properties::decode(&replaced).unwrap() };
            prop_assert_eq!(Properties::decode(&lasting).unwrap(), expected);
        }

        #[test]
        fn any_octets_are_answered(octets in proptest::collection::vec(any::<u8>(), 0..60)) {
            let found = Properties::decode(&octets);
            prop_assert!(Split::of(&octets).is_ok() || found.is_err());
        }
    }
}
