//! Frames as sent. What is sent often is written in place, without allocation.

use crate::content;
use crate::frame;
use crate::methods::{AMQPClass, gen_class};
use crate::types::generation::SerializeFn;

/// Octets that [`deliver`] needs at the most besides consumer tag, route and header.
const DELIVER_FIXED: usize = 4 + 1 + 8 + 1;

/// Appends a method frame.
pub fn method(out: &mut Vec<u8>, channel: u16, class: &AMQPClass) {
    let payload = generate(gen_class(class));
    out.extend_from_slice(&head(frame::METHOD, channel, payload.len()));
    out.extend_from_slice(&payload);
    out.push(frame::END);
}

/// Runs a generator of amq-protocol into memory, where it has no reason to fail.
pub(crate) fn generate(serialize: impl SerializeFn<Vec<u8>>) -> Vec<u8> {
    serialize(Vec::new().into()).map(|context| context.into_inner().0).unwrap_or_default()
}

/// Appends basic.deliver and its content header; the body frames follow by [`body`].
pub fn deliver(out: &mut Vec<u8>, channel: u16, delivery: &Deliver<'_>) {
    let size = DELIVER_FIXED + delivery.consumer_tag.len() + delivery.route.len();
    out.reserve(size + delivery.header.len() + 2 * frame::OVERHEAD);
    out.extend_from_slice(&head(frame::METHOD, channel, size));
    out.extend_from_slice(&[0, 60, 0, 60, delivery.consumer_tag.len() as u8]);
    out.extend_from_slice(delivery.consumer_tag);
    let [t0, t1, t2, t3, t4, t5, t6, t7] = delivery.delivery_tag.to_be_bytes();
    out.extend_from_slice(&[t0, t1, t2, t3, t4, t5, t6, t7, u8::from(delivery.redelivered)]);
    out.extend_from_slice(delivery.route);
    out.push(frame::END);
    header(out, channel, delivery.header);
}

/// basic.deliver's arguments.
#[derive(Clone, Copy, Debug)]
pub struct Deliver<'a> {
    /// At most 255 octets.
    pub consumer_tag: &'a [u8],
    /// Counts from 1 in each channel.
    pub delivery_tag: u64,
    /// Delivered before, to anyone.
    pub redelivered: bool,
    /// Exchange and routing key as two short strings.
    pub route: &'a [u8],
    /// The content header frame's payload.
    pub header: &'a [u8],
}

/// Appends basic.get-ok and its content header.
pub fn get_ok(out: &mut Vec<u8>, channel: u16, delivery: &Deliver<'_>, message_count: u32) {
    frame_with(out, frame::METHOD, channel, |out| {
        out.extend_from_slice(&[0, 60, 0, 71]);
        out.extend_from_slice(&delivery.delivery_tag.to_be_bytes());
        out.push(u8::from(delivery.redelivered));
        out.extend_from_slice(delivery.route);
        out.extend_from_slice(&message_count.to_be_bytes());
    });
    header(out, channel, delivery.header);
}

/// Appends basic.return and its content header. `text` is cut at 255 octets.
pub fn returned(out: &mut Vec<u8>, channel: u16, code: u16, text: &str, route: &[u8], head: &[u8]) {
    frame_with(out, frame::METHOD, channel, |out| {
        out.extend_from_slice(&[0, 60, 0, 50]);
        out.extend_from_slice(&code.to_be_bytes());
        let text = text.as_bytes();
        let text = text.get(..text.len().min(crate::limits::SHORT_STRING_MAX)).unwrap_or_default();
        out.push(text.len() as u8);
        out.extend_from_slice(text);
        out.extend_from_slice(route);
    });
    header(out, channel, head);
}

/// Appends basic.ack or basic.nack, as a publisher confirm.
pub fn confirm(out: &mut Vec<u8>, channel: u16, tag: u64, multiple: bool, ack: bool) {
    frame_with(out, frame::METHOD, channel, |out| {
        out.extend_from_slice(&[0, 60, 0, if ack { 80 } else { 120 }]);
        out.extend_from_slice(&tag.to_be_bytes());
        out.push(u8::from(multiple));
    });
}

/// Appends a content header frame.
pub fn header(out: &mut Vec<u8>, channel: u16, payload: &[u8]) {
    out.extend_from_slice(&head(frame::HEADER, channel, payload.len()));
    out.extend_from_slice(payload);
    out.push(frame::END);
}

/// Appends the body as as many frames as `frame_max` (0: no limit) asks for; none when empty.
pub fn body(out: &mut Vec<u8>, channel: u16, body: &[u8], frame_max: u32) {
    for chunk in body.chunks(body_chunk(frame_max)) {
        out.extend_from_slice(&body_head(channel, chunk.len()));
        out.extend_from_slice(chunk);
        out.push(frame::END);
    }
}

