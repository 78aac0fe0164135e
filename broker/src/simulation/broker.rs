//! One life of the broker, on a simulated disk, without threads.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lepus_storage::disk::sim::{Random, SimDisk};
use lepus_storage::log::Tuning;
use lepus_storage::{
    Catalog, CatalogSteps, FoundCatalog, LogStore, MessageStore, Meta, QueueId, ReadMax, Seq,
    StoreConfig,
};

use super::laws::{self, Owner};
use super::letter::{HIGH, id_of, queue_name};
use super::scene::WATERMARK;
use super::watched::Watched;
use crate::access::record::is_key;
use crate::clock::Clock;
use crate::config::Config;
use crate::durability::Durability;
use crate::message::{Message, Waiting};
use crate::node::Node;
use crate::queue::Queue;
use crate::queue::state::place::{at_in_store, from_store, level_in_store};
use crate::queue::state::schedule::Bucket;
use crate::stores::{OpenedCatalog, OpenedMessages, Stores};
use crate::topology::record::Record;

const DIRECTORY: &str = "/data/store";

/// How a broker is set up: the same for all its lives.
#[derive(Clone, Default)]
pub struct Setup {
    segment_bytes: u32,
    tuning: Tuning,
    pub hot_max: usize,
    pub disk_free_limit: u64,
}

impl Setup {
    /// Sizes so small that everything happens often.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x5e70);
        let tuning = Tuning {
            seed: Some(random.number()),
            big_from: 6000,
            group_bytes: 100 << random.below(7),
            largest_group: 16_000,
            traffic: 10_000,
            emptied: 1 + random.index(4),
            ..Tuning::default()
        };
        Self {
            segment_bytes: 16_384 << random.below(2),
            tuning,
            hot_max: 500 << random.below(8),
            disk_free_limit: 1000,
        }
    }
}

/// A broker.
pub struct Broker {
    pub node: Arc<Node>,
    pub store: Arc<Watched>,
    pub catalog: CatalogSteps,
    clock: Arc<AtomicU64>,
}

/// What a broker has found on its disk.
pub struct Recovery {
    /// The position of the last batch.
    pub lsn: u64,
    /// The version of what is declared.
    pub version: u64,
    pub exchanges: BTreeSet<String>,
    /// With their ids.
    pub queues: BTreeSet<(String, u64)>,
    /// Exchange, routing key, queue.
    pub bindings: BTreeSet<(String, String, String)>,
    /// Names in the store of what has rules, and all that messages were stored under.
    pub owners: BTreeMap<u64, Owner>,
    pub names: BTreeSet<u64>,
}

impl Broker {
    /// A new process at a time, in ms.
    pub fn open(setup: &Setup, disk: &SimDisk, found: Meta, now: u64) -> (Self, Recovery) {
        let (durability, declared) = (Arc::<Durability>::default(), Arc::<Durability>::default());
        let config = StoreConfig {
            segment_bytes: setup.segment_bytes,
            on_durable: Some(durability.clone().on_durable()),
            ..StoreConfig::new(DIRECTORY)
        };
        let opened = LogStore::open_stepped(&config, Arc::new(disk.clone()), setup.tuning);
        let (log, recovered) = opened.expect("a store after a crash");
        let store = Arc::new(Watched::new(log));
        let on_version = declared.clone().on_version();
        let names = recovered.queues.iter().map(|(name, _)| name.0).collect();
        let (catalog, steps) = Catalog::stepped(found.clone(), Some(on_version));
        let (lsn, version) = (recovered.lsn.0, recovered.meta.version.max(found.version));
        let messages = OpenedMessages { store: store.clone(), recovered, durability };
        let found = FoundCatalog { meta: found, notes: Vec::new() };
        let catalog = OpenedCatalog { catalog, found, durability: declared };
        let (stores, found) = Stores::take_up(messages, catalog).expect("stores that agree");
        let mut recovery = Recovery {
            lsn,
            version,
            exchanges: BTreeSet::new(),
            queues: BTreeSet::new(),
            bindings: BTreeSet::new(),
            owners: BTreeMap::new(),
            names,
        };
        let entries = found.entries.iter().filter(|(key, _)| !is_key(key));
        for (_, value) in entries {
            recovery.add(Record::decode(value).expect("a record"));
        }
        store.set_ruled(recovery.owners.keys().copied());
        let config = Config {
            memory_watermark: WATERMARK,
            data_dir: Some(PathBuf::from(DIRECTORY)),
            disk_free_limit: setup.disk_free_limit,
            frame_max: super::letter::FRAME_MAX,
            ..Config::default()
        };
        let clock = Arc::new(AtomicU64::new(now));
        let node = Node::with_clock(config, stores, Clock::Set(clock.clone()));
        node.set_hot_max(setup.hot_max);
        node.restore(found).expect("a broker as it was");
        node.set_up().expect("the default user");
        (Self { node, store, catalog: steps, clock }, recovery)
    }

