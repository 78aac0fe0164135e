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

    /// Has a message that was taken out wait again in its bucket, if nothing but that is to be noted.
    pub(super) fn is_back(&mut self, pair: Pair, bucket: Bucket) -> bool {
        let listed = |this: &Self| this.listed_pairs().any(|other| other.seq == pair.seq);
        let Some(held) = self.buckets.get_mut(&bucket) else { return false };
        if !held.cancelled.remove(&pair.seq) || !listed(self) {
            return false;
        }
        self.count += 1;
        if let Some(held) = self.buckets.get_mut(&bucket) {
            held.messages += 1;
        }
        self.look_ahead();
        true
    }
}
