//! Values of any size in a store that leaks disk under large ones: cut into pieces.

use sled::IVec;

use super::ReadError;

/// The most that is stored under one key.
pub(crate) const PIECE_BYTES: usize = 7 << 10;
const LENGTH_BYTES: usize = size_of::<u32>();

/// A kind of values, by the first octets of its keys.
///
/// | key | value |
/// |---|---|
/// | `head`, the value's key | u32 length of the value, its first octets |
/// | `piece`, u32 length of the value's key, the key, u32 number of the piece, from 1 | the next octets |
///
/// Numbers are big-endian.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// Of the key with the head.
    pub(crate) head: u8,
    /// Of the keys with the other pieces.
    pub(crate) piece: u8,
}

impl Kind {
    /// The key of the head.
    pub(crate) fn key(self, key: &[u8]) -> Vec<u8> {
        [&[self.head], key].concat()
    }

    fn piece_key(self, key: &[u8], number: u32) -> Vec<u8> {
        let len = (key.len() as u32).to_be_bytes();
        [&[self.piece], &len[..], key, &number.to_be_bytes()].concat()
    }

    /// Gives all that is to be stored to `put`. Pieces of an earlier value are not overwritten.
    pub(crate) fn insert(self, key: &[u8], value: &[u8], mut put: impl FnMut(Vec<u8>, IVec)) {
        let (first, rest) = value.split_at(value.len().min(PIECE_BYTES));
        let len = (value.len() as u32).to_be_bytes();
        put(self.key(key), [&len[..], first].concat().into());
        for (number, octets) in (1..).zip(rest.chunks(PIECE_BYTES)) {
            put(self.piece_key(key, number), octets.into());
        }
    }

    /// Gives all the keys of the value with this head to `remove`.
    pub(crate) fn remove(self, key: &[u8], head: &[u8], mut remove: impl FnMut(Vec<u8>)) {
        remove(self.key(key));
        let pieces = split(head).map_or(0, |(len, _)| behind(len));
        for number in 1..=pieces {
            remove(self.piece_key(key, number));
        }
    }

    /// Puts the value with this head together.
    pub(crate) fn read(
        self,
        key: &[u8],
        head: &[u8],
        get: impl Fn(&[u8]) -> sled::Result<Option<IVec>>,
    ) -> Result<Vec<u8>, ReadError> {
        let missing = || ReadError::Damaged("a part of an entry is missing");
        let (len, first) = split(head).ok_or_else(missing)?;
        let mut value = first.to_vec();
        for number in 1..=behind(len) {
            let octets = get(&self.piece_key(key, number))?.ok_or_else(missing)?;
            value.extend_from_slice(&octets);
        }
        if value.len() == len { Ok(value) } else { Err(missing()) }
    }
}

/// The length of the value with this head, and its octets that are in it.
pub(crate) fn split(head: &[u8]) -> Option<(usize, &[u8])> {
    let (len, first) = head.split_first_chunk::<LENGTH_BYTES>()?;
    Some((usize::try_from(u32::from_be_bytes(*len)).ok()?, first))
}

/// How many pieces a value of that length has behind the head.
fn behind(len: usize) -> u32 {
    let rest = len.saturating_sub(PIECE_BYTES);
    u32::try_from(rest.div_ceil(PIECE_BYTES)).unwrap_or(u32::MAX)
}
