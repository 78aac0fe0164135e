//! The store as it will be when what is being prepared has been written.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use sled::{Batch, IVec, Tree};

/// A tree with changes on top of it, which become a batch.
pub(super) struct View<'a> {
    tree: &'a Tree,
    writes: BTreeMap<Vec<u8>, Option<IVec>>,
}

impl<'a> View<'a> {
    pub(super) fn new(tree: &'a Tree) -> Self {
        Self { tree, writes: BTreeMap::new() }
    }

    /// What is below the changes.
    pub(super) fn tree(&self) -> &'a Tree {
        self.tree
    }

    pub(super) fn get(&self, key: &[u8]) -> sled::Result<Option<IVec>> {
        match self.writes.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.tree.get(key),
        }
    }

    pub(super) fn insert(&mut self, key: Vec<u8>, value: impl Into<IVec>) {
        self.writes.insert(key, Some(value.into()));
    }

    pub(super) fn remove(&mut self, key: Vec<u8>) {
        self.writes.insert(key, None);
    }

    /// The keys of a range, in order.
    pub(super) fn keys(&self, range: RangeInclusive<Vec<u8>>) -> sled::Result<BTreeSet<Vec<u8>>> {
        let mut keys = BTreeSet::new();
        for key in self.tree.range(range.clone()).keys() {
            keys.insert(key?.to_vec());
        }
        for (key, value) in self.writes.range(range) {
            if value.is_some() {
                keys.insert(key.clone());
            } else {
                keys.remove(key);
            }
        }
        Ok(keys)
    }

    /// The keys that change.
    pub(super) fn changed(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.writes.keys()
    }

    pub(super) fn into_batch(self) -> Batch {
        let mut batch = Batch::default();
        for (key, value) in self.writes {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        batch
    }
}
