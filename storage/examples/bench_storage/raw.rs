//! The limit of the disk: one write and one fdatasync for each batch.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::Result;
use bytes::Bytes;

use crate::engine::Engine;

/// Octets of the file that was written before.
const RECYCLED: u64 = 256 << 20;
/// What a device writes as a whole: no commit touches what an earlier one has written.
const SECTOR: usize = 512;

/// What the log adds to each message and to each commit, as docs/storage-format.md has it.
const RECORD: usize = 30;
const FRAME: usize = 40;

/// How the disk is written to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The bodies alone, into a file that was written in full before.
    Bodies,
    /// As many octets as the log writes for them, into such a file.
    Records,
    /// The bodies alone, at the end of a file that grows.
    Growing,
}

/// A file.
pub struct Raw {
    file: File,
    kind: Kind,
    at: u64,
    buffer: Vec<u8>,
}

impl Raw {
    /// Makes the file.
    pub fn create(directory: &Path, kind: Kind) -> Result<Self> {
        let mut file = File::create_new(directory.join("raw"))?;
        if kind != Kind::Growing {
            let zeros = vec![0; 1 << 20];
            for _ in 0..RECYCLED >> 20 {
                file.write_all(&zeros)?;
            }
        }
        file.sync_all()?;
        Ok(Self { file, kind, at: 0, buffer: Vec::new() })
    }
}

impl Engine for Raw {
    fn commit(&mut self, body: &Bytes, count: usize) -> Result<()> {
        let len = match self.kind {
            Kind::Records => (body.len() + RECORD) * count + FRAME,
            Kind::Bodies | Kind::Growing => body.len() * count,
        };
        let len = len.next_multiple_of(SECTOR);
        // What is written is the same each time: no engine is asked to beat a copy in memory.
        self.buffer.resize(len, 0x5A);
        if self.kind != Kind::Growing && self.at + len as u64 > RECYCLED {
            self.at = 0;
        }
        self.file.write_all_at(&self.buffer, self.at)?;
        self.file.sync_data()?;
        self.at += len as u64;
        Ok(())
    }

    fn forget(&mut self) -> Result<()> {
        if self.kind == Kind::Growing {
            self.file.set_len(0)?;
            self.file.sync_all()?;
        }
        self.at = 0;
        Ok(())
    }
}
