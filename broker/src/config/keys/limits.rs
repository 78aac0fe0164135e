//! How much of what there may be, and where it is kept.

use super::{Key, Names, keys};
use crate::config::value::{
    Reader, duration, fraction, number, one_of, or_infinity, path, pattern, size,
};
use crate::config::{Config, DefaultLimits, DefaultPolicy, StorageEngine, relative};
use crate::limits::{SEGMENT_MAX, SEGMENT_MIN};

pub(super) fn keys() -> Vec<Key> {
    let mut keys = resources();
    keys.extend(counts());
    keys.extend(vhosts());
    keys.extend(policies());
    keys.extend(storage());
    keys
}

fn resources() -> Vec<Key> {
    keys! {
        "vm_memory_high_watermark.relative", "0.4", fraction(0.0..=1000.0),
            "of the memory there is: what may be allocated before publishers are held back", live
            => |c, _, factor| c.memory_watermark = relative(factor);
        "vm_memory_high_watermark.absolute", "", size(0..=u64::MAX),
            "the same in octets; goes before `relative`", live
            => |c, _, octets| c.memory_watermark = octets;
        "disk_free_limit.relative", "", fraction(0.0..=1000.0),
            "of the memory there is: what must be free on the disk, or publishers are held back", live
            => |c, _, factor| c.disk_free_limit = relative(factor);
        "disk_free_limit.absolute", "50MB", size(0..=u64::MAX),
            "the same in octets; goes before `relative`", live
            => |c, _, octets| c.disk_free_limit = octets;
        "max_message_size", "134217728", size(1..=u64::MAX),
            "octets of the largest body", live
            => |c, _, octets| c.max_message_size = octets;
        "consumer_timeout", "", number(1..=u64::MAX),
            "milliseconds for which a consumer may hold a message, where its queue says nothing; without it: for ever", live
            => |c, _, time| c.consumer_timeout = Some(time);
        "default_queue_type", "classic", queue_type(),
            "the type of queues declared without one, where their virtual host says nothing", live
            => |c, _, name| name.clone_into(&mut c.default_queue_type);
    }
}

fn queue_type() -> Reader<&'static str> {
    one_of(&[
        ("classic", "classic"),
        ("quorum", "quorum"),
        ("rabbit_classic_queue", "classic"),
        ("rabbit_quorum_queue", "quorum"),
    ])
}

fn some() -> Reader<Option<u32>> {
    or_infinity(number(1..=u32::MAX))
}

fn counts() -> Vec<Key> {
    keys! {
        "connection_max", "infinity", or_infinity(number(0..=u32::MAX)),
            "connections at a time", live
            => |c, _, n| c.connection_max = n;
        "channel_max_per_node", "infinity", some(),
            "channels at a time", live
            => |c, _, n| c.channel_max_per_node = n;
        "consumer_max_per_channel", "infinity", some(),
            "consumers of one channel", live
            => |c, _, n| c.consumer_max_per_channel = n;
        "vhost_max", "infinity", or_infinity(number(0..=u32::MAX)),
            "virtual hosts", live
            => |c, _, n| c.vhost_max = n;
        "cluster_queue_limit", "infinity", some(),
            "queues of all virtual hosts"
            => |c, _, n| c.queue_max = n;
    }
}

fn vhosts() -> Vec<Key> {
    fn of<'a>(config: &'a mut Config, names: &Names<'_>) -> &'a mut DefaultLimits {
        config.default_limits.entry(names.concat()).or_default()
    }
    keys! {
        "default_limits.vhosts.$id.pattern", "", pattern(),
            "which virtual hosts to come get these limits, by name; without it: all", live
            => |c, names, pattern| of(c, names).pattern = Some(pattern);
        "default_limits.vhosts.$id.max_connections", "", number(1..=u32::MAX),
            "their connections", live
            => |c, names, n| of(c, names).max_connections = Some(n);
        "default_limits.vhosts.$id.max_queues", "", number(1..=u32::MAX),
            "their queues", live
            => |c, names, n| of(c, names).max_queues = Some(n);
    }
}

fn policies() -> Vec<Key> {
    fn of<'a>(config: &'a mut Config, names: &Names<'_>) -> &'a mut DefaultPolicy {
        config.default_policies.entry(names.concat()).or_default()
    }
    fn define(config: &mut Config, names: &Names<'_>, key: &str, value: u64) {
        of(config, names).definition.insert(key.to_owned(), value);
    }
    let milliseconds =
        || duration().map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    keys! {
        "default_policies.operator.$id.vhost_pattern", "", pattern(),
            "which virtual hosts to come get this operator policy, by name; without it: all", live
            => |c, names, pattern| of(c, names).vhost_pattern = Some(pattern);
        "default_policies.operator.$id.queue_pattern", "", pattern(),
            "its pattern; without it: all queues", live
            => |c, names, pattern| of(c, names).queue_pattern = Some(pattern);
        "default_policies.operator.$id.expires", "", milliseconds(),
            "its `expires`", live
            => |c, names, time| define(c, names, "expires", time);
        "default_policies.operator.$id.message_ttl", "", milliseconds(),
            "its `message-ttl`", live
            => |c, names, time| define(c, names, "message-ttl", time);
        "default_policies.operator.$id.max_length", "", number(1..=u64::MAX),
            "its `max-length`", live
            => |c, names, n| define(c, names, "max-length", n);
        "default_policies.operator.$id.max_length_bytes", "", size(1..=u64::MAX),
            "its `max-length-bytes`", live
            => |c, names, octets| define(c, names, "max-length-bytes", octets);
        "default_policies.operator.$id.delivery_limit", "", number(1..=u64::MAX),
            "its `delivery-limit`", live
            => |c, names, n| define(c, names, "delivery-limit", n);
    }
}

fn storage() -> Vec<Key> {
    let engine = one_of(&[("log", StorageEngine::Log), ("sled", StorageEngine::Sled)]);
    keys! {
        "data_dir", "./lepus-data", path(),
            "where messages and declarations are kept; made if need be", outside
            => |c, _, path| c.data_dir = Some(path);
        "storage.engine", "log", engine,
            "where messages are kept: a segmented log, or the embedded key-value store, which is much slower"
            => |c, _, engine| c.storage_engine = engine;
        "storage.segment_bytes", "64MiB", size(SEGMENT_MIN..=SEGMENT_MAX),
            "octets of a segment of the log"
            => |c, _, octets| c.segment_bytes = u32::try_from(octets).unwrap_or(u32::MAX);
    }
}
