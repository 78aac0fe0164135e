//! The simulated disk as an engine sees it.

use std::collections::BTreeSet;
use std::fmt::{self, Debug, Formatter};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::SimDisk;
use super::state::{State, position};
use crate::disk::{Disk, DiskFile};

struct SimFile {
    disk: SimDisk,
    inode: u64,
}

struct SimLock {
    disk: SimDisk,
    path: PathBuf,
}

/// More than the longest record: who asks for more has believed a length that is damaged.
const READ_MAX: usize = 64 << 20;

impl SimDisk {
    /// One step: what it does at once, and what it does in the end. A crash comes between the two.
    fn step(
        &self,
        half: impl FnOnce(&mut State) -> io::Result<()>,
        rest: impl FnOnce(&mut State) -> io::Result<()>,
    ) -> io::Result<()> {
        let (step, crashes, done) = {
            let mut state = self.state.lock();
            state.alive()?;
            let done = half(&mut state);
            state.steps += 1;
            (state.steps, state.crash_at == Some(state.steps), done)
        };
        let observer = self.observer.lock().clone();
        if let Some(observer) = observer {
            observer(step);
        }
        let mut state = self.state.lock();
        state.crashed |= crashes;
        state.alive()?;
        done.and_then(|()| rest(&mut state))
    }

    /// A step that a crash finds done, though not durable.
    fn change(&self, change: impl FnOnce(&mut State) -> io::Result<()>) -> io::Result<()> {
        self.step(change, |_| Ok(()))
    }

    /// A step that a crash finds not done.
    fn sync(&self, sync: impl FnOnce(&mut State) -> io::Result<()>) -> io::Result<()> {
        self.step(|_| Ok(()), sync)
    }

    fn handle(&self, state: &mut State, inode: u64) -> io::Result<Arc<dyn DiskFile>> {
        state.inode(inode)?.handles += 1;
        Ok(Arc::new(SimFile { disk: self.clone(), inode }))
    }
}

impl Disk for SimDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        if self.state.lock().names.directories.contains(path) {
            return self.state.lock().alive();
        }
        self.sync(|state| {
            let all = path.ancestors().map(Path::to_owned);
            state.names.directories.extend(all);
            Ok(())
        })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let state = self.state.lock();
        state.alive()?;
        state.directory(path)?;
        let inside = state.names.files().keys().chain(&state.names.directories);
        let inside = inside.filter(|each| each.parent() == Some(path));
        let names: BTreeSet<String> = inside
            .filter_map(|each| each.file_name())
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        Ok(names.into_iter().collect())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        {
            let mut state = self.state.lock();
            state.creatable(path)?;
            state.openable()?;
        }
        self.change(|state| state.create(path).map(drop))?;
        let mut state = self.state.lock();
        let inode = state.find(path)?;
        self.handle(&mut state, inode)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state.lock();
        state.alive()?;
        let inode = state.find(path)?;
        state.openable()?;
        self.handle(&mut state, inode)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let state = self.state.lock();
        state.alive()?;
        Ok(state.find(path).is_ok())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.state.lock().find(from)?;
        self.change(|state| state.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.state.lock().find(path)?;
        self.change(|state| state.remove(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.sync(|state| state.sync_dir(path))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Debug + Send + Sync>> {
        let exists = self.state.lock().find(path).is_ok();
        if !exists {
            self.create(path)?;
        }
        let mut state = self.state.lock();
        state.alive()?;
        if !state.locks.insert(path.to_owned()) {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, path.display().to_string()));
        }
        Ok(Box::new(SimLock { disk: self.clone(), path: path.to_owned() }))
    }

    fn free_bytes(&self, _path: &Path) -> io::Result<u64> {
        let state = self.state.lock();
        state.alive()?;
        if state.mute { Err(super::Fault::Io.error()) } else { Ok(state.free()) }
    }
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.state.lock();
        state.alive()?;
        Ok(state.inode(self.inode)?.contents().len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        assert!(buffer.len() <= READ_MAX, "{} octets are read at once", buffer.len());
        let mut state = self.disk.state.lock();
        state.alive()?;
        let inode = state.inode(self.inode)?;
        let start = position(offset)?.min(inode.contents().len());
        let end = (start + buffer.len()).min(inode.contents().len());
        let bad = |bad: &std::ops::Range<u64>| bad.start < end as u64 && (start as u64) < bad.end;
        if inode.unreadable.iter().any(bad) {
            return Err(super::Fault::Io.error());
        }
        let source = inode.contents().get(start..end).unwrap_or_default();
        if let Some(target) = buffer.get_mut(..source.len()) {
            target.copy_from_slice(source);
        }
        let read = source.len();
        state.read_bytes += read as u64;
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.change(|state| state.write(self.inode, bytes, offset))
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.disk.change(|state| state.allocate(self.inode, len))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.change(|state| {
            let len = position(len)?;
            state.inode(self.inode)?.set_len(len);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.sync(|state| state.sync(self.inode))
    }
}

impl Debug for SimFile {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "SimFile({})", self.inode)
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut state = self.disk.state.lock();
        if let Some(inode) = state.inodes.get_mut(&self.inode) {
            inode.handles = inode.handles.saturating_sub(1);
        }
        state.forget(self.inode);
    }
}

impl Debug for SimLock {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "SimLock({})", self.path.display())
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.state.lock().locks.remove(&self.path);
    }
}
