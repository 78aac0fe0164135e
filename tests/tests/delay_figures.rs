//! Figures of messages that wait, printed: `cargo nextest run -E 'test(delay_figures::)' --run-ignored only --no-capture`.

use std::time::{Duration, Instant};

use lepus_tests::*;

const BATCH: u64 = 1000;

/// Resident memory of the broker in MiB: its process is the one that has its directory open.
fn resident(broker: &Broker) -> u64 {
    let directory = broker.data_dir();
    let processes =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let status = processes.filter_map(|process| {
        let files = std::fs::read_dir(process.join("fd")).ok()?;
        let mut links = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
        links.any(|file| file.starts_with(&directory)).then_some(())?;
        std::fs::read_to_string(process.join("status")).ok()
    });
    let kib = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    status.filter_map(kib).max().expect("the broker's process") / 1024
}

/// The least that is resident within some seconds: the allocator gives memory back late.
fn at_rest(broker: &Broker) -> u64 {
    let begin = Instant::now();
    let samples = std::iter::from_fn(|| {
        (begin.elapsed() < Duration::from_secs(15)).then(|| resident(broker))
    });
    samples.min().unwrap_or_default()
}

fn queue(broker: &Broker, name: &str) {
    let arguments = table([("x-delayed", flag(true))]);
    let declare = queue::Declare { durable: true, arguments, ..declare(name) };
    broker.connect().channel(1).declare(declare);
}

/// Messages with delays from `from` to `to` ms, as octets.
fn messages(random: &mut Random, queue: &str, from: usize, to: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..BATCH {
        let ms = i32::try_from(from + random.below(to - from)).unwrap();
        let properties = headers([("x-delay", int(ms))]).with_delivery_mode(2);
        bytes.extend(publish("", queue).bytes(1));
        bytes.extend(header_frame(1, 100, &properties));
        bytes.extend(body_frame(1, &[b'x'; 100]));
    }
    bytes
}

#[test]
#[ignore = "it takes long and judges nothing"]
fn a_million_messages_wait() {
    let mut broker = Broker::start();
    println!("at the start: {} MiB", resident(&broker));
    let name = unique("million");
    queue(&broker, &name);
    let mut random = Random::seeded(1);
    let batches: Vec<Vec<u8>> =
        (0..20).map(|_| messages(&mut random, &name, 60_000, 86_400_000)).collect();
    let (begin, total) = (Instant::now(), 1_000_000);
    let mut conn = broker.connect();
    let mut ch = conn.channel_confirming(1);
    let mut confirmed = 0;
    for number in 0..total / BATCH {
        ch.conn.send_raw(&batches[number as usize % batches.len()]);
        while number * BATCH > confirmed + 50_000 {
            confirmed = ch.expect::<basic::Ack>().delivery_tag;
        }
    }
    while confirmed < total {
        confirmed = ch.expect::<basic::Ack>().delivery_tag;
    }
    let rate = total as f64 / begin.elapsed().as_secs_f64();
    println!("inserted {rate:.0}/s, confirmed; {} MiB", resident(&broker));
    drop(conn);
    println!("at rest: {} MiB", at_rest(&broker));
    let begin = Instant::now();
    broker.crash();
    println!("killed and up again in {:?}; {} MiB", begin.elapsed(), resident(&broker));
    println!("at rest: {} MiB", at_rest(&broker));
}

#[test]
#[ignore = "it takes long and judges nothing"]
fn messages_come_when_they_are_due() {
    let broker = Broker::start();
    let name = unique("due");
    queue(&broker, &name);
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    ch.consume_with(consume_no_ack(&name, "c"));
    let mut random = Random::seeded(2);
    let begin = Instant::now();
    let now = || begin.elapsed().as_micros() as u64;
    let count = 2000;
    for _ in 0..count {
        let ms = 500 + random.below(2000);
        let due = now() + ms as u64 * 1000;
        let properties = headers([("x-delay", long(ms as i64))]).with_delivery_mode(2);
        ch.publish_with(publish("", &name), &properties, due.to_be_bytes());
    }
    let mut late: Vec<i64> = (0..count)
        .map(|_| {
            let due = u64::from_be_bytes(ch.delivery().body[..].try_into().unwrap());
            now() as i64 - due as i64
        })
        .collect();
    late.sort_unstable();
    let at =
        |part: usize| Duration::from_micros(late[(late.len() - 1) * part / 1000].max(0) as u64);
    println!("late: p50 {:?}, p99 {:?}, longest {:?}", at(500), at(990), at(1000));
}

#[test]
#[ignore = "it takes long and judges nothing"]
fn many_are_due_at_once() {
    let broker = Broker::start();
    let name = unique("burst");
    queue(&broker, &name);
    let mut conn = broker.connect();
    let mut ch = conn.channel_confirming(1);
    let mut random = Random::seeded(3);
    let (begin, total) = (Instant::now(), 200_000);
    for _ in 0..total / BATCH {
        let batch = messages(&mut random, &name, 10_000, 10_100);
        ch.conn.send_raw(&batch);
    }
    ch.confirmed(1, total);
    println!("in after {:?}", begin.elapsed());
    drop(conn);
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    ch.consume_with(consume_no_ack(&name, "c"));
    ch.delivery();
    println!("first after {:?}", begin.elapsed());
    for _ in 1..total {
        ch.delivery();
    }
    println!("all after {:?}; {} MiB", begin.elapsed(), resident(&broker));
}
