//! Bounds of tables, buffers and counts.

use std::time::Duration;

/// Exchanges in a virtual host.
pub const EXCHANGES_MAX: usize = 1 << 20;

/// Queues in a virtual host.
pub const QUEUES_MAX: usize = 1 << 22;

/// Bindings in a virtual host.
pub const BINDINGS_MAX: usize = 1 << 23;

/// Routing keys of one message besides its own: each of them is routed, in one go.
pub const EXTRA_KEYS_MAX: usize = 1024;

/// Octets of one read from a socket.
pub const READ_CHUNK: usize = 256 * 1024;

/// Reads of one connection before others get their turn.
pub const READS_PER_TURN: usize = 2;

/// What one read of a connection may make the broker do beyond what its octets are worth, before others
/// get their turn: so many further queues that a message goes to. A read full of small messages to
/// many queues would keep everybody waiting for seconds. It is about what a read full of small messages
/// to one queue each costs; with less, a fan-out to ten queues is slower.
pub const WORK_PER_READ: usize = 8192;

/// The same for all that one read leads to, in many turns: a connection whose reads make more goes on beside the
/// others. That costs time, as what it does is no longer done by one thread with what follows from it; a
/// fan-out of the smallest messages to ten queues makes less.
pub const WORK_ASIDE: usize = 64 * 1024;

/// So many connections may go on like that at once on a small machine; on a larger one as many as it has
/// processors.
pub const PLACES_MIN: usize = 4;

/// Messages that one method or one end of a connection has to do with, from which on this is done by a thread
/// of its own: it can't be interrupted, and nobody else should wait for it.
pub const LONG_WORK: usize = 8 * 1024;

/// Verdicts of one method for one unit of that work.
pub const SETTLED_PER_WORK: usize = 8;

/// Messages that a queue settles before others get their turn with it.
pub const SETTLED_AT_ONCE: u64 = 16 * 1024;

/// Patterns and conditions that may be compared with a message for one unit of that work.
pub const LOOKS_PER_WORK: usize = 4;

/// Octets shared by small messages that arrived together. A message that stays pins its block.
pub const MESSAGE_BLOCK: usize = 8 * 1024;

/// The first block of a read; each further one is twice as large, up to [`MESSAGE_BLOCK`], so that a
/// message that comes alone does not hold the room of many.
pub const MESSAGE_BLOCK_MIN: usize = 256;

/// Octets reserved at once for a body that is only announced; what arrives beyond grows on demand.
pub const BODY_RESERVE: usize = 1024 * 1024;

/// What is left of a body frame is read straight to its place from this size on, octets.
pub const BODY_IN_PLACE: usize = 16 * 1024;

/// After a body that was read to its place the next read is this short, octets, so that the next
/// large body is not swept into the shared buffer.
pub const READ_BETWEEN_BODIES: usize = 4 * 1024;

/// Bodies from this size on leave by reference instead of being copied into the write buffer.
pub const BODY_BY_REFERENCE: usize = 8 * 1024;

/// Messages gathered from one connection before their queues are given them.
pub const GATHER_MESSAGES: usize = 4096;

/// Octets gathered from one connection before their queues are given them.
pub const GATHER_BYTES: usize = 4 * 1024 * 1024;

/// Octets that may be on their way to the consumers of a connection (queued for it, or in its write
/// buffer), shared out among them as they come.
pub const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

/// The most of [`CONNECTION_WINDOW`] that one consumer gets.
pub const CONSUMER_WINDOW_MAX: u32 = 256 * 1024;

/// The least that one consumer gets, however many its connection has.
pub const CONSUMER_WINDOW_MIN: u32 = 16 * 1024;

/// Octets that wait in a connection's write buffer before it is read no further.
pub const WRITE_BACKLOG: usize = 1024 * 1024;

/// Octets that wait in a queue with consumers before those who stream into it are read less. Small
/// enough that what streams through stays in the processor's caches.
pub const BACKLOG_SOFT: usize = 8 * 1024 * 1024;

/// How long a streaming publisher is left alone for each [`BACKLOG_SOFT`] octets that wait.
pub const BACKLOG_PAUSE: Duration = Duration::from_millis(1);

/// The longest that it is left alone at a time.
pub const BACKLOG_PAUSE_MAX: Duration = Duration::from_millis(100);

/// Consumers of one channel.
pub const CONSUMERS_PER_CHANNEL_MAX: usize = 1 << 16;

/// Delivery tags of one channel that were held for too long and may still be settled, without effect.
pub const LATE_TAGS_MAX: usize = 1 << 16;

/// Octets that wait to be written to a connection from which on direct replies to it are dropped:
/// no queue and no prefetch bounds them.
pub const REPLY_BACKLOG: usize = 16 * 1024 * 1024;

/// How long a refused login waits for its answer, so that passwords are not guessed quickly.
pub const SILENT_CLOSE_DELAY: Duration = Duration::from_secs(3);

/// How long the broker waits for close-ok before it drops the socket.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Messages read at once from the store for a long backlog.
pub const LOAD_MESSAGES: usize = 16 * 1024;

/// The part of the memory watermark that the ready messages of one durable queue may take, as a
/// divisor; beyond it only the store holds them.
pub const HOT_SHARE: u64 = 32;

/// The least octets of that share, also when memory is short.
pub const HOT_MIN: usize = 256 * 1024;

/// The most octets of that share.
pub const HOT_MAX: usize = 64 * 1024 * 1024;

/// Messages from about this size on have files of their own in the store, octets.
pub const STORED_APART: u64 = 1024 * 1024;

/// File descriptors that connections do not get: the message store keeps up to 512 files open, and
/// makes new ones, there are two services for HTTP, and the rest is for the process itself.
pub const DESCRIPTORS_KEPT: u64 = 640 + 2 * HTTP_CONNECTIONS_MAX as u64;

/// What the process itself has open, at most: listeners, runtimes, the catalog, the log.
pub const DESCRIPTORS_OWN: u64 = 48;

/// Connections at a time of the HTTP API, and of the metrics.
pub const HTTP_CONNECTIONS_MAX: usize = 256;

/// Handshakes of TLS that go on at a time on a port for HTTP.
pub const HTTP_HANDSHAKES_MAX: usize = 64;

/// Octets of what stands before the body of a request, and of what is read or written at a time.
pub const HTTP_HEAD_MAX: usize = 64 * 1024;

/// The smallest segment of the message log, octets.
pub const SEGMENT_MIN: u64 = 1024 * 1024;

/// The largest segment of the message log, octets.
pub const SEGMENT_MAX: u64 = 1024 * 1024 * 1024;

/// Handshakes of TLS that go on at a time on one listener; what a handshake holds is some 20 KiB.
pub const HANDSHAKES_MAX: usize = 2048;
