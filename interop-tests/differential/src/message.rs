//! Messages with properties of all kinds, and messages as text.

use lepus_tests::*;

/// The longest of the usual bodies, and of the few long ones.
const SHORT: usize = 600;
const LONG: usize = 300_000;

/// Any message. These headers of it may route copies to these queues.
pub fn any(random: &mut Random, copies: &[&str], queues: &[String]) -> (BasicProperties, Vec<u8>) {
    let most = if random.below(40) == 0 { LONG } else { SHORT };
    let body = (0..random.below(most)).map(|_| random.octet()).collect();
    (properties(random, copies, queues), body)
}

fn properties(random: &mut Random, copies: &[&str], queues: &[String]) -> BasicProperties {
    let mut some = props();
    let mut chance = |percent: usize| random.below(100) < percent;
    if chance(70) {
        some = some.with_delivery_mode(if chance(75) { 2 } else { 1 });
    }
    if chance(20) {
        some = some.with_content_type("text/plain; charset=utf-8".into());
        some = some.with_content_encoding("gzip".into());
    }
    if chance(15) {
        some = some.with_reply_to("somewhere".into()).with_correlation_id("7".into());
    }
    if chance(15) {
        some = some.with_user_id("guest".into()).with_app_id("app".into());
    }
    if chance(10) {
        some = some.with_expiration("86400000".into()).with_cluster_id("none".into());
    }
    if chance(20) {
        some = some.with_message_id("id".into()).with_type("kind".into());
    }
    if chance(20) {
        let time = random.below(1 << 32) as u64;
        some = some.with_timestamp(time).with_priority(random.octet() % 12);
    }
    if random.below(100) < 60 { some.with_headers(headers(random, copies, queues)) } else { some }
}

fn headers(random: &mut Random, copies: &[&str], queues: &[String]) -> FieldTable {
    let mut fields = FieldTable::default();
    for name in ["a", "b", "long name, with ünicode"] {
        if random.below(2) == 0 {
            fields.insert(name.into(), value(random, 0));
        }
    }
    for name in copies {
        if random.below(12) == 0 {
            let queue = &queues[random.below(queues.len())];
            fields.insert((*name).into(), list([text(queue)]));
        }
    }
    fields
}

fn value(random: &mut Random, depth: usize) -> AMQPValue {
    let number = random.below(1 << 31);
    match random.below(if depth < 3 { 18 } else { 16 }) {
        0 => AMQPValue::Boolean(number.is_multiple_of(2)),
        1 => AMQPValue::ShortShortInt(number.to_le_bytes()[0].cast_signed()),
        2 => AMQPValue::ShortShortUInt(number.to_le_bytes()[0]),
        3 => AMQPValue::ShortInt((number % 65_536).cast_signed() as i16),
        4 => AMQPValue::ShortUInt((number % 65_536) as u16),
        5 => AMQPValue::LongInt(number as i32 - 1_000_000),
        6 => AMQPValue::LongUInt(number as u32),
        7 => AMQPValue::LongLongInt(-(number as i64) * 1_000_003),
        8 => AMQPValue::Float(number as f32 / 7.0),
        9 => AMQPValue::Double(number as f64 / 7.0),
        10 => AMQPValue::DecimalValue(DecimalValue { scale: 3, value: number as u32 }),
        11 => AMQPValue::Timestamp(number as u64),
        12 => AMQPValue::ByteArray(vec![0, 255, random.octet()].into()),
        13 => AMQPValue::Void,
        14 => text("x"),
        15 => text(&format!("text {number}")),
        16 => list((0..random.below(4)).map(|_| value(random, depth + 1)).collect::<Vec<_>>()),
        _ => {
            let inner = value(random, depth + 1);
            AMQPValue::FieldTable(table([("inner", inner), ("", AMQPValue::Void)]))
        }
    }
}

/// A message's properties, and its body.
pub fn contents<M>(message: &Message<M>) -> String {
    let headers = message.properties.headers().iter().flat_map(|headers| headers.inner());
    let headers = headers.filter(|(name, _)| !is_ours(name.as_str()));
    let headers = table(headers.map(|(name, value)| {
        let value = if name.as_str() == "x-death" { deaths(value) } else { value.clone() };
        (name.as_str(), value)
    }));
    let properties = message.properties.clone().with_headers(headers);
    let (length, hash) = (message.body.len(), hash(&message.body));
    let octets = header_frame(1, 0, &properties);
    format!("{properties:?}|{:016x}|{length} octets {hash:016x}", self::hash(&octets))
}

/// Headers that RabbitMQ's classic queues of that version do not have. Without them no headers are as
/// good as empty ones.
fn is_ours(header: &str) -> bool {
    header == "x-delivery-count" || header.starts_with("x-last-death-")
}

/// The deaths of a message without their times. The latest stands first; RabbitMQ 3.10.8 turns the order of
/// the others round each time.
fn deaths(deaths: &AMQPValue) -> AMQPValue {
    let AMQPValue::FieldArray(deaths) = deaths else { return deaths.clone() };
    let mut deaths: Vec<_> = deaths.as_slice().iter().map(without_time).collect();
    if let Some((_, earlier)) = deaths.split_first_mut() {
        earlier.sort_by_key(|death| format!("{death:?}"));
    }
    list(deaths)
}

fn without_time(death: &AMQPValue) -> AMQPValue {
    let AMQPValue::FieldTable(death) = death else { return death.clone() };
    let fields = death.inner().iter().map(|(name, value)| match (name.as_str(), value) {
        ("time", AMQPValue::Timestamp(_)) => ("time", AMQPValue::Timestamp(0)),
        (name, value) => (name, value.clone()),
    });
    AMQPValue::FieldTable(table(fields))
}

/// FNV-1a: the lines are compared as text, so that equal octets must give equal text.
fn hash(octets: &[u8]) -> u64 {
    let step = |hash: u64, octet: &u8| (hash ^ u64::from(*octet)).wrapping_mul(0x100_0000_01b3);
    octets.iter().fold(0xcbf2_9ce4_8422_2325, step)
}
