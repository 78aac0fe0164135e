//! Disks that are full, that fail, and that forget.

use super::engine::Stepped;
use super::life::Life;
use super::run::{Place, afterwards, begin, crashes};
use super::script::Event;
use super::witness::Crash;
use crate::conformance::model::Model;
use crate::disk::sim::{Fault, Random};
use crate::{Batch, Health, Op, QueueId, ReadMax, Seq, SeqRange, StoreError, Stored};

const ALL: [QueueId; 3] = [QueueId(0), QueueId(1), QueueId(2)];

/// A disk without room: publishes may be refused, nothing else; what was appended stays, and becomes
/// durable when there is room again.
pub(super) fn full_disk<S: Stepped>(seed: u64) -> u64 {
    let _place = Place(format!("full disk, seed {seed}"));
    let mut random = Random::new(seed);
    let mut life = begin::<S>(seed, S::setup(seed), 100);
    for _ in 0..random.below(60) {
        life.go_on().unwrap();
    }
    let _ = life.witness.taken();
    life.disk.set_capacity(Some(life.disk.used_bytes() + random.below(200_000)));
    let mut points = 0;
    for number in 0..60 {
        let before = life.model.clone();
        match life.script.event(&life.model) {
            // They wait for what cannot be written.
            Event::Close | Event::Checkpoint => {}
            event => life.perform(event).unwrap(),
        }
        points += crashes(&life, &before, number);
    }
    life.disk.set_capacity(None);
    life.rest();
    assert_eq!(life.store().status().health, Health::Ready);
    assert_eq!(life.durable(), life.model.latest());
    life.perform(Event::Close).unwrap();
    points
}

/// A disk that fills up with what nobody takes: when it is settled there is room again.
pub(super) fn room_comes_back<S: Stepped>(seed: u64) {
    let _place = Place(format!("room comes back, seed {seed}"));
    let mut random = Random::new(seed);
    let mut life = begin::<S>(seed, S::setup(seed), 0);
    life.disk.set_capacity(Some(1_500_000 + random.below(500_000)));
    for _ in 0..3 {
        let mut count = 0;
        while publish(&mut life, 3000) {
            count += 1;
            assert!(count < 2000, "the disk is never full");
            life.perform(Event::Work(random.below(4))).unwrap();
        }
        life.compare();
        purge(&mut life);
        // What could not be done on the full disk is tried again.
        for _ in 0..10 {
            life.rest();
        }
        assert!(publish(&mut life, 3000), "{:?}", life.store().status());
    }
    life.perform(Event::Close).unwrap();
}

fn publish<S: Stepped>(life: &mut Life<S>, len: usize) -> bool {
    let before = life.model.latest();
    let (queue, payload) = (ALL[0], vec![7; len].into());
    let seq = Seq(life.model.now.next(queue));
    let publish = Op::Publish { queue, seq, payload, weight: 1, shared: false };
    life.perform(Event::Append(Batch::from(vec![publish]))).unwrap();
    life.model.latest() > before
}

fn purge<S: Stepped>(life: &mut Life<S>) {
    let settle = |queue| {
        let weight = life.model.now.weight(queue, &[SeqRange::ALL]);
        Op::Settle { queue, ranges: vec![SeqRange::ALL], weight }
    };
    let batch = Batch::from(Vec::from(ALL.map(settle)));
    life.perform(Event::Append(batch)).unwrap();
}

