//! Measures appending and durable commits, against raw writes of the same octets with fdatasync.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lepus_storage::disk::{Disk, RealDisk};
use lepus_storage::{
    Batch, LogStore, Lsn, MessageStore, Op, QueueId, Seq, SeqRange, StoreConfig, StoreError,
};

fn publish(queue: u64, seq: u64, payload: &Bytes) -> Op {
    let (queue, seq, payload) = (QueueId(queue), Seq(seq), payload.clone());
    Op::Publish { queue, seq, payload, weight: 1, shared: false }
}

fn fresh(directory: &Path, name: &str) -> LogStore {
    let path = directory.join(name);
    let _ = std::fs::remove_dir_all(&path);
    LogStore::open(&StoreConfig::new(path)).unwrap().0
}

fn wait(store: &LogStore, lsn: Lsn) {
    let durable = store.durable();
    while *durable.borrow() < lsn {
        std::thread::yield_now();
    }
}

/// Producers that do not wait, until the log takes no more for a moment.
fn appending(directory: &Path, len: usize, batch: u64, producers: u64, total: u64) {
    let store = fresh(directory, "appending");
    let payload = Bytes::from(vec![7; len]);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for queue in 0..producers {
            let (store, payload) = (&store, &payload);
            scope.spawn(move || {
                let mut seq = 0;
                while seq < total / producers {
                    let mut ops = Batch::new();
                    for at in seq..seq + batch {
                        ops.push(publish(queue, at, payload));
                    }
                    match store.append(ops) {
                        Ok(_) => seq += batch,
                        Err(StoreError::Full { .. }) => {
                            std::thread::sleep(Duration::from_millis(1))
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
    let took = begin.elapsed().as_secs_f64();
    let rate = total as f64 / took / 1e6;
    println!("append {len} B x {batch}, {producers} producers: {rate:.2} M/s");
}

/// One producer that waits for each batch.
fn durable(directory: &Path, len: usize, batch: u64, rounds: u64) {
    let store = fresh(directory, "durable");
    let payload = Bytes::from(vec![7; len]);
    let mut times = Vec::new();
    for round in 0..rounds {
        let begin = Instant::now();
        let mut ops = Batch::new();
        let first = round * batch;
        for seq in first..first + batch {
            ops.push(publish(1, seq, &payload));
        }
        let lsn = store.append(ops).unwrap();
        wait(&store, lsn);
        times.push(begin.elapsed());
        let range = SeqRange { first: Seq(0), last: Seq(first) };
        let settle = Op::Settle { queue: QueueId(1), ranges: vec![range], weight: 0 };
        let mut ops = Batch::new();
        ops.push(settle);
        store.append(ops).unwrap();
    }
    let raw = raw(directory, (len + 30) * batch as usize + 40, rounds);
    times.sort();
    let log = times[times.len() / 2];
    let ratio = log.as_secs_f64() / raw.as_secs_f64();
    println!("durable {len} B x {batch}: p50 {log:?}, raw {raw:?}, ratio {ratio:.2}");
}

/// The median of a write and a sync in a file that was written before.
fn raw(directory: &Path, len: usize, rounds: u64) -> Duration {
    let path = directory.join("raw");
    let _ = std::fs::remove_file(&path);
    let file = RealDisk.create(&path).unwrap();
    let bytes = vec![7; len.next_multiple_of(512)];
    let whole = (bytes.len() as u64 * rounds).min(64 << 20);
    let fill = vec![0; 1 << 20];
    (0..=whole >> 20).for_each(|at| file.write_at(&fill, at << 20).unwrap());
    file.sync_data().unwrap();
    let mut times = Vec::new();
    for round in 0..rounds {
        let begin = Instant::now();
        file.write_at(&bytes, round * bytes.len() as u64 % whole).unwrap();
        file.sync_data().unwrap();
        times.push(begin.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}

fn main() {
    let directory = std::env::args().nth(1).unwrap_or_else(|| "target/append".to_owned());
    let directory = Path::new(&directory);
    std::fs::create_dir_all(directory).unwrap();
    appending(directory, 16, 100, 8, 8_000_000);
    appending(directory, 1024, 32, 4, 1_000_000);
    for (len, batch, rounds) in
        [(1024, 1, 2000), (16, 32, 2000), (1024, 32, 2000), (1024, 512, 300)]
    {
        durable(directory, len, batch, rounds);
    }
}
