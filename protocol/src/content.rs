//! Contents (0-9-1 §4.2.6): a header frame after the method, then body frames.

use crate::wire::{Reader, Truncated};

/// The class that carries content.
pub const BASIC_CLASS: u16 = 60;

/// A content header frame's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentHeader<'a> {
    /// Class id; must equal that of the method before it.
    pub class: u16,
    /// Always 0 (0-9-1 §4.2.6.1).
    pub weight: u16,
    /// Octets of the body that follows.
    pub body_size: u64,
    /// Property flags and values, not yet read.
    pub properties: &'a [u8],
}

impl<'a> ContentHeader<'a> {
    /// Octets before the properties: class id, weight, body size.
    pub const PREFIX: usize = 12;

    /// Reads a header frame's payload.
    pub fn decode(payload: &'a [u8]) -> Result<Self, Truncated> {
        let mut reader = Reader::new(payload);
        let class = reader.u16()?;
        let weight = reader.u16()?;
        let body_size = reader.u64()?;
        Ok(Self { class, weight, body_size, properties: reader.rest() })
    }
}

/// Writes a content header's payload for the class basic.
pub fn encode_header(out: &mut Vec<u8>, body_size: u64, properties: &[u8]) {
    out.extend(BASIC_CLASS.to_be_bytes());
    out.extend([0, 0]);
    out.extend(body_size.to_be_bytes());
    out.extend(properties);
}
