//! How field values compare: as identity of a binding, and as RabbitMQ's headers exchange does.

use std::hash::{DefaultHasher, Hash, Hasher};

use amq_protocol::types::{AMQPValue, FieldTable};

/// Whether two argument tables are one and the same. Unlike `==`, a NaN is the same as itself, so
/// that a binding that contains one can be found again.
pub(super) fn same_table(a: &FieldTable, b: &FieldTable) -> bool {
    let (a, b) = (a.inner(), b.inner());
    a.len() == b.len() && a.iter().zip(b).all(|((ka, va), (kb, vb))| ka == kb && same_value(va, vb))
}

/// Equal for tables that are the same.
pub(super) fn table_hash(table: &FieldTable) -> u64 {
    let mut state = DefaultHasher::new();
    for (name, value) in table {
        name.hash(&mut state);
        hash(value, &mut state);
    }
    state.finish()
}

fn same_value(a: &AMQPValue, b: &AMQPValue) -> bool {
    match (a, b) {
        (AMQPValue::Float(a), AMQPValue::Float(b)) => a.to_bits() == b.to_bits(),
        (AMQPValue::Double(a), AMQPValue::Double(b)) => a.to_bits() == b.to_bits(),
        (AMQPValue::FieldTable(a), AMQPValue::FieldTable(b)) => same_table(a, b),
        (AMQPValue::FieldArray(a), AMQPValue::FieldArray(b)) => {
            let (a, b) = (a.as_slice(), b.as_slice());
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_value(a, b))
        }
        (a, b) => a == b,
    }
}

/// Whether a header's value is the one that a binding asks for.
///
/// RabbitMQ compares the values and not their types: numbers match by value whatever their width,
/// the kinds of string match by their bytes. Inside of arrays and tables the types count too.
pub(super) fn matches(wanted: &AMQPValue, given: &AMQPValue) -> bool {
    match (Plain::of(wanted), Plain::of(given)) {
        (Plain::Int(a), Plain::Int(b)) => a == b,
        (Plain::Real(a), Plain::Real(b)) => a == b,
        (Plain::Bytes(a), Plain::Bytes(b)) => a == b,
        (Plain::Other(a), Plain::Other(b)) => a == b,
        _ => false,
    }
}

/// Feeds a hash that is equal for values that match each other.
pub(super) fn hash<H: Hasher>(value: &AMQPValue, state: &mut H) {
    match Plain::of(value) {
        Plain::Int(int) => int.hash(state),
        Plain::Real(real) => real.to_bits().hash(state),
        Plain::Bytes(bytes) => bytes.hash(state),
        Plain::Other(AMQPValue::Boolean(bool)) => bool.hash(state),
        Plain::Other(AMQPValue::FieldArray(array)) => {
            array.as_slice().iter().for_each(|value| hash(value, state));
        }
        Plain::Other(AMQPValue::FieldTable(table)) => {
            for (name, value) in table {
                name.hash(state);
                hash(value, state);
            }
        }
        Plain::Other(other) => std::mem::discriminant(other).hash(state),
    }
}

/// An integer of any width.
pub(super) fn integer(value: &AMQPValue) -> Option<i128> {
    match (value, Plain::of(value)) {
        (AMQPValue::Float(_) | AMQPValue::Double(_), _) => None,
        (_, Plain::Int(int)) => Some(int),
        _ => None,
    }
}

