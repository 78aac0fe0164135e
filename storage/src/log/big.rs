//! Payloads in files of their own.

use std::io;

use bytes::Bytes;

use super::engine::{Engine, count};
use super::group::Group;
use super::index::BigId;
use super::record::BigFile;

impl Engine {
    /// Makes the big payloads of a group durable, before the records that point to them are.
    pub(super) fn write_big(&self, group: &Group) -> io::Result<()> {
        for (id, payload) in &group.big {
            let path = self.files.big(*id);
            // A disk that was full may have left the beginning of it.
            self.files.remove(&path)?;
            let file = self.files.disk.create(&path)?;
            file.write_at(payload, 0)?;
            file.sync_data()?;
            count(&self.counters.big, payload.len());
        }
        if group.big.is_empty() { Ok(()) } else { self.files.sync_big() }
    }

    /// A big payload, from memory or its file.
    pub(super) fn read_big(&self, file: BigFile) -> Result<Bytes, String> {
        let id = BigId(file.id);
        if let Some(payload) = self.inner.lock().unwritten_big.get(&id) {
            return Ok(payload.clone());
        }
        let path = self.files.big(id);
        let payload = self.files.read(&path).map_err(|error| error.to_string())?;
        if payload.len() as u64 != file.len || crc32c::crc32c(&payload) != file.crc {
            return Err(format!("{} is not what was written", path.display()));
        }
        Ok(payload.into())
    }
}
