//! Records that survive crashes: messages in queues, behind one trait.
//!
//! A queue here is a number, a message is bytes at a position: this crate knows nothing of AMQP.
//! [`MessageStore`] is the seam, [`Batch`] what is written through it. [`MemoryStore`] keeps all in
//! memory; every engine passes the same conformance suite (`conformance.rs`).

mod batch;
mod catalog;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod crash_tests;
pub mod disk;
mod distribution;
mod embedded;
mod error;
mod identity;
mod inspect;
pub mod log;
mod memory;
mod open;
mod sled_store;
mod store;

pub use batch::{Batch, Op, SeqRange, TxPart};
#[cfg(any(test, feature = "sim"))]
pub use catalog::CatalogSteps;
pub use catalog::{Catalog, FoundCatalog, OnVersion};
pub use distribution::{Distribution, Spread};
pub use error::StoreError;
pub use identity::missing;
pub use inspect::{Inspection, Report, SegmentReport, StoreKind, repair};
pub use log::LogStore;
pub use log::salvage::{Fault, Lost};
pub use memory::MemoryStore;
pub use open::open;
pub use sled_store::SledStore;
pub use store::{
    Health, MessageStore, Meta, OnDurable, QueueStats, ReadMax, Recovered, StoreConfig,
    StoreStatus, Stored,
};

/// A queue, by a number that the caller never gives to another one, not even after a deletion.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct QueueId(pub u64);

/// The position of a message in its queue. Assigned by the caller, ascending within a queue; gaps
/// are allowed. The last position, `u64::MAX`, cannot be given to a message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Seq(pub u64);

/// The position of a batch in the order of all batches of a store, from 1. Zero stands for none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Lsn(pub u64);

/// A message as the store sees it: bytes, shared by reference count.
pub type Payload = bytes::Bytes;
