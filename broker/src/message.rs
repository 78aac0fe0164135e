//! A message as the broker holds it: the octets that arrived, kept in the order in which they leave.

use amq_protocol::types::FieldTable;
use bytes::{BufMut, Bytes, BytesMut};
use lepus_protocol::content::ContentHeader;
use lepus_protocol::limits::SHORT_STRING_MAX;
use lepus_protocol::properties::{self, Properties};
use lepus_protocol::wire::Reader;

use crate::limits::{BODY_RESERVE, MESSAGE_BLOCK, MESSAGE_BLOCK_MIN};

/// Octets that tell when a message arrived: 16 bits how often it has come back to its queue before it
/// took its present position, a bit that says that hidden keys follow the body, 47 bits ms since 1970.
const STAMP: usize = 8;
/// The bits of a stamp that are a time.
const STAMP_TIME: u64 = (1 << 47) - 1;
/// The bit that says that there are hidden keys.
const STAMP_HIDDEN: u64 = 1 << 47;
/// The same within the stamp's third octet.
const HIDDEN: u8 = 1 << 7;
/// Octets that say how long the hidden keys are.
const HIDDEN_LEN: usize = 4;
/// Octets before those of a message that waits for a time: when that is, ms since 1970.
const DUE: usize = 8;
/// The property flag of `expiration` (0-9-1 §4.2.6.1, the eighth property from the left).
const EXPIRATION: u16 = 1 << 8;
/// That of `priority`, the fifth.
const PRIORITY: u16 = 1 << 11;
/// That of `headers`, the third.
const HEADERS: u16 = 1 << 13;

/// A published message. Cloning shares the octets.
///
/// The octets are: when it arrived, exchange and routing key as two short strings (as basic.deliver
/// repeats them), the content header frame's payload, the body; then, if there are any, the hidden keys:
/// each as a long string, and as 32 bits how many octets that is, these included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    octets: Bytes,
    header_len: u32,
    route_len: u16,
    persistent: bool,
    shared: bool,
}

impl Message {
    /// The message that had these octets ([`Self::octets`]) when it was stored; `None` if they are
    /// not those of a message.
    pub fn from_stored(octets: Bytes) -> Option<Self> {
        let exchange = usize::from(*octets.get(STAMP)?);
        let key = usize::from(*octets.get(STAMP + 1 + exchange)?);
        let route_len = 2 + exchange + key;
        let header = octets.get(STAMP + route_len..)?;
        let (_, size) = header.get(..ContentHeader::PREFIX)?.split_last_chunk::<8>()?;
        let body = usize::try_from(u64::from_be_bytes(*size)).ok()?;
        let header_len = header.len().checked_sub(hidden_len(&octets))?.checked_sub(body)?;
        if header_len < ContentHeader::PREFIX {
            return None;
        }
        Some(Self {
            octets,
            header_len: u32::try_from(header_len).ok()?,
            route_len: route_len as u16,
            persistent: true,
            shared: false,
        })
    }

    /// A message of the broker itself, to an exchange with a routing key; `None` if its headers have
    /// no form on the wire.
    pub fn of_broker(
        now: u64,
        route: [&str; 2],
        properties: &[u8],
        headers: &FieldTable,
        body: &[u8],
        persistent: bool,
    ) -> Option<Self> {
        let mut octets = Vec::new();
        for part in route {
            let part = part.as_bytes();
            let part = part.get(..SHORT_STRING_MAX).unwrap_or(part);
            octets.push(part.len() as u8);
            octets.extend_from_slice(part);
        }
        let properties = properties::replace_headers(properties, headers).ok()?;
        Some(Builder::whole(now, &octets, &properties, body, persistent))
    }

    /// All of its octets.
    pub fn octets(&self) -> Bytes {
        self.octets.clone()
    }

    /// It goes to several queues.
    pub fn shared(&self) -> bool {
        self.shared
    }

    /// Notes that it goes to several queues.
    pub fn set_shared(&mut self) {
        self.shared = true;
    }

