//! Where every message is: per queue, runs of positions that lie in one segment.
//!
//! A run takes some 80 bytes however many messages it has; what it takes beyond that are bits, and
//! only where positions are missing or were settled out of order. The place of each message in its
//! segment is in memory while the segment is young, later in the segment's `.idx` file.

mod big;
mod bits;
mod hash;
mod image;
mod order;
mod present;
mod queue;
mod queues;
mod relocate;
mod returns;
mod run;
mod seal;
mod segments;
mod settled;

pub(crate) use big::BigId;
pub(crate) use bits::Bits;
pub(crate) use image::{Image, PlacesImage, QueueImage, RunImage};
pub(crate) use present::Present;
pub(crate) use queues::Queues;
pub(crate) use relocate::{Moved, Source};
pub(crate) use seal::{SealPart, SealTable};
pub(crate) use settled::Settled;

use crate::Seq;

#[cfg(test)]
mod tests;

/// A segment of the log, hot or cold. No two ever have the same number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(crate) struct SegmentId(pub u64);

/// Where a record is that is added to the index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct At {
    /// The segment.
    pub segment: SegmentId,
    /// Where in the segment the record begins.
    pub offset: u32,
    /// What it takes there, in bytes.
    pub bytes: u32,
}

/// Where a message is in its segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// Its record begins there.
    Offset(u32),
    /// The `.idx` file of the segment says it in the entry of this number.
    Entry(u32),
}

/// A message found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Located {
    /// Its position in the queue.
    pub seq: Seq,
    /// The segment that holds it.
    pub segment: SegmentId,
    /// Where in that segment.
    pub place: Place,
    /// How often it has come back.
    pub returns: u32,
}
