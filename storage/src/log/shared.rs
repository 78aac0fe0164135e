//! Payloads that other queues may be given within moments.

use std::collections::HashMap;

use bytes::Bytes;

use super::index::BigId;

/// How many are remembered.
const MOST: usize = 4096;
/// Smaller ones are rather written again than looked for.
pub(super) const WORTHWHILE: usize = 64;

/// Where a payload was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Written {
    /// In the active segment, by the record at this offset.
    Record(u32),
    /// In a file of its own.
    Big(BigId),
}

/// Payloads by the memory that they are in, which is kept alive so that it stays theirs: until the
/// next commit, so that little memory is.
#[derive(Debug, Default)]
pub(super) struct SharedPayloads {
    by_memory: HashMap<(usize, usize), (Bytes, Written)>,
}

impl SharedPayloads {
    pub fn find(&self, payload: &Bytes) -> Option<Written> {
        self.by_memory.get(&key(payload)).map(|(_, written)| *written)
    }

    pub fn remember(&mut self, payload: &Bytes, written: Written) {
        if self.by_memory.len() >= MOST {
            self.by_memory.clear();
        }
        self.by_memory.insert(key(payload), (payload.clone(), written));
    }

    /// Forgets all: they were written, or another segment is begun, which has none of them.
    #[must_use = "memory is given back when no lock is held"]
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }
}

fn key(payload: &Bytes) -> (usize, usize) {
    (payload.as_ptr() as usize, payload.len())
}
