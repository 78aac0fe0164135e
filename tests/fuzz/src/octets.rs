//! Changes to octets, as a fuzzer makes them.

use proptest::prelude::*;
use proptest::sample::Index;

/// Numbers at which sizes and counters turn over, and tags of tables.
const NUMBERS: &[u32] =
    &[0, 1, 0x7f, 0xff, 0x100, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_fffe, u32::MAX];

/// One change.
#[derive(Clone, Debug)]
pub enum Edit {
    Set(Index, u8),
    Number(Index, u32),
    Insert(Index, Vec<u8>),
    Cut(Index, u8),
    Copy(Index, Index, u8),
    End(Index),
}

pub fn edits(most: usize) -> impl Strategy<Value = Vec<Edit>> {
    let at = any::<Index>;
    let edit = prop_oneof![
        4 => (at(), any::<u8>()).prop_map(|(at, octet)| Edit::Set(at, octet)),
        2 => (at(), prop::sample::select(NUMBERS)).prop_map(|(at, number)| Edit::Number(at, number)),
        1 => (at(), prop::collection::vec(any::<u8>(), 1..9)).prop_map(|(at, new)| Edit::Insert(at, new)),
        1 => (at(), 1..32_u8).prop_map(|(at, count)| Edit::Cut(at, count)),
        1 => (at(), at(), any::<u8>()).prop_map(|(from, to, count)| Edit::Copy(from, to, count)),
        1 => at().prop_map(Edit::End),
    ];
    prop::collection::vec(edit, 0..most)
}

/// The octets after these changes.
pub fn changed(octets: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut octets = octets.to_vec();
    for edit in edits {
        let place = |at: &Index| at.index(octets.len() + 1);
        match edit {
            Edit::Set(at, octet) => {
                let at = place(at);
                octets.get_mut(at).into_iter().for_each(|found| *found = *octet);
            }
            Edit::Number(at, number) => {
                let at = place(at);
                octets
                    .iter_mut()
                    .skip(at)
                    .zip(number.to_be_bytes())
                    .for_each(|(old, new)| *old = new);
            }
            Edit::Insert(at, new) => {
                let at = place(at);
                octets.splice(at..at, new.iter().copied());
            }
            Edit::Cut(at, count) => {
                let at = place(at);
                octets.drain(at..octets.len().min(at + usize::from(*count)));
            }
            Edit::Copy(from, to, count) => {
                let (from, to) = (place(from), place(to));
                let copy: Vec<u8> =
                    octets.iter().copied().skip(from).take((*count).into()).collect();
                octets.splice(to..to, copy);
            }
            Edit::End(at) => {
                let at = place(at);
                octets.truncate(at);
            }
        }
    }
    octets
}
