//! The few bytes of AMQP 0-9-1 that a load generator needs, encoded by hand.
//!
//! The generator does not use the broker's own codec, so that an error in it cannot hide from
//! both sides at once.

pub(super) const FRAME_METHOD: u8 = 1;
pub(super) const FRAME_HEADER: u8 = 2;
pub(super) const FRAME_BODY: u8 = 3;
pub(super) const FRAME_END: u8 = 0xCE;
/// Type, channel and size.
pub(super) const FRAME_HEAD: usize = 7;
/// What a frame adds to its payload.
pub(super) const FRAME_OVERHEAD: usize = FRAME_HEAD + 1;
/// The one channel that each connection uses.
pub(super) const CHANNEL: u16 = 1;
/// What a client sends first.
pub(super) const PROTOCOL_HEADER: &[u8; 8] = b"AMQP\x00\x00\x09\x01";

/// A class and a method id as one number, as they stand at the start of a method frame.
pub(super) const fn method_id(class: u16, method: u16) -> u32 {
    (class as u32) << 16 | method as u32
}

pub(super) const CONNECTION_START: u32 = method_id(10, 10);
pub(super) const CONNECTION_START_OK: u32 = method_id(10, 11);
pub(super) const CONNECTION_TUNE: u32 = method_id(10, 30);
pub(super) const CONNECTION_TUNE_OK: u32 = method_id(10, 31);
pub(super) const CONNECTION_OPEN: u32 = method_id(10, 40);
pub(super) const CONNECTION_OPEN_OK: u32 = method_id(10, 41);
pub(super) const CONNECTION_CLOSE: u32 = method_id(10, 50);
pub(super) const CONNECTION_CLOSE_OK: u32 = method_id(10, 51);
pub(super) const CONNECTION_BLOCKED: u32 = method_id(10, 60);
pub(super) const CHANNEL_OPEN: u32 = method_id(20, 10);
pub(super) const CHANNEL_OPEN_OK: u32 = method_id(20, 11);
pub(super) const CHANNEL_CLOSE: u32 = method_id(20, 40);
pub(super) const EXCHANGE_DECLARE: u32 = method_id(40, 10);
pub(super) const EXCHANGE_DECLARE_OK: u32 = method_id(40, 11);
pub(super) const EXCHANGE_DELETE: u32 = method_id(40, 20);
pub(super) const EXCHANGE_DELETE_OK: u32 = method_id(40, 21);
pub(super) const QUEUE_DECLARE: u32 = method_id(50, 10);
pub(super) const QUEUE_DECLARE_OK: u32 = method_id(50, 11);
pub(super) const QUEUE_BIND: u32 = method_id(50, 20);
pub(super) const QUEUE_BIND_OK: u32 = method_id(50, 21);
pub(super) const QUEUE_DELETE: u32 = method_id(50, 40);
pub(super) const QUEUE_DELETE_OK: u32 = method_id(50, 41);
pub(super) const BASIC_QOS: u32 = method_id(60, 10);
pub(super) const BASIC_QOS_OK: u32 = method_id(60, 11);
pub(super) const BASIC_CONSUME: u32 = method_id(60, 20);
pub(super) const BASIC_CANCEL: u32 = method_id(60, 30);
pub(super) const BASIC_PUBLISH: u32 = method_id(60, 40);
pub(super) const BASIC_DELIVER: u32 = method_id(60, 60);
pub(super) const BASIC_ACK: u32 = method_id(60, 80);
pub(super) const BASIC_NACK: u32 = method_id(60, 120);
pub(super) const CONFIRM_SELECT: u32 = method_id(85, 10);
pub(super) const CONFIRM_SELECT_OK: u32 = method_id(85, 11);

/// Builds one method frame.
pub(super) struct Method(Vec<u8>);

impl Method {
    pub fn new(channel: u16, id: u32) -> Self {
        let mut bytes = vec![FRAME_METHOD];
        bytes.extend_from_slice(&channel.to_be_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&id.to_be_bytes());
        Self(bytes)
    }

    pub fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub fn u16(mut self, value: u16) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub fn u32(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub fn u64(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// A short string; what is longer than 255 bytes is cut.
    pub fn short_str(mut self, text: &str) -> Self {
        let bytes = text.as_bytes();
        let len = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
        self.0.push(len);
        self.0.extend(bytes.iter().take(usize::from(len)));
        self
    }

    /// A long string, which is also how a field table travels.
    pub fn long_str(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    /// Arguments that are encoded already.
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn empty_table(self) -> Self {
        self.u32(0)
    }

    /// The whole frame.
    pub fn finish(mut self) -> Vec<u8> {
        let size = (self.0.len() - FRAME_HEAD) as u32;
        for (at, byte) in self.0.iter_mut().skip(3).zip(size.to_be_bytes()) {
            *at = byte;
        }
        self.0.push(FRAME_END);
        self.0
    }
}

/// Flags and values of the properties: delivery-mode 2, and a priority.
pub(super) fn properties(persistent: bool, priority: Option<u8>) -> Vec<u8> {
    let flags = u8::from(persistent) << 4 | u8::from(priority.is_some()) << 3;
    let mut octets = vec![flags, 0];
    octets.extend(persistent.then_some(2));
    octets.extend(priority);
    octets
}

/// Appends a content header (class basic) and the body's frames, each at most `frame_max` bytes.
pub(super) fn push_content(out: &mut Vec<u8>, body: &[u8], properties: &[u8], frame_max: usize) {
    let mut payload = vec![0, 60, 0, 0];
    payload.extend_from_slice(&(body.len() as u64).to_be_bytes());
    payload.extend_from_slice(properties);
    push_frame(out, FRAME_HEADER, &payload);
    for part in body.chunks(frame_max - FRAME_OVERHEAD) {
        push_frame(out, FRAME_BODY, part);
    }
}

fn push_frame(out: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    out.push(kind);
    out.extend_from_slice(&CHANNEL.to_be_bytes());
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    out.extend_from_slice(payload);
    out.push(FRAME_END);
}

/// The number at the start of `bytes`; 0 when they are too short, which callers have ruled out.
pub(super) fn be_u16(bytes: &[u8]) -> u16 {
    bytes.first_chunk().map_or(0, |chunk| u16::from_be_bytes(*chunk))
}

/// As [`be_u16`].
pub(super) fn be_u32(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |chunk| u32::from_be_bytes(*chunk))
}

/// As [`be_u16`].
pub(super) fn be_u64(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |chunk| u64::from_be_bytes(*chunk))
}

/// The number `at` bytes into `bytes`.
pub(super) fn be_u64_at(bytes: &[u8], at: usize) -> u64 {
    be_u64(bytes.get(at..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ack_frame_is_21_bytes() {
        let frame = Method::new(CHANNEL, BASIC_ACK).u64(7).u8(0).finish();
        assert_eq!(
            frame,
            [1, 0, 1, 0, 0, 0, 13, 0, 60, 0, 80, 0, 0, 0, 0, 0, 0, 0, 7, 0, FRAME_END]
        );
    }

    #[test]
    fn body_is_split_at_frame_max() {
        let mut out = Vec::new();
        push_content(&mut out, &[9; 10], &properties(true, None), 4 + FRAME_OVERHEAD);
        let header = FRAME_OVERHEAD + 15;
        assert_eq!(out.len(), header + 3 * FRAME_OVERHEAD + 10);
        assert_eq!(out[header], FRAME_BODY);
        assert_eq!(be_u32(&out[header + 3..]), 4);
    }
}
