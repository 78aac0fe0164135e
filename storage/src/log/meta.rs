//! The file with a copy of the catalog that goes with a checkpoint.
//!
//! ```text
//! magic | format u32 | version u64 | entries u64 | entries: key len u32, value len u32, key, value | crc u32
//! ```

use bytes::{BufMut, Bytes};

use super::bytes_le::Reader;
use crate::{Meta, StoreError};

const MAGIC: &[u8; 8] = b"LepusMet";
const FORMAT: u32 = 1;

pub(super) fn encode(meta: &Meta) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.put_slice(MAGIC);
    bytes.put_u32_le(FORMAT);
    bytes.put_u64_le(meta.version);
    bytes.put_u64_le(meta.entries.len() as u64);
    for (key, value) in &meta.entries {
        bytes.put_u32_le(key.len() as u32);
        bytes.put_u32_le(value.len() as u32);
        bytes.put_slice(key);
        bytes.put_slice(value);
    }
    let crc = crc32c::crc32c(&bytes);
    bytes.put_u32_le(crc);
    bytes
}

/// # Errors
/// [`StoreError::Format`] if it is of a newer one, [`StoreError::Corrupt`].
pub(super) fn decode(bytes: &[u8], place: &str) -> Result<Meta, StoreError> {
    let mut reader = Reader(bytes);
    let found = reader.bytes(MAGIC.len()).filter(|magic| magic == MAGIC).and(reader.u32());
    match found {
        Some(found) if found > FORMAT => {
            Err(StoreError::Format { place: place.to_owned(), found, known: FORMAT })
        }
        _ => entries(bytes).ok_or_else(|| StoreError::Corrupt {
            place: place.to_owned(),
            detail: "the copy of the catalog is not what was written".to_owned(),
        }),
    }
}

fn entries(bytes: &[u8]) -> Option<Meta> {
    let (covered, crc) = bytes.split_last_chunk()?;
    if crc32c::crc32c(covered) != u32::from_le_bytes(*crc) {
        return None;
    }
    let mut reader = Reader(covered.get(MAGIC.len() + 4..)?);
    let mut meta = Meta { version: reader.u64()?, ..Meta::default() };
    for _ in 0..reader.u64()? {
        let (key, value) = (reader.u32()? as usize, reader.u32()? as usize);
        let key = Bytes::copy_from_slice(reader.bytes(key)?);
        let value = Bytes::copy_from_slice(reader.bytes(value)?);
        meta.entries.insert(key, value);
    }
    Some(meta)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut meta = Meta { version: 7, ..Meta::default() };
        let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
        meta.entries.insert(bytes("a"), bytes(""));
        meta.entries.insert(bytes(""), bytes("b"));
        let encoded = encode(&meta);
        assert_eq!(decode(&encoded, "x").unwrap(), meta);
        for at in 0..encoded.len() {
            let mut encoded = encoded.clone();
            encoded[at] ^= 1;
            assert!(decode(&encoded, "x").is_err(), "octet {at}");
            assert!(decode(&encoded[..at], "x").is_err());
        }
        let mut newer = encoded;
        newer[8] = 9;
        assert!(matches!(decode(&newer, "x"), Err(StoreError::Format { found: 9, .. })));
    }
}