    /// Declares the queues with rules.
    pub fn declare_laws(&self) -> BTreeMap<u64, Owner> {
        let owners = laws::declare(&self.node);
        self.store.set_ruled(owners.keys().copied());
        owners
    }

    /// It is that time, in ms.
    pub fn set_time(&self, now: u64) {
        self.clock.store(now, Ordering::Relaxed);
    }

    /// Messages of a queue with rules: ready and held, waiting.
    pub fn counts(&self, owner: Owner) -> (usize, usize) {
        let vhost = self.node.vhost("/").expect("the virtual host that every broker has");
        let queue = match owner {
            Owner::Queue(queue) => self.queue(queue),
            Owner::Late => vhost.read(|topology| topology.held_back(laws::LATE)),
        };
        let counts = queue.expect("a queue with rules").counts();
        (counts.ready + counts.unacked, counts.scheduled)
    }

    /// A queue, if it exists.
    pub fn queue(&self, queue: u8) -> Option<Arc<Queue>> {
        let vhost = self.node.vhost("/").expect("the virtual host that every broker has");
        vhost.read(|topology| topology.queue(&queue_name(queue), 0).ok())
    }

    /// The messages of a queue in the store, the lowest priority first: number and position.
    pub fn stored(&self, queue: u64) -> Vec<(u64, u64)> {
        let levels = (0..=HIGH).map(|level| level_in_store(QueueId(queue), level));
        levels.flat_map(|level| self.stored_in(level)).collect()
    }

    /// The messages under a name in the store: position and number.
    pub fn stored_as(&self, name: u64) -> Vec<(u64, u64)> {
        let stored = self.stored_in(QueueId(name)).into_iter();
        let waits = Bucket::parse(QueueId(name)).is_some();
        let position = |seq| if waits { seq } else { at_in_store(seq).0 };
        stored.map(|(id, seq)| (position(seq), id)).collect()
    }

    fn stored_in(&self, queue: QueueId) -> Vec<(u64, u64)> {
        let mut stored = Vec::new();
        let max = ReadMax { messages: usize::MAX, bytes: usize::MAX };
        let mut from = Seq(0);
        loop {
            let next = self.store.read(queue, from, max, &mut stored);
            let next = next.expect("messages that can be read");
            if next == from {
                break;
            }
            from = next;
        }
        let waits = Bucket::parse(queue).is_some();
        let position = |seq: Seq| if waits { seq.0 } else { from_store(queue, seq) };
        let message = |payload| match waits {
            true => Waiting::from_stored(payload).message().expect("a message that waits"),
            false => Message::from_stored(payload).expect("a message"),
        };
        let messages = stored.into_iter().map(|at| (message(at.payload), position(at.seq)));
        let messages: Vec<(Message, u64)> = messages.collect();
        let stats = self.store.stats(queue);
        let octets: usize = messages.iter().map(|(message, _)| message.body_len()).sum();
        assert_eq!((stats.messages, stats.weight), (messages.len() as u64, octets as u64));
        messages.iter().map(|(message, seq)| (id_of(message.body()), *seq)).collect()
    }

    pub fn version(&self) -> u64 {
        self.node.declared().version()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.node.loader().stop();
        self.node.dismantle();
    }
}

impl Recovery {
    fn add(&mut self, record: Record) {
        match record {
            Record::Exchange { name, id, .. } | Record::Queue { name, id, .. }
                if laws::owner(&name).is_some() =>
            {
                self.owners.extend(laws::owner(&name).map(|owner| (id, owner)));
            }
            Record::Exchange { name, .. } if name == laws::GRAVE => {}
            Record::Binding { source, .. } if [laws::GRAVE, laws::LATE].contains(&&*source) => {}
            Record::Exchange { name, .. } => {
                self.exchanges.insert(name);
            }
            Record::Queue { name, id, .. } => {
                self.queues.insert((name, id));
            }
            Record::Binding { source, destination, routing_key, .. } => {
                self.bindings.insert((source, routing_key, destination));
            }
            // What is set is looked at in the broker.
            _ => {}
        }
    }
}
