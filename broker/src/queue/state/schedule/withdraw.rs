//! Messages that leave before their time.

use std::collections::BTreeSet;

use super::{Bucket, Due, Kept, Moved, Pair, Schedule, Seq};

impl Schedule {
    /// Takes those of these messages out that still wait and are not on their way already.
    pub fn withdraw(&mut self, wanted: Vec<Moved>) -> Due {
        let positions: BTreeSet<Seq> = wanted.iter().map(|moved| moved.pair.seq).collect();
        let listed = self.listed_pairs().filter(|pair| positions.contains(&pair.seq));
        let listed: BTreeSet<Seq> = listed.map(|pair| pair.seq).collect();
        let mut due = Due::default();
        for moved in wanted {
            match moved.pair.bucket() {
                None => self.withdraw_kept(moved.pair, &mut due),
                Some(bucket) if self.waits(moved.pair, bucket, &listed) => {
                    self.forget(bucket, moved.pair.seq);
                    due.moved.push(moved);
                }
                Some(_) => {}
            }
        }
        due
    }

    fn withdraw_kept(&mut self, pair: Pair, due: &mut Due) {
        let Some((_, kept)) = self.kept.remove(&pair.seq) else { return };
        self.count = self.count.saturating_sub(1);
        match kept {
            Kept::Message(message) => due.moved.push(Moved { pair, message }),
            Kept::InPlace(entry) => due.in_place.push(entry),
        }
    }

    /// What is listed may be on its way already; what is not can't be.
    fn waits(&self, pair: Pair, bucket: Bucket, listed: &BTreeSet<Seq>) -> bool {
        let Some(held) = self.buckets.get(&bucket) else { return false };
        let waits = pair.due() >= held.listed_below || listed.contains(&pair.seq);
        waits && !held.cancelled.contains(&pair.seq)
    }

    /// Has a message that was taken out wait again in its bucket; `false` if it was not taken out so.
    pub(super) fn is_back(&mut self, pair: Pair, bucket: Bucket) -> bool {
        let listed = self.listed_pairs().any(|other| other.seq == pair.seq);
        let Some(held) = self.buckets.get_mut(&bucket) else { return false };
        if !held.cancelled.remove(&pair.seq) {
            return false;
        }
        held.messages += 1;
        self.count += 1;
        let due = pair.due();
        let wanted = match &self.scan {
            Some(scan) if scan.bucket == bucket && pair.seq >= scan.until => due < scan.cut,
            // What is still to be read through will be found there.
            Some(scan) if scan.bucket == bucket && due >= scan.from => {
                pair.seq < scan.read && due < scan.cut
            }
            _ => due < held.listed_below,
        };
        if wanted && !listed {
            self.list(pair);
        }
        self.look_ahead();
        true
    }
}
