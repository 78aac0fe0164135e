//! Reading a file from front to back in large pieces.

use std::io;
use std::sync::Arc;

use crate::disk::DiskFile;

/// How much is read at once, unless more is asked for.
const PIECE: usize = 1 << 20;

/// A part of a file in memory, which moves with what is asked for.
#[derive(Debug)]
pub(super) struct Window {
    file: Arc<dyn DiskFile>,
    begin: u64,
    bytes: Vec<u8>,
}

impl Window {
    pub fn new(file: Arc<dyn DiskFile>) -> Self {
        Self { file, begin: 0, bytes: Vec::new() }
    }

    /// Bytes of the file; fewer only at its end.
    pub fn get(&mut self, offset: u64, len: usize) -> io::Result<&[u8]> {
        let inside =
            offset >= self.begin && offset + len as u64 <= self.begin + self.bytes.len() as u64;
        if !inside {
            self.bytes.resize(len.max(PIECE), 0);
            let read = self.file.read_at(&mut self.bytes, offset)?;
            self.bytes.truncate(read);
            self.begin = offset;
        }
        let at = (offset - self.begin) as usize;
        let end = (at + len).min(self.bytes.len());
        Ok(self.bytes.get(at..end).unwrap_or_default())
    }
}