/// The largest payload of a body frame, octets.
pub fn body_chunk(frame_max: u32) -> usize {
    match frame_max {
        0 => u32::MAX as usize,
        max => (max as usize).saturating_sub(frame::OVERHEAD).max(1),
    }
}

/// The octets before a body frame's payload.
pub fn body_head(channel: u16, size: usize) -> [u8; frame::HEAD_SIZE] {
    head(frame::BODY, channel, size)
}

fn head(kind: u8, channel: u16, size: usize) -> [u8; frame::HEAD_SIZE] {
    let [c0, c1] = channel.to_be_bytes();
    let [s0, s1, s2, s3] = (size as u32).to_be_bytes();
    [kind, c0, c1, s0, s1, s2, s3]
}

fn frame_with(out: &mut Vec<u8>, kind: u8, channel: u16, payload: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&head(kind, channel, 0));
    payload(out);
    let size = (out.len() - start - frame::HEAD_SIZE) as u32;
    if let Some(place) = out.get_mut(start + 3..start + frame::HEAD_SIZE) {
        place.copy_from_slice(&size.to_be_bytes());
    }
    out.push(frame::END);
}

/// A content header payload with generated properties, for messages that the broker makes.
pub fn content_header(body_size: u64, properties: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content::ContentHeader::PREFIX + properties.len());
    content::encode_header(&mut out, body_size, properties);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::basic;
    use crate::properties;
    use amq_protocol::frame::{AMQPFrame, parse_frame};
    use proptest::prelude::*;

    fn frames(mut bytes: &[u8]) -> Vec<AMQPFrame> {
        let mut all = Vec::new();
        while !bytes.is_empty() {
            let (rest, frame) = parse_frame(bytes).unwrap();
            all.push(frame);
            bytes = rest;
        }
        all
    }

    fn short(text: &str) -> Vec<u8> {
        let mut out = vec![text.len() as u8];
        out.extend(text.as_bytes());
        out
    }

    proptest! {
        #[test]
        fn deliveries_are_read_back_by_the_generated_codec(
            tag in "[a-z]{0,30}", exchange in "[a-z]{0,30}", key in "[a-z.]{0,90}", delivery_tag: u64,
            redelivered: bool, payload in proptest::collection::vec(any::<u8>(), 0..10_000), channel in 1u16..,
        ) {
            let route = [short(&exchange), short(&key)].concat();
            let props = properties::encode(&basic::AMQPProperties::default().with_priority(3));
            let header = content_header(payload.len() as u64, &props);
            let delivery = Deliver {
                consumer_tag: tag.as_bytes(), delivery_tag, redelivered, route: &route, header: &header,
            };
            let mut out = Vec::new();
            deliver(&mut out, channel, &delivery);
            body(&mut out, channel, &payload, 4096);
            let frames = frames(&out);
            let expected = basic::AMQPMethod::Deliver(basic::Deliver {
                consumer_tag: tag.as_str().into(), delivery_tag, redelivered,
                exchange: exchange.as_str().into(), routing_key: key.as_str().into(),
            });
            prop_assert_eq!(&frames[0], &AMQPFrame::Method(channel, AMQPClass::Basic(expected)));
            prop_assert!(matches!(&frames[1], AMQPFrame::Header(c, h)
                if *c == channel && h.body_size == payload.len() as u64));
            let mut whole: Vec<u8> = Vec::new();
            for frame in &frames[2..] {
                let AMQPFrame::Body(c, chunk) = frame else { panic!("not a body") };
                prop_assert!(*c == channel && chunk.len() + 8 <= 4096 && !chunk.is_empty());
                whole.extend(chunk);
            }
            prop_assert_eq!(whole, payload);
        }
    }

    #[test]
    fn methods_and_confirms_are_read_back() {
        let mut out = Vec::new();
        let class = AMQPClass::Basic(basic::AMQPMethod::GetEmpty(basic::GetEmpty {}));
        method(&mut out, 5, &class);
        confirm(&mut out, 5, 9, true, true);
        confirm(&mut out, 5, 10, false, false);
        let ack = basic::Ack { delivery_tag: 9, multiple: true };
        let nack = basic::Nack { delivery_tag: 10, multiple: false, requeue: false };
        let expected = [
            class,
            AMQPClass::Basic(basic::AMQPMethod::Ack(ack)),
            AMQPClass::Basic(basic::AMQPMethod::Nack(nack)),
        ];
        assert_eq!(frames(&out), expected.map(|class| AMQPFrame::Method(5, class)));
    }
}