    /// The same as it arrives elsewhere: exchange and routing key as two short strings.
    pub fn readdressed(&self, now: u64, route: &[u8]) -> Self {
        let mut builder = Builder::default();
        builder.begin(now, route);
        builder.header(self.properties(), self.body_len() as u64, self.persistent);
        builder.body(self.body());
        builder.hide(self.hidden_keys().iter().map(Vec::as_slice));
        builder.finish()
    }

    /// When it came to its queue, ms since 1970.
    pub fn arrived(&self) -> u64 {
        self.stamp() & STAMP_TIME
    }

    /// How often it has come back before it took its present position.
    pub fn returns_before(&self) -> u32 {
        (self.stamp() >> 48) as u32
    }

    fn stamp(&self) -> u64 {
        self.octets.first_chunk().map_or(0, |stamp| u64::from_be_bytes(*stamp))
    }

    /// It has the property `expiration`.
    #[inline]
    pub fn expires(&self) -> bool {
        self.has(EXPIRATION)
    }

    /// It has headers.
    #[inline]
    pub fn has_headers(&self) -> bool {
        self.has(HEADERS)
    }

    /// Its `priority`; without that, 0.
    pub fn priority(&self) -> u8 {
        if !self.has(PRIORITY) {
            return 0;
        }
        let properties = Properties::decode(self.properties());
        properties.ok().and_then(|found| found.priority).unwrap_or_default()
    }

    #[inline]
    fn has(&self, flag: u16) -> bool {
        let flags = self.properties().first_chunk().map(|flags| u16::from_be_bytes(*flags));
        flags.is_some_and(|flags| flags & flag != 0)
    }

    /// How long it may stay, in ms: its `expiration`, if that is a number.
    pub fn expiration(&self) -> Option<u64> {
        if !self.expires() {
            return None;
        }
        let text = Properties::decode(self.properties()).ok()?.expiration?;
        std::str::from_utf8(text).ok()?.parse().ok()
    }

    /// Exchange and routing key as two short strings.
    pub fn route(&self) -> &[u8] {
        self.octets.get(STAMP..self.header_at()).unwrap_or_default()
    }

    fn header_at(&self) -> usize {
        STAMP + usize::from(self.route_len)
    }

    /// The exchange that it was published to.
    pub fn exchange(&self) -> &[u8] {
        self.route_part().0
    }

    /// The routing key that it was published with.
    pub fn routing_key(&self) -> &[u8] {
        self.route_part().1
    }

    fn route_part(&self) -> (&[u8], &[u8]) {
        let (len, rest) = self.route().split_first().unwrap_or((&0, &[]));
        let (exchange, key) = rest.split_at_checked(usize::from(*len)).unwrap_or_default();
        (exchange, key.get(1..).unwrap_or_default())
    }

    /// The content header frame's payload.
    pub fn header(&self) -> &[u8] {
        self.octets.get(self.header_at()..self.body_at()).unwrap_or_default()
    }

    /// The properties: flags and values.
    pub fn properties(&self) -> &[u8] {
        self.header().get(ContentHeader::PREFIX..).unwrap_or_default()
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        self.octets.get(self.body_at()..self.body_end()).unwrap_or_default()
    }

    /// The body, sharing the message's octets.
    pub fn body_shared(&self) -> Bytes {
        let end = self.body_end();
        self.octets.slice(self.body_at().min(end)..end)
    }

    fn body_end(&self) -> usize {
        self.octets.len().saturating_sub(hidden_len(&self.octets))
    }

    /// The routing keys that no consumer is shown (those of BCC), as they were hidden.
    pub fn hidden(&self) -> &[u8] {
        self.octets.get(self.body_end()..).unwrap_or_default()
    }

    /// The same, one by one.
    pub fn hidden_keys(&self) -> Vec<Vec<u8>> {
        let keys = self.hidden();
        let keys = keys.get(..keys.len().saturating_sub(HIDDEN_LEN)).unwrap_or_default();
        let mut reader = Reader::new(keys);
        std::iter::from_fn(|| reader.long_string().ok().map(<[u8]>::to_vec)).collect()
    }

