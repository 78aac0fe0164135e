//! Figures that tests want smaller.

/// How a log works. The usual figures are the right ones, except for tests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tuning {
    /// Where random numbers begin; from the system if there is none.
    pub seed: Option<u64>,
    /// Payloads from that length on have files of their own. At most 16 MiB.
    pub big_from: usize,
    /// A group of that many octets gets no more batches: small commits must not wait behind it too
    /// long.
    pub group_bytes: usize,
    /// A batch that would make a group larger than that gets one of its own.
    pub largest_group: usize,
    /// The most octets in memory that are not written.
    pub most_pending: u64,
    /// Octets appended after which files are prepared: a store that is hardly used stays small.
    pub traffic: u64,
    /// Emptied segments that are worth a checkpoint, after which their files are free.
    pub emptied: usize,
    /// Segments' worth of what nobody needs that compaction is worth.
    pub garbage: u64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            seed: None,
            big_from: 1 << 20,
            group_bytes: 1 << 20,
            largest_group: 4 << 20,
            most_pending: 256 << 20,
            traffic: 1 << 20,
            emptied: 4,
            garbage: 4,
        }
    }
}
