//! Payloads in files of their own.

use std::io;

use bytes::Bytes;

use super::engine::{Engine, count};
use super::files::is_full;
use super::group::Group;
use super::index::BigId;
use super::pool;
use super::record::BigFile;

impl Engine {
    /// Makes the big payloads of a group durable, before the records that point to them are.
    pub(super) fn write_big(&self, group: &Group) -> io::Result<()> {
        if group.big.is_empty() {
            return Ok(());
        }
        self.make_way_for_big(group.big.iter().map(|(_, payload)| payload.len() as u64).sum())?;
        let done = self.write_files(group);
        if done.as_ref().is_err_and(is_full) {
            // The room that they take may be what others need to make some.
            for (id, _) in &group.big {
                let _ = self.files.remove(&self.files.big(*id));
            }
        }
        let octets = done?;
        count(&self.counters.big, octets);
        Ok(())
    }

    fn write_files(&self, group: &Group) -> io::Result<usize> {
        let mut octets = 0;
        for (id, payload) in &group.big {
            let path = self.files.big(*id);
            // An earlier attempt may have left the beginning of it.
            self.files.remove(&path)?;
            let file = self.files.create(&path)?;
            file.write_at(payload, 0)?;
            file.sync_data()?;
            octets += payload.len();
        }
        self.files.sync_big()?;
        Ok(octets)
    }

    /// Makes sure of so much room, if need be that of files kept for later segments: what is behind
    /// these payloads in the log waits for them, also what gives room. Files that are not enough are
    /// kept.
    fn make_way_for_big(&self, octets: u64) -> io::Result<()> {
        loop {
            // Otherwise writing them will say.
            let Ok(free) = self.files.free_bytes() else { return Ok(()) };
            if free >= octets {
                return Ok(());
            }
            let spare = {
                let mut inner = self.inner.lock();
                let spare = inner.pool.len() as u64 * u64::from(self.cfg.segment_bytes);
                if free + spare >= octets { inner.pool.take(true) } else { None }
            };
            let spare = spare.ok_or_else(|| io::Error::from(io::ErrorKind::StorageFull))?;
            self.files.remove(&self.files.path(&pool::name(spare.number)))?;
        }
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
