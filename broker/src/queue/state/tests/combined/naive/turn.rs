//! Whose turn it is.

use super::super::super::*;
use super::{Model, Place, round};

impl Model {
    /// The first ready message of each level that has one, the highest first.
    pub(super) fn heads(&self) -> Vec<usize> {
        let first = |level| {
            let ready = |at: &usize| self.items[*at].is_ready() && self.items[*at].level == level;
            (0..self.items.len())
                .filter(ready)
                .min_by_key(|at| (self.items[*at].place == Place::Line, self.items[*at].number))
        };
        (0..=self.priorities.max).rev().filter_map(first).collect()
    }

    /// The message whose turn it is.
    pub(super) fn first(&self) -> Option<usize> {
        let heads = self.heads();
        match self.priorities.mode {
            PriorityMode::Strict => heads.first().copied(),
            PriorityMode::Weighted => {
                let left = |at: &&usize| self.turns[usize::from(self.items[**at].level)] > 0;
                heads.iter().find(left).or(heads.first()).copied()
            }
            PriorityMode::Aging(ms) => heads.into_iter().min_by_key(|at| {
                let item = &self.items[*at];
                item.arrived as i64 - ms as i64 * i64::from(item.level)
            }),
        }
    }

    pub(super) fn take_turn(&mut self, at: usize) {
        let level = usize::from(self.items[at].level);
        if self.turns[level] == 0 {
            self.turns = round(self.priorities.max);
        }
        self.turns[level] -= 1;
    }
}