/// One operation fails for good. From then on nothing is promised that is not there.
pub(super) fn failing_disk<S: Stepped>(seed: u64) -> u64 {
    let _place = Place(format!("failing disk, seed {seed}"));
    let mut random = Random::new(seed);
    let mut life = begin::<S>(seed, S::setup(seed), 100);
    life.witness.no_kills();
    for _ in 0..random.below(60) {
        life.go_on().unwrap();
    }
    let _ = life.witness.taken();
    let nth = 1 + random.below(30);
    match random.below(3) {
        0 => life.disk.fail_write(nth, Fault::Io),
        1 => life.disk.fail_sync(nth, Fault::Io),
        _ => life.disk.fail_name(nth, Fault::Io),
    }
    let mut points = 0;
    for number in 0..60 {
        let before = life.model.clone();
        let done = match life.script.event(&life.model) {
            // Opening may fail here, and then there is nothing left to look at.
            Event::Close | Event::Drop => Ok(()),
            event => life.perform(event),
        };
        points += crashes(&life, &before, number);
        match done {
            Ok(()) => {}
            Err(StoreError::Poisoned(_) | StoreError::Io(_)) => break,
            Err(other) => panic!("{other:?}"),
        }
    }
    if matches!(life.store().status().health, Health::Poisoned(_)) {
        stays_poisoned(&mut life);
    }
    // The machine is started again.
    let (least, image) = (life.durable(), life.disk.image_after_crash(seed));
    let crash = Crash { step: life.disk.steps(), image, kill: false, least, seed };
    afterwards(crash, life.model.clone(), &life, 1);
    points
}

fn stays_poisoned<S: Stepped>(life: &mut Life<S>) {
    let durable = life.durable();
    for _ in 0..3 {
        while life.store().step() {}
        let batch = life.script.batch(&life.model);
        let refused = life.store().append(batch);
        assert!(matches!(refused, Err(StoreError::Poisoned(_))), "{refused:?}");
        assert!(matches!(life.store().checkpoint(), Err(StoreError::Poisoned(_))));
        life.compare();
    }
    let mut watch = life.store().durable();
    assert_eq!(*watch.borrow_and_update(), durable);
    assert!(watch.has_changed().is_err(), "the channel is closed");
}

/// A file of a closed store is damaged: it is noticed, or it does not matter.
pub(super) fn damaged_file<S: Stepped>(seed: u64) {
    let _place = Place(format!("damaged file, seed {seed}"));
    let mut random = Random::new(seed);
    let mut life = begin::<S>(seed, S::setup(seed), 0);
    // After an unfinished transaction there would be no checkpoint, and what is missing at the end
    // of a log is not to be noticed without one.
    life.script.transactional = false;
    for _ in 0..20 + random.below(100) {
        life.go_on().unwrap();
    }
    let (disk, setup, model) = (life.disk.clone(), life.setup.clone(), life.close().unwrap());
    let paths = disk.paths();
    let path = &paths[random.index(paths.len())];
    let len = disk.contents(path).unwrap().len() as u64;
    let damage = random.below(10);
    let _place = Place(format!("{}, {len} bytes, damage {damage}", path.display()));
    match damage {
        0 => disk.lose(path).unwrap(),
        1 => disk.cut(path, random.below(len + 1)).unwrap(),
        _ => {
            for _ in 0..1 + random.below(3) {
                disk.flip_byte(path, random.below(len)).unwrap();
            }
        }
    }
    match S::open_on(&setup, std::sync::Arc::new(disk)) {
        Err(StoreError::Corrupt { .. } | StoreError::Format { .. }) => {}
        Err(other) => panic!("{other:?}"),
        Ok((store, recovered)) => {
            assert_eq!(recovered.lsn, model.latest(), "{:?}", recovered.notes);
            nothing_is_wrong(&store, &model);
        }
    }
}

/// Every message is the right one, or cannot be read.
fn nothing_is_wrong<S: Stepped>(store: &S, model: &Model) {
    for queue in ALL {
        assert_eq!(store.stats(queue), model.now.stats(queue));
        for expected in model.now.stored(queue) {
            let mut found: Vec<Stored> = Vec::new();
            let max = ReadMax { messages: 1, bytes: 0 };
            match store.read(queue, expected.seq, max, &mut found) {
                Ok(_) => assert_eq!(found, [expected]),
                Err(StoreError::Unreadable { queue: of, seq, .. }) => {
                    assert_eq!((of, seq), (queue, expected.seq));
                }
                Err(other) => panic!("{other:?}"),
            }
        }
    }
}
