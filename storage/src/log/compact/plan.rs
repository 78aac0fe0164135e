//! Which segments are worth compacting.

use super::super::index::SegmentId;

/// The most messages that are gathered at once, for the memory that their places take meanwhile.
const MESSAGES: u64 = 1 << 20;
/// The most octets of segments that are gathered from: what is copied can be more than was thought,
/// since a payload that several messages share may belong to one that is settled.
const OCTETS: u64 = 1 << 30;
/// What a segment takes besides its records, about.
const OVERHEAD: u64 = 2048;

/// A sealed segment, and what of it is needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Candidate {
    pub id: SegmentId,
    /// Octets of its file.
    pub used: u64,
    /// Octets of what is live, about.
    pub live: u64,
    pub messages: u64,
}

/// What a plan has to keep to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Bounds {
    /// The most octets to write.
    pub most: u64,
    /// The fewest octets to give back.
    pub least: u64,
    /// Room is needed: otherwise as much as what is live may lie idle.
    pub urgent: bool,
}

/// The segments whose messages should be gathered in another one; none if it is not worth it. Those
/// with the fewest live octets cost the least for what they give.
pub(super) fn plan(mut candidates: Vec<Candidate>, bounds: Bounds) -> Vec<SegmentId> {
    let used: u64 = candidates.iter().map(|segment| segment.used).sum();
    let live: u64 = candidates.iter().map(|segment| segment.live).sum();
    if !bounds.urgent && used <= 2 * live {
        return Vec::new();
    }
    candidates.retain(|segment| segment.messages > 0 && 2 * segment.live <= segment.used);
    candidates.sort_unstable_by_key(|segment| (segment.live, segment.id));
    let (mut chosen, mut written, mut gathered, mut messages) = (Vec::new(), OVERHEAD, 0, 0);
    for segment in candidates {
        written += segment.live;
        gathered += segment.used;
        messages += segment.messages;
        let too_many = messages > MESSAGES && !chosen.is_empty();
        if written > bounds.most || gathered > OCTETS || too_many {
            (written, gathered) = (written - segment.live, gathered - segment.used);
            break;
        }
        chosen.push(segment.id);
    }
    if gathered >= written + bounds.least { chosen } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(id: u64, used: u64, live: u64) -> Candidate {
        Candidate { id: SegmentId(id), used, live, messages: live.div_ceil(100) }
    }

    fn ids(candidates: &[Candidate], bounds: Bounds) -> Vec<u64> {
        plan(candidates.to_vec(), bounds).iter().map(|id| id.0).collect()
    }

    const USUAL: Bounds = Bounds { most: 1 << 20, least: 2 << 20, urgent: false };

    #[test]
    fn segments_with_little_in_them_go_first_and_full_ones_stay() {
        let all = [
            segment(0, 1 << 20, 300_000),
            segment(1, 1 << 20, 100),
            segment(2, 1 << 20, 600_000),
            segment(3, 1 << 20, 0),
            segment(4, 1 << 20, 200),
            segment(5, 1 << 20, 50),
        ];
        assert_eq!(ids(&all, USUAL), [5, 1, 4, 0]);
    }

    #[test]
    fn as_much_as_is_live_may_lie_idle() {
        let all = [segment(0, 10 << 20, 1), segment(1, 11 << 20, 11 << 20)];
        assert!(ids(&all, USUAL).is_empty());
        assert_eq!(ids(&all, Bounds { urgent: true, ..USUAL }), [0]);
    }

    #[test]
    fn little_garbage_is_left_alone() {
        let all = [segment(0, 1 << 20, 100), segment(1, 1 << 20, 100)];
        assert!(ids(&all, USUAL).is_empty());
        assert_eq!(ids(&all, Bounds { least: 1 << 19, ..USUAL }), [0, 1]);
    }

    #[test]
    fn no_more_is_written_than_there_is_room_for() {
        let all: Vec<_> = (0..10).map(|id| segment(id, 1 << 20, 100_000)).collect();
        assert_eq!(ids(&all, Bounds { most: 350_000, ..USUAL }), [0, 1, 2]);
        assert!(ids(&all, Bounds { most: 50_000, ..USUAL }).is_empty());
    }

    #[test]
    fn what_is_held_in_memory_meanwhile_is_bounded() {
        let many: Vec<_> = (0..10)
            .map(|id| Candidate { messages: MESSAGES / 2, ..segment(id, 4 << 20, 1) })
            .collect();
        assert_eq!(ids(&many, USUAL), [0, 1]);
        let large: Vec<_> = (0..10).map(|id| segment(id, OCTETS / 2, 1)).collect();
        assert_eq!(ids(&large, USUAL), [0, 1]);
    }
}