    fn body_at(&self) -> usize {
        self.header_at() + self.header_len as usize
    }

    /// Octets of the body.
    pub fn body_len(&self) -> usize {
        self.body_end().saturating_sub(self.body_at())
    }

    /// Octets held for it, without bookkeeping.
    pub fn size(&self) -> usize {
        self.octets.len()
    }

    /// Published with delivery mode 2.
    pub fn persistent(&self) -> bool {
        self.persistent
    }
}

/// A message that waits for a time, as it is stored: that time, and then its octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    record: Bytes,
    persistent: bool,
}

impl Waiting {
    /// A copy of a message that waits until `due` and then counts as arrived at a time and as
    /// returned so often; with other properties, if some are given.
    pub fn new(
        message: &Message,
        due: u64,
        (arrived, returns): (u64, u32),
        properties: Option<&[u8]>,
    ) -> Self {
        let properties = properties.unwrap_or(message.properties());
        let (route, body, hidden) = (message.route(), message.body(), message.hidden());
        let head = DUE + STAMP + route.len() + ContentHeader::PREFIX;
        let mut record =
            BytesMut::with_capacity(head + properties.len() + body.len() + hidden.len());
        record.put_u64(due);
        let returns = u64::from(u16::try_from(returns).unwrap_or(u16::MAX));
        let has_hidden = message.stamp() & STAMP_HIDDEN;
        record.put_u64(returns << 48 | has_hidden | arrived & STAMP_TIME);
        record.extend_from_slice(route);
        record.extend_from_slice(&prefix(body.len() as u64));
        record.extend_from_slice(properties);
        record.extend_from_slice(body);
        record.extend_from_slice(hidden);
        Self { record: record.freeze(), persistent: message.persistent }
    }

    /// What was stored as [`Self::record`].
    pub fn from_stored(record: Bytes) -> Self {
        Self { record, persistent: true }
    }

    /// All of its octets.
    pub fn record(&self) -> Bytes {
        self.record.clone()
    }

    /// When its time comes, ms since 1970.
    pub fn due(&self) -> u64 {
        self.record.first_chunk().map_or(0, |due| u64::from_be_bytes(*due))
    }

    /// The message; `None` if these are not the octets of one.
    pub fn message(&self) -> Option<Message> {
        if self.record.len() < DUE {
            return None;
        }
        let message = Message::from_stored(self.record.slice(DUE..))?;
        Some(Message { persistent: self.persistent, ..message })
    }
}

/// Puts messages together as their frames arrive; small ones share blocks of memory.
#[derive(Debug, Default)]
pub struct Builder {
    block: BytesMut,
    /// Octets of the last block that was made for several messages.
    block_size: usize,
    route_len: usize,
    header_len: usize,
    body_left: u64,
    persistent: bool,
}

impl Builder {
    /// Begins a message that arrives now: exchange and routing key as two short strings.
    #[inline]
    pub fn begin(&mut self, now: u64, route: &[u8]) {
        if self.block.capacity() < STAMP + route.len() + MESSAGE_BLOCK_MIN / 2 {
            let room = self.next_block_size().max(STAMP + route.len());
            self.block = BytesMut::with_capacity(room);
        }
        self.block.clear();
        self.block.put_u64(now);
        self.block.extend_from_slice(route);
        self.route_len = route.len();
    }

    /// The content header: property flags and values, and how long the body will be.
    pub fn header(&mut self, properties: &[u8], body_size: u64, persistent: bool) {
        self.header_len = ContentHeader::PREFIX + properties.len();
        self.body_left = body_size;
        self.persistent = persistent;
        let body = usize::try_from(body_size).unwrap_or(usize::MAX).min(BODY_RESERVE);
        let needed = self.header_len + body;
        if self.block.capacity() - self.block.len() < needed {
            self.move_to_new_block(needed);
        }
        self.block.extend_from_slice(&prefix(body_size));
        self.block.extend_from_slice(properties);
    }

