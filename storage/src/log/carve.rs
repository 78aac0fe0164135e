//! What can still be read of a damaged part of a segment.

use super::frame::{self, FrameHeader, SECTOR};
use super::record::{self, Record};
use super::scan::Frames;
use super::segment::mix;
use std::io;

/// A part of a segment: a whole frame, or what lies between two of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stretch {
    pub at: u64,
    pub end: u64,
    /// The header of the frame, if it is whole.
    pub frame: Option<FrameHeader>,
}

/// A record.
#[derive(Clone, Copy, Debug)]
pub(super) enum Carved<'a> {
    /// As it was written, at that place within the stretch.
    Sound(u32, Record<'a>),
    /// Not as it was written, though it looks like this.
    Broken(Option<Record<'a>>),
}

impl Frames {
    /// The segment from the place reached up to its last frame. `group` is the number of the next
    /// one. Then the place reached is the end of that frame.
    pub fn stretches(&mut self, mut group: u64) -> io::Result<Vec<Stretch>> {
        let mut all = Vec::new();
        loop {
            let at = self.at;
            if let Some((header, _)) = self.next()? {
                group = header.group + 1;
                all.push(Stretch { at, end: self.at, frame: Some(header) });
                continue;
            }
            self.at = at + SECTOR as u64;
            let Some(end) = self.later(group.saturating_sub(1))? else {
                self.at = at;
                return Ok(all);
            };
            all.push(Stretch { at, end, frame: None });
            self.at = end;
        }
    }

    /// The records of a stretch, those of a damaged one as far as they can be read.
    pub fn carve(&mut self, stretch: &Stretch) -> io::Result<Vec<Carved<'_>>> {
        let generation = self.header.generation;
        let bytes = self.bytes(stretch.at, stretch.end)?;
        let header = FrameHeader::decode(bytes, generation);
        let len = header.map_or(bytes.len(), |header| frame::HEADER + header.len as usize);
        Ok(carve(bytes.get(..len).unwrap_or(bytes), mix(generation)))
    }
}

/// Takes a frame apart whose header may be damaged too.
fn carve(bytes: &[u8], mix: u32) -> Vec<Carved<'_>> {
    let mut carved = Vec::new();
    let mut at = frame::HEADER;
    while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= record::PREFIX) {
        if let Some((record, len)) = record::decode(rest, mix) {
            carved.push(Carved::Sound(at as u32, record));
            at += len;
            continue;
        }
        let seems = record::decode_checked(rest);
        let follows =
            |len: usize| rest.get(len..).is_some_and(|next| next.is_empty() || is_sound(next, mix));
        if let Some((record, len)) = seems.filter(|(_, len)| follows(*len)) {
            carved.push(Carved::Broken(Some(record)));
            at += len;
            continue;
        }
        let rest_is_padding = rest.iter().all(|octet| *octet == 0);
        if !rest_is_padding {
            carved.push(Carved::Broken(None));
        }
        let next = (at + 1..bytes.len())
            .find(|&next| bytes.get(next..).is_some_and(|rest| is_sound(rest, mix)));
        let Some(next) = next else { break };
        at = next;
    }
    carved
}

/// Whether a record begins here. The cheap looks come first: this is asked of each octet.
fn is_sound(bytes: &[u8], mix: u32) -> bool {
    record::is_plausible(bytes) && record::decode(bytes, mix).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::record::{Encoder, Position};
    use crate::{QueueId, Seq};

    const MIX: u32 = 0x1234_5678;

    fn frame() -> (Vec<u8>, Vec<usize>) {
        let mut bytes = vec![0; frame::HEADER];
        let mut places = Vec::new();
        for seq in 0..4 {
            places.push(bytes.len());
            let at = Position { queue: QueueId(1), seq: Seq(seq), weight: 1 };
            let (head, crc) = record::publish_head(at, b"some payload");
            let mut encoder = Encoder { to: &mut bytes, mix: MIX };
            encoder.publish(&head, crc, b"some payload");
        }
        (bytes, places)
    }

    fn sound(bytes: &[u8]) -> Vec<u32> {
        let places = carve(bytes, MIX).into_iter().filter_map(|carved| match carved {
            Carved::Sound(at, _) => Some(at),
            Carved::Broken(_) => None,
        });
        places.collect()
    }

    #[test]
    fn one_damaged_octet_costs_one_record() {
        let (bytes, places) = frame();
        for at in frame::HEADER..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x55;
            let hit = places.iter().rposition(|place| *place <= at).unwrap();
            let left: Vec<u32> = places.iter().map(|place| *place as u32).collect();
            let left: Vec<u32> = [&left[..hit], &left[hit + 1..]].concat();
            assert_eq!(sound(&bytes), left, "octet {at}");
        }
    }

    #[test]
    fn what_a_damaged_record_was_is_told_if_its_length_is_right() {
        let (mut bytes, places) = frame();
        bytes[places[1] + record::PUBLISH] ^= 1;
        let broken = carve(&bytes, MIX).into_iter().find_map(|carved| match carved {
            Carved::Broken(Some(Record::Publish { at, .. })) => Some(at.seq),
            _ => None,
        });
        assert_eq!(broken, Some(Seq(1)));
    }
}
