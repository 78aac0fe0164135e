//! Where the store keeps messages that wait: in queues of its own, one for each window of time.

use lepus_storage::QueueId;

/// The bit of a store's queue id that tells a bucket from a queue.
const MARK: u64 = 1 << 48;
/// The bits of a store's queue id that tell whose it is.
const OWNER: u64 = MARK - 1;
/// Windows of one width are told apart by so many bits of their number.
const SLOTS: u64 = 1 << 13;

/// A window of due times: its width, and the last bits of its number since 1970. All that wait in it
/// are in one queue of the store, in the order in which they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket {
    width: u8,
    slot: u16,
}

/// Widths of windows: in ms, how far away (in windows) a message may be for it, and how long before
/// it begins a window is opened.
struct Width {
    ms: u64,
    reach: u64,
    lead: u64,
}

/// The last one reaches as far as anything may wait.
const WIDTHS: [Width; 4] = [
    Width { ms: 1_000, reach: 120, lead: 2_000 },
    Width { ms: 60_000, reach: 120, lead: 10_000 },
    Width { ms: 3_600_000, reach: 48, lead: 300_000 },
    Width { ms: 86_400_000, reach: SLOTS / 2, lead: 3_600_000 },
];

/// What stands for messages that are in memory only.
const MEMORY: u8 = WIDTHS.len() as u8;

impl Bucket {
    /// Where a message goes at `now` whose time comes at `due`: the sooner, the narrower.
    pub fn of(now: u64, due: u64) -> Self {
        let away = due.saturating_sub(now);
        let fits = |width: &Width| away < width.ms * width.reach;
        let width = WIDTHS.iter().position(fits).unwrap_or(WIDTHS.len() - 1);
        Self::at(width as u8, due)
    }

    /// The bucket of a width that has a due time.
    pub fn at(width: u8, due: u64) -> Self {
        let number = due / WIDTHS.get(usize::from(width)).map_or(1, |width| width.ms);
        Self { width, slot: (number % SLOTS) as u16 }
    }

    /// What stands for the bucket of a due time in a list, with that.
    pub fn code(self) -> u8 {
        self.width
    }

    /// The bucket that [`Self::code`] stood for; `None` for a message in memory.
    pub fn decode(code: u8, due: u64) -> Option<Self> {
        (code < MEMORY).then(|| Self::at(code, due))
    }

    /// The code of messages that are in memory only.
    pub fn memory() -> u8 {
        MEMORY
    }

    /// When the window of a due time begins.
    pub fn start(self, due: u64) -> u64 {
        due - due % self.length()
    }

    /// How long before its first message is due it must be read.
    pub fn lead(self) -> u64 {
        self.width().lead
    }

    /// How long its window is, in ms.
    pub fn length(self) -> u64 {
        self.width().ms
    }

    fn width(self) -> &'static Width {
        WIDTHS.get(usize::from(self.width)).unwrap_or(&WIDTHS[0])
    }

    /// Its name in the store, for messages that `owner` holds back.
    pub fn stored_as(self, owner: QueueId) -> QueueId {
        let bits = u64::from(self.slot) << 51 | u64::from(self.width) << 49;
        QueueId(owner.0 & OWNER | MARK | bits)
    }

    /// The owner and the bucket that a name in the store stands for, if it is that of a bucket.
    pub fn parse(id: QueueId) -> Option<(QueueId, Self)> {
        let bucket = Self { width: (id.0 >> 49 & 3) as u8, slot: (id.0 >> 51) as u16 };
        (id.0 & MARK != 0).then_some((QueueId(id.0 & OWNER), bucket))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const YEAR: u64 = 365 * 86_400_000;

    proptest! {
        #[test]
        fn a_bucket_is_found_again(owner in 0u64..1 << 48, now in 0..100 * YEAR, wait in 0..10 * YEAR) {
            let bucket = Bucket::of(now, now + wait);
            prop_assert_eq!(Bucket::parse(bucket.stored_as(QueueId(owner))), Some((QueueId(owner), bucket)));
            prop_assert_eq!(Bucket::decode(bucket.code(), now + wait), Some(bucket));
            prop_assert_eq!(Bucket::parse(QueueId(owner)), None);
        }
    }

    #[test]
    fn the_sooner_the_narrower() {
        let length = |wait| Bucket::of(YEAR, YEAR + wait).length();
        assert_eq!([0, 119_999].map(length), [1_000; 2]);
        assert_eq!([120_000, 7_199_999].map(length), [60_000; 2]);
        assert_eq!([7_200_000, 172_799_999].map(length), [3_600_000; 2]);
        assert_eq!([172_800_000, 10 * YEAR].map(length), [86_400_000; 2]);
    }
}