    fn next_block_size(&mut self) -> usize {
        self.block_size = (self.block_size * 2).clamp(MESSAGE_BLOCK_MIN, MESSAGE_BLOCK);
        self.block_size
    }

    fn move_to_new_block(&mut self, needed: usize) {
        let needed = self.block.len() + needed;
        // A message that fills a block gets one of its own.
        let room =
            if needed > MESSAGE_BLOCK / 2 { needed } else { self.next_block_size().max(needed) };
        let mut block = BytesMut::with_capacity(room);
        block.extend_from_slice(&self.block);
        self.block = block;
    }

    /// Some octets of the body; `false` if that is more than was announced.
    pub fn body(&mut self, chunk: &[u8]) -> bool {
        let Some(left) = self.body_left.checked_sub(chunk.len() as u64) else { return false };
        self.body_left = left;
        self.block.extend_from_slice(chunk);
        true
    }

    /// Where up to `octets` octets of the body may be written, and how many of them there is room
    /// for; then [`Self::body_written`].
    pub fn body_room(&mut self, octets: usize) -> bytes::buf::Limit<&mut BytesMut> {
        let left = usize::try_from(self.body_left).unwrap_or(usize::MAX);
        let room = self.block.capacity() - self.block.len();
        (&mut self.block).limit(octets.min(left).min(room))
    }

    /// So many octets of the body were written.
    pub fn body_written(&mut self, octets: usize) {
        self.body_left = self.body_left.saturating_sub(octets as u64);
    }

    /// Whether the body is whole.
    pub fn is_whole(&self) -> bool {
        self.body_left == 0
    }

    /// The route of the message that is being built.
    pub fn route(&self) -> &[u8] {
        self.block.get(STAMP..STAMP + self.route_len).unwrap_or_default()
    }

    /// Routing keys to be hidden; the body is whole.
    pub fn hide<'k>(&mut self, keys: impl IntoIterator<Item = &'k [u8]>) {
        let begin = self.block.len();
        for key in keys {
            self.block.put_u32(key.len() as u32);
            self.block.extend_from_slice(key);
        }
        let len = self.block.len() - begin;
        if len > 0 {
            self.block.put_u32((len + HIDDEN_LEN) as u32);
            self.block.iter_mut().skip(2).take(1).for_each(|octet| *octet |= HIDDEN);
        }
    }

    /// The finished message.
    pub fn finish(&mut self) -> Message {
        let octets = self.block.split().freeze();
        if octets.len() > MESSAGE_BLOCK {
            // What the block grew to beyond it must not be pinned by a small message.
            self.block = BytesMut::new();
        }
        Message {
            octets,
            header_len: self.header_len as u32,
            route_len: self.route_len as u16,
            persistent: self.persistent,
            shared: false,
        }
    }

    /// Gives back the memory of an unused block.
    pub fn give_back_room(&mut self) {
        self.block = BytesMut::new();
        self.block_size = 0;
    }

    /// A message in one go.
    pub fn whole(
        now: u64,
        route: &[u8],
        properties: &[u8],
        body: &[u8],
        persistent: bool,
    ) -> Message {
        let mut builder = Self::default();
        builder.begin(now, route);
        builder.header(properties, body.len() as u64, persistent);
        builder.body(body);
        builder.finish()
    }
}

/// Octets behind the body of these octets of a message.
#[inline]
fn hidden_len(octets: &[u8]) -> usize {
    if octets.get(2).is_none_or(|octet| octet & HIDDEN == 0) {
        return 0;
    }
    octets.last_chunk().map_or(0, |len| u32::from_be_bytes(*len) as usize)
}

