//! sled 0.34 as it is: keys are positions, values are bodies.

use std::fs::File;
use std::path::Path;

use anyhow::Result;
use bytes::Bytes;

use crate::engine::Engine;

/// One tree.
pub struct Embedded {
    database: sled::Db,
    tree: sled::Tree,
    /// To make its own flush, which does not reach the device's cache, one that does.
    file: File,
    next: u64,
    forgotten: u64,
}

impl Embedded {
    /// Opens the database in a directory.
    pub fn open(directory: &Path) -> Result<Self> {
        let config = sled::Config::new().path(directory).flush_every_ms(None);
        let database = config.cache_capacity(64 << 20).open()?;
        let tree = database.open_tree("messages")?;
        let file = File::options().write(true).open(directory.join("db"))?;
        Ok(Self { database, tree, file, next: 0, forgotten: 0 })
    }

    fn flush(&self) -> Result<()> {
        self.database.flush()?;
        Ok(self.file.sync_data()?)
    }
}

impl Engine for Embedded {
    fn commit(&mut self, body: &Bytes, count: usize) -> Result<()> {
        let mut batch = sled::Batch::default();
        for _ in 0..count {
            batch.insert(&self.next.to_be_bytes(), body.as_ref());
            self.next += 1;
        }
        self.tree.apply_batch(batch)?;
        self.flush()
    }

    fn forget(&mut self) -> Result<()> {
        const AT_ONCE: usize = 1_000;
        let keys: Vec<u64> = (self.forgotten..self.next).collect();
        for part in keys.chunks(AT_ONCE) {
            let mut batch = sled::Batch::default();
            part.iter().for_each(|key| batch.remove(&key.to_be_bytes()));
            self.tree.apply_batch(batch)?;
        }
        self.forgotten = self.next;
        self.flush()
    }
}
