//! Whether the entries are those that were written: the embedded store notices damaged entries, but
//! not ones that are missing.

/// The sum of the hashes of all entries, in any order. Not a protection from forgery.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Digest(pub u64);

impl Digest {
    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) {
        self.0 = self.0.wrapping_add(hash(key, value));
    }

    pub(super) fn remove(&mut self, key: &[u8], value: &[u8]) {
        self.0 = self.0.wrapping_sub(hash(key, value));
    }
}

/// FNV-1a, of the length of the key, the key and the value; then mixed, so that sums do not cancel
/// each other out.
fn hash(key: &[u8], value: &[u8]) -> u64 {
    let len = (key.len() as u64).to_be_bytes();
    let octets = len.iter().chain(key).chain(value);
    let hash = octets.fold(0xCBF2_9CE4_8422_2325, |hash: u64, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01B3)
    });
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 29)
}