/// The content header payload before the properties: class, weight, body size.
fn prefix(body_size: u64) -> [u8; ContentHeader::PREFIX] {
    let [a, b, c, d, e, f, g, h] = body_size.to_be_bytes();
    [0, 60, 0, 0, a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_found_again() {
        let message = Builder::whole(7, b"\x02ex\x03key", &[0, 0], b"payload", false);
        assert_eq!((message.exchange(), message.routing_key()), (&b"ex"[..], &b"key"[..]));
        assert_eq!(message.route(), b"\x02ex\x03key");
        assert_eq!(message.properties(), [0, 0]);
        assert_eq!((message.body(), message.body_len()), (&b"payload"[..], 7));
        assert_eq!(message.header(), b"\0\x3c\0\0\0\0\0\0\0\0\0\x07\0\0");
    }

    #[test]
    fn messages_in_one_block_do_not_mix() {
        let mut builder = Builder::default();
        let mut build = |body: &[u8]| {
            builder.begin(0, b"\0\x01k");
            builder.header(&[0, 0], body.len() as u64, true);
            let (head, tail) = body.split_at(body.len() / 2);
            assert!(builder.body(head) && builder.body(tail) && builder.is_whole());
            builder.finish()
        };
        let bodies: Vec<Vec<u8>> = (0..300).map(|n| vec![n as u8; n * 7]).collect();
        let messages: Vec<Message> = bodies.iter().map(|body| build(body)).collect();
        for (message, body) in messages.iter().zip(&bodies) {
            assert_eq!((message.body(), message.routing_key()), (&body[..], &b"k"[..]));
            assert!(message.persistent());
        }
    }

    #[test]
    fn a_message_is_itself_after_it_was_stored() {
        let message = Builder::whole(7, b"\x02ex\x03key", &[0x10, 0, 2], b"payload", true);
        assert_eq!(Message::from_stored(message.octets()), Some(message.clone()));
        // Route, content header, a body that is announced longer than what is there.
        for cut in 0..STAMP + message.route().len() + ContentHeader::PREFIX + message.body_len() {
            let cut = message.octets().slice(..cut);
            assert_eq!(Message::from_stored(cut), None);
        }
    }

    #[test]
    fn a_message_that_waits_is_itself_but_for_its_stamp() {
        let message = Builder::whole(7, b"\x02ex\x03key", &[0x10, 0, 2], b"payload", true);
        let waiting = Waiting::new(&message, 1 << 40, (9, 3), None);
        assert_eq!(Waiting::from_stored(waiting.record()), waiting);
        let (due, found) = (waiting.due(), waiting.message().expect("a message"));
        assert_eq!((due, found.arrived(), found.returns_before()), (1 << 40, 9, 3));
        assert_eq!((found.route(), found.header()), (message.route(), message.header()));
        assert_eq!((found.body(), found.persistent()), (&b"payload"[..], true));
        let other = Waiting::new(&message, 1, (9, 1 << 20), Some(&[0, 0]));
        let other = other.message().expect("a message");
        assert_eq!((other.properties(), other.returns_before()), (&[0, 0][..], 0xffff));
        for cut in 0..DUE + STAMP {
            assert_eq!(Waiting::from_stored(waiting.record().slice(..cut)).message(), None);
        }
    }

    #[test]
    fn hidden_keys_stay_with_a_message_and_out_of_its_body() {
        let mut builder = Builder::default();
        for keys in [&[][..], &[&b"one"[..]], &[b"", &[b'k'; 300], b"two"]] {
            builder.begin(7, b"\x02ex\x03key");
            builder.header(&[0, 0], 7, true);
            builder.body(b"payload");
            builder.hide(keys.iter().copied());
            let message = builder.finish();
            let stored = Message::from_stored(message.octets()).expect("a message");
            let waiting = Waiting::new(&message, 1, (7, 0), None).message().expect("a message");
            for found in [message, stored, waiting] {
                assert_eq!((found.arrived(), found.returns_before()), (7, 0));
                assert_eq!((found.body(), found.body_len()), (&b"payload"[..], 7));
                assert_eq!(&found.body_shared()[..], b"payload");
                assert_eq!(found.hidden_keys(), keys);
            }
        }
    }

    #[test]
    fn a_body_longer_than_announced_is_noticed() {
        let mut builder = Builder::default();
        builder.begin(0, b"\0\0");
        builder.header(&[0, 0], 3, false);
        assert!(builder.body(b"ab") && !builder.body(b"cd"));
    }
}
