//! Field tables (0-9-1 §4.2.5.5, with RabbitMQ's type octets), read without recursion.
//!
//! What only passes through is checked at any depth; [`decode_body`] bounds the nesting before
//! amq-protocol's recursive parser sees a table.

use crate::encode::generate;
use crate::limits::TABLE_DEPTH_MAX;
use crate::types::FieldTable;
use crate::types::generation::gen_field_table;
use crate::types::parsing::parse_field_table;
use crate::wire::{Reader, Truncated};

/// Why a table was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// A length points past the end, or the end comes inside a value.
    #[error("the table ends inside a value")]
    Truncated,
    /// A type octet that neither 0-9-1 nor RabbitMQ knows.
    #[error("unknown field type {0}")]
    UnknownType(u8),
    /// Tables and arrays nest deeper than [`TABLE_DEPTH_MAX`].
    #[error("tables nest too deeply")]
    TooDeep,
    /// A field's name is not UTF-8.
    #[error("a field name is not UTF-8")]
    Name,
}

impl From<Truncated> for TableError {
    fn from(_: Truncated) -> Self {
        Self::Truncated
    }
}

/// Checks the octets of a table, without its length prefix, to any depth that its length allows.
pub fn check(table: &[u8]) -> Result<(), TableError> {
    walk(table, usize::MAX)
}

/// `depth_max`: levels inside the outermost one.
fn walk(table: &[u8], depth_max: usize) -> Result<(), TableError> {
    // The levels that are open: what is left of each, and whether its values have names.
    let mut levels = vec![(Reader::new(table), true)];
    while let Some((reader, named)) = levels.last_mut() {
        if reader.rest().is_empty() {
            levels.pop();
            continue;
        }
        if *named && std::str::from_utf8(reader.short_string()?).is_err() {
            return Err(TableError::Name);
        }
        let kind = reader.u8()?;
        if let Some(inner) = skip_value(reader, kind)? {
            if levels.len() > depth_max {
                return Err(TableError::TooDeep);
            }
            levels.push((Reader::new(inner), kind == b'F'));
        }
    }
    Ok(())
}

/// Reads a table with its length prefix.
pub fn decode(reader: &mut Reader<'_>) -> Result<FieldTable, TableError> {
    decode_body(reader.long_string()?)
}

/// Reads the octets of a table, without its length prefix.
pub fn decode_body(body: &[u8]) -> Result<FieldTable, TableError> {
    check_shallow(body)?;
    let len = u32::try_from(body.len()).map_err(|_| TableError::Truncated)?;
    let whole = [&len.to_be_bytes()[..], body].concat();
    match parse_field_table(whole.as_slice()) {
        Ok((_, table)) => Ok(table),
        Err(_) => Err(TableError::Truncated),
    }
}

/// The octets of a table with its length prefix: what [`decode`] reads.
pub fn encode(table: &FieldTable) -> Vec<u8> {
    generate(gen_field_table(table))
}

/// The octets of a table, without its length prefix: what [`decode_body`] reads.
pub fn encode_body(table: &FieldTable) -> Vec<u8> {
    let mut whole = encode(table);
    whole.drain(..whole.len().min(4));
    whole
}

/// Whether a table (its octets, checked before) has a field of that name at the top level.
pub fn has_field(table: &[u8], name: &[u8]) -> bool {
    let mut reader = Reader::new(table);
    while let (Ok(field), Ok(kind)) = (reader.short_string(), reader.u8()) {
        if field == name {
            return true;
        }
        if skip_value(&mut reader, kind).is_err() {
            return false;
        }
    }
    false
}

/// Checks that a table is sound and not too deep for a recursive parser.
pub fn check_shallow(table: &[u8]) -> Result<(), TableError> {
    walk(table, TABLE_DEPTH_MAX)
}

/// Steps over one value; the inside of a table or array is returned to be walked.
fn skip_value<'a>(reader: &mut Reader<'a>, kind: u8) -> Result<Option<&'a [u8]>, TableError> {
    let fixed = match kind {
        b't' | b'b' | b'B' => 1,
        b's' | b'U' | b'u' => 2,
        b'I' | b'i' | b'f' => 4,
        b'D' => 5,
        b'L' | b'l' | b'd' | b'T' => 8,
        b'V' => 0,
        b'S' | b'x' => {
            reader.long_string()?;
            0
        }
        b'F' | b'A' => return Ok(Some(reader.long_string()?)),
        other => return Err(TableError::UnknownType(other)),
    };
    reader.take(fixed)?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nested(levels: usize) -> Vec<u8> {
        let mut table = Vec::new();
        for _ in 0..levels {
            let mut outer = vec![1, b'k', b'F'];
            outer.extend((table.len() as u32).to_be_bytes());
            outer.append(&mut table);
            table = outer;
        }
        table
    }

    #[test]
    fn only_parsed_tables_are_bounded_in_depth() {
        assert_eq!(decode_body(&nested(TABLE_DEPTH_MAX)).map(drop), Ok(()));
        assert_eq!(decode_body(&nested(TABLE_DEPTH_MAX + 1)), Err(TableError::TooDeep));
        assert_eq!(check(&nested(5_000)), Ok(()));
    }

    #[test]
    fn unknown_types_and_cut_values_are_named() {
        assert_eq!(check(b"\x01kz"), Err(TableError::UnknownType(b'z')));
        assert_eq!(check(b"\x01kI\0\0"), Err(TableError::Truncated));
        assert_eq!(check(b"\x01\xffV"), Err(TableError::Name));
    }

    #[test]
    fn fields_are_found_at_the_top_level_only() {
        let table = b"\x01aF\0\0\0\x03\x01bV\x02CCt\x01";
        assert!(has_field(table, b"CC") && has_field(table, b"a"));
        assert!(!has_field(table, b"b") && !has_field(b"", b"CC"));
    }

    proptest! {
        #[test]
        fn what_passes_the_check_is_parsed(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            prop_assert_eq!(check(&bytes).is_ok(), decode_body(&bytes).is_ok());
        }
    }
}
