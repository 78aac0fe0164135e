//! A broker takes up what it was when it ended.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::{Result, anyhow};
use lepus_storage::{Batch, Op, QueueId, QueueStats, ReadMax, Seq};

use crate::access;
use crate::message::Waiting;
use crate::node::Node;
use crate::queue::state::place::{is_keys, level_of, lowest_level};
use crate::queue::state::schedule::{Bucket, Found, Note};
use crate::queue::state::{Command, Past};
use crate::routing;
use crate::stores;
use crate::topology::Topology;
use crate::topology::record::Record;

impl Node {
    /// Brings back what was found in the stores. Messages of queues that are not declared any more
    /// (the broker ended between the two) are dropped.
    ///
    /// # Errors
    /// A record of the catalog that makes no sense.
    pub fn restore(self: &Arc<Self>, found: stores::Found) -> Result<()> {
        let why = |why: String| anyhow!("the catalog: {why}");
        let of_vhosts = found.entries.iter().filter(|(key, _)| !access::record::is_key(key));
        let records = of_vhosts.map(|(_, value)| Record::decode(value));
        let records: Vec<Record> = records.collect::<Result<_, _>>().map_err(why)?;
        let holders: HashMap<u64, &str> = records.iter().filter_map(holder).collect();
        let last_stored = found.queues.keys().map(|id| lowest_level(*id).0).max();
        self.census().id_is_known(last_stored.unwrap_or_default());
        self.restore_declared(&records, &found.queues).map_err(why)?;
        self.access().restore(&found.entries).map_err(why)?;
        for user in self.access().users() {
            self.usage().set_limits(&user.name, user.limits);
        }
        let orphans: Vec<&QueueId> =
            found.queues.keys().filter(|id| !holders.contains_key(&lowest_level(**id).0)).collect();
        if !orphans.is_empty() {
            tracing::warn!(queues = orphans.len(), "messages of deleted queues are dropped");
            let drops = orphans.into_iter().map(|id| Op::DropQueue { queue: *id });
            self.store().append(Batch::from(drops.collect::<Vec<_>>()))?;
        }
        for (id, buckets) in self.buckets(&found.queues) {
            let vhost = holders.get(&id.0).and_then(|vhost| self.vhost(vhost));
            let holder = vhost
                .and_then(|vhost| vhost.read(|topology| topology.holder(routing::QueueId(id.0))));
            if let Some(holder) = holder {
                holder.apply(Command::Schedule(Note::Found(buckets)));
            }
        }
        // Messages' times may be over.
        let vhosts = self.vhosts();
        let queues: Vec<_> =
            vhosts.iter().flat_map(|vhost| vhost.read(Topology::durable_queues)).collect();
        for queue in &queues {
            queue.recall_keys(found.queues.keys().copied())?;
            queue.apply(Command::Tick);
        }
        let messages = found.queues.iter().filter(|(id, _)| !is_keys(**id));
        let messages: u64 = messages.map(|(_, stats)| stats.messages).sum();
        tracing::info!(vhosts = vhosts.len(), queues = queues.len(), messages, "restored");
        Ok(())
    }

    fn restore_declared(
        self: &Arc<Self>,
        records: &[Record],
        stored: &HashMap<QueueId, QueueStats>,
    ) -> Result<(), String> {
        let is_new = self.restore_vhosts(records);
        let past = pasts(stored);
        let mut of_vhosts: HashMap<&str, Vec<&Record>> = HashMap::new();
        for record in records {
            if let Some(vhost) = record.vhost() {
                of_vhosts.entry(vhost).or_default().push(record);
            }
        }
        for vhost in self.vhosts() {
            let records = of_vhosts.remove(&*vhost.name).unwrap_or_default();
            vhost.restore(self, &records, |id| {
                past.get(&QueueId(id.0)).cloned().unwrap_or_default()
            })?;
        }
        self.restore_parameters(records)?;
        self.vhosts().iter().filter(|_| is_new).for_each(|vhost| self.give_defaults(vhost));
        Ok(())
    }

    /// What waits for a time, by whose it is.
    fn buckets(&self, queues: &HashMap<QueueId, QueueStats>) -> BTreeMap<QueueId, Vec<Found>> {
        let mut all: BTreeMap<QueueId, Vec<Found>> = BTreeMap::new();
        for (id, stats) in queues {
            if let Some((owner, bucket)) = Bucket::parse(*id) {
                let first = self.first_due(*id).unwrap_or_default();
                all.entry(owner).or_default().push(Found { bucket, stats: *stats, first });
            }
        }
        all
    }

    /// When the first message of a bucket is due, if it can be read.
    fn first_due(&self, bucket: QueueId) -> Option<u64> {
        let (max, mut first) = (ReadMax { messages: 1, bytes: 1 }, Vec::new());
        self.store().read(bucket, Seq(0), max, &mut first).ok()?;
        Some(Waiting::from_stored(first.pop()?.payload).due())
    }
}

/// The id of what may have messages in the store, and its virtual host.
fn holder(record: &Record) -> Option<(u64, &str)> {
    match record {
        Record::Queue { id, vhost, .. } | Record::Exchange { id, vhost, .. } => Some((*id, vhost)),
        _ => None,
    }
}

/// What there is of each level of each queue, the lowest first.
fn pasts(stored: &HashMap<QueueId, QueueStats>) -> HashMap<QueueId, Vec<Past>> {
    let mut pasts: HashMap<QueueId, Vec<Past>> = HashMap::new();
    for (id, stats) in stored.iter().filter(|(id, _)| is_level(**id)) {
        let (levels, level) = (pasts.entry(lowest_level(*id)).or_default(), level_of(id.0));
        if levels.len() <= usize::from(level) {
            levels.resize(usize::from(level) + 1, Past::default());
        }
        if let Some(of_level) = levels.get_mut(usize::from(level)) {
            *of_level = past(stats);
        }
    }
    pasts
}

/// Whether something of the store is messages that are ready.
fn is_level(id: QueueId) -> bool {
    Bucket::parse(id).is_none() && !is_keys(id)
}

fn past(stats: &QueueStats) -> Past {
    Past {
        first: stats.first.0,
        next: stats.next.0,
        messages: stats.messages,
        bytes: stats.weight,
        delivered: stats.delivered.0,
    }
}
