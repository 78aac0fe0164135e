//! Payloads that have files of their own.

use std::collections::BTreeMap;

/// A file that holds one payload.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct BigId(pub u64);

/// How many messages point to each file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct BigFiles {
    files: BTreeMap<BigId, BigFile>,
    freed: Vec<BigId>,
    bytes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct BigFile {
    len: u64,
    messages: u64,
}

impl BigFiles {
    /// Another message points to the file.
    pub(super) fn add(&mut self, id: BigId, len: u64) {
        let file = self.files.entry(id).or_insert(BigFile { len, messages: 0 });
        if file.messages == 0 {
            self.bytes = self.bytes.saturating_add(file.len);
        }
        file.messages += 1;
    }

    /// A message that pointed to the file is gone.
    pub(super) fn release(&mut self, id: BigId) {
        if let Some(file) = self.files.get_mut(&id) {
            file.messages = file.messages.saturating_sub(1);
            if file.messages == 0 {
                self.bytes = self.bytes.saturating_sub(file.len);
                self.files.remove(&id);
                self.freed.push(id);
            }
        }
    }

    pub(super) fn take_freed(&mut self) -> Vec<BigId> {
        std::mem::take(&mut self.freed)
    }

    /// Whether a message points to the file.
    pub(super) fn is_needed(&self, id: BigId) -> bool {
        self.files.contains_key(&id)
    }

    /// The files with their lengths.
    pub(super) fn all(&self) -> impl Iterator<Item = (BigId, u64)> {
        self.files.iter().map(|(&id, file)| (id, file.len))
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}
