//! How much a connection makes the broker do beyond what its octets are worth.

use crate::limits::{WORK_ASIDE, WORK_PER_READ};

/// Counts what follows from the reads of a connection.
#[derive(Debug, Default)]
pub struct Effort {
    /// In this turn.
    turn: usize,
    /// In the turns before that which the same read took.
    read: usize,
    is_long: bool,
}

impl Effort {
    /// So much was done: see [`WORK_PER_READ`].
    #[inline]
    pub fn add(&mut self, work: usize) {
        self.turn += work;
    }

    /// Whether others should get their turn.
    #[inline]
    pub fn is_enough(&self) -> bool {
        self.turn >= WORK_PER_READ
    }

    /// Whether reads make so much work that it should be done beside the others'.
    #[inline]
    pub fn is_long(&self) -> bool {
        self.is_long
    }

    /// Another turn begins: with another read, or with what was left of one as it was enough.
    pub fn begin_turn(&mut self) {
        let goes_on = self.is_enough();
        self.read += std::mem::take(&mut self.turn);
        let is_long = self.read >= WORK_ASIDE;
        if goes_on {
            self.is_long |= is_long;
        } else {
            (self.is_long, self.read) = (is_long, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes turns until all of a read is done; how many of them were long.
    fn read(effort: &mut Effort, mut messages: usize, queues: usize) -> usize {
        let mut long = 0;
        while messages > 0 {
            effort.begin_turn();
            long += usize::from(effort.is_long());
            while messages > 0 && !effort.is_enough() {
                effort.add(queues);
                messages -= 1;
            }
        }
        long
    }

    #[test]
    fn a_read_that_makes_much_work_is_long_and_so_is_the_next_one() {
        let mut effort = Effort::default();
        let turns = WORK_ASIDE / WORK_PER_READ;
        assert_eq!(read(&mut effort, 10 * WORK_PER_READ + 5, 1), 11 - turns);
        assert_eq!(read(&mut effort, 10 * WORK_PER_READ + 5, 1), 11);
        assert_eq!(read(&mut effort, 2, 1), 1, "nobody knows yet");
        assert_eq!(read(&mut effort, 2, 1), 0);
    }

    #[test]
    fn reads_that_make_little_work_never_are() {
        let mut effort = Effort::default();
        assert!((0..100).all(|_| read(&mut effort, WORK_ASIDE / 10 - 1, 9) == 0));
    }
}