/// A value without its width.
enum Plain<'a> {
    Int(i128),
    /// Not a whole number.
    Real(f64),
    Bytes(&'a [u8]),
    Other(&'a AMQPValue),
}

impl<'a> Plain<'a> {
    fn of(value: &'a AMQPValue) -> Self {
        match value {
            AMQPValue::ShortShortInt(int) => Self::Int((*int).into()),
            AMQPValue::ShortShortUInt(int) => Self::Int((*int).into()),
            AMQPValue::ShortInt(int) => Self::Int((*int).into()),
            AMQPValue::ShortUInt(int) => Self::Int((*int).into()),
            AMQPValue::LongInt(int) => Self::Int((*int).into()),
            AMQPValue::LongUInt(int) => Self::Int((*int).into()),
            AMQPValue::LongLongInt(int) => Self::Int((*int).into()),
            AMQPValue::Timestamp(int) => Self::Int((*int).into()),
            AMQPValue::Float(real) => Self::real((*real).into()),
            AMQPValue::Double(real) => Self::real(*real),
            AMQPValue::LongString(text) => Self::Bytes(text.as_bytes()),
            AMQPValue::ShortString(text) => Self::Bytes(text.as_str().as_bytes()),
            AMQPValue::ByteArray(bytes) => Self::Bytes(bytes.as_slice()),
            AMQPValue::Boolean(_)
            | AMQPValue::DecimalValue(_)
            | AMQPValue::FieldArray(_)
            | AMQPValue::FieldTable(_)
            | AMQPValue::Void => Self::Other(value),
        }
    }

    /// A whole number that an integer of 64 bits could also hold equals that integer.
    fn real(real: f64) -> Self {
        const REACH: f64 = 18_446_744_073_709_551_616.0; // 2^64
        if real.fract() == 0.0 && real.abs() < REACH {
            Self::Int(real as i128)
        } else {
            Self::Real(real)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amq_protocol::types::{ByteArray, FieldArray};

    fn equal(a: AMQPValue, b: AMQPValue) -> bool {
        let hashed = |value: &AMQPValue| {
            let mut state = DefaultHasher::new();
            hash(value, &mut state);
            state.finish()
        };
        let equal = matches(&a, &b);
        assert_eq!(equal, matches(&b, &a));
        assert!(!equal || hashed(&a) == hashed(&b));
        equal
    }

    #[test]
    fn numbers_match_by_value_and_strings_by_bytes() {
        use AMQPValue::*;
        assert!(equal(LongInt(5), ShortShortUInt(5)));
        assert!(equal(LongLongInt(5), Timestamp(5)));
        assert!(equal(LongInt(1), Double(1.0)));
        assert!(equal(Float(0.5), Double(0.5)));
        assert!(equal(Double(0.0), Double(-0.0)));
        assert!(!equal(Float(0.1), Double(0.1)));
        assert!(!equal(LongLongInt(i64::MAX), Double(i64::MAX as f64)));
        assert!(!equal(Double(f64::NAN), Double(f64::NAN)));
        assert!(equal(Double(f64::INFINITY), Float(f32::INFINITY)));
        assert!(equal(LongString("a".into()), ByteArray(self::ByteArray::from(&b"a"[..]))));
        assert!(!equal(LongString("5".into()), LongInt(5)));
        assert!(!equal(LongString("true".into()), Boolean(true)));
        assert!(!equal(LongInt(1), Boolean(true)));
        assert!(!equal(Void, LongString("".into())));
    }

    #[test]
    fn inside_of_arrays_the_types_count() {
        let array = |value| AMQPValue::FieldArray(FieldArray::from(vec![value]));
        assert!(equal(array(AMQPValue::LongInt(1)), array(AMQPValue::LongInt(1))));
        assert!(!equal(array(AMQPValue::LongInt(1)), array(AMQPValue::ShortInt(1))));
    }

    #[test]
    fn identity_knows_types_and_finds_nan() {
        let table = |value| {
            let mut table = FieldTable::default();
            table.insert("a".into(), value);
            table
        };
        let nan = AMQPValue::FieldTable(table(AMQPValue::Double(f64::NAN)));
        assert!(same_table(&table(nan.clone()), &table(nan)));
        assert!(!same_table(&table(AMQPValue::LongInt(1)), &table(AMQPValue::ShortInt(1))));
        assert!(!same_table(&table(AMQPValue::Void), &FieldTable::default()));
    }
}
