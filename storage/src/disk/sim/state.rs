//! All that handles of a simulated disk share.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::Tearing;
use super::crash::Crash;
use super::faults::{Fault, Faults};
use super::inode::{Inode, SECTOR};
use super::names::Names;
use super::random::Random;

/// What is kept of removed files, to be found again where it should not matter.
const FREED: usize = 64 * SECTOR;

#[derive(Debug)]
pub(super) struct State {
    pub names: Names,
    pub inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    pub locks: BTreeSet<PathBuf>,
    pub random: Random,
    pub tearing: Tearing,
    pub faults: Faults,
    /// Bytes of the whole disk.
    pub capacity: Option<u64>,
    /// How often something may be opened yet.
    pub openings: Option<u64>,
    /// It does not say how much room it has.
    pub mute: bool,
    pub steps: u64,
    pub read_bytes: u64,
    /// The step at which it crashes.
    pub crash_at: Option<u64>,
    pub crashed: bool,
    freed: Vec<u8>,
}

fn missing(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{}: no such file", path.display()))
}

/// A file offset as a position in memory.
pub(super) fn position(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(io::Error::other)
}

impl State {
    pub fn new(seed: u64) -> Self {
        let mut names = Names::default();
        names.directories.insert(PathBuf::from("/"));
        Self {
            names,
            inodes: BTreeMap::new(),
            next_inode: 1,
            locks: BTreeSet::new(),
            random: Random::new(seed),
            tearing: Tearing::default(),
            faults: Faults::default(),
            capacity: None,
            openings: None,
            mute: false,
            steps: 0,
            read_bytes: 0,
            crash_at: None,
            crashed: false,
            freed: Vec::new(),
        }
    }

    pub fn alive(&self) -> io::Result<()> {
        if self.crashed { Err(io::Error::other("the simulated disk has crashed")) } else { Ok(()) }
    }

    pub fn find(&self, path: &Path) -> io::Result<u64> {
        self.names.get(path).ok_or_else(|| missing(path))
    }

    pub fn inode(&mut self, number: u64) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&number).ok_or_else(|| io::Error::other("no such inode"))
    }

    pub fn directory(&self, path: &Path) -> io::Result<()> {
        if self.names.directories.contains(path) { Ok(()) } else { Err(missing(path)) }
    }

    /// Whether something may be opened now.
    pub fn openable(&mut self) -> io::Result<()> {
        match &mut self.openings {
            Some(0) => Err(Fault::NoDescriptor.error()),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Whether a file could be created.
    pub fn creatable(&self, path: &Path) -> io::Result<()> {
        self.directory(path.parent().unwrap_or(path))?;
        if self.names.get(path).is_some() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, path.display().to_string()));
        }
        Ok(())
    }

    /// What the file system says to a change of names.
    fn named(&mut self) -> io::Result<()> {
        self.faults.names.tick().map_or(Ok(()), |fault| Err(fault.error()))
    }

    pub fn create(&mut self, path: &Path) -> io::Result<u64> {
        self.creatable(path)?;
        self.named()?;
        let number = self.next_inode;
        self.next_inode += 1;
        self.inodes.insert(number, Inode::default());
        self.names.create(path, number);
        Ok(number)
    }

    pub fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.directory(to.parent().unwrap_or(to))?;
        let inode = self.find(from)?;
        self.named()?;
        let replaced = self.names.get(to);
        self.names.rename(from, to, inode);
        replaced.into_iter().for_each(|number| self.forget(number));
        Ok(())
    }

    pub fn remove(&mut self, path: &Path) -> io::Result<()> {
        let number = self.find(path)?;
        self.named()?;
        self.names.remove(path);
        if let Some(inode) = self.inodes.get(&number) {
            let whole = inode.contents().len() / SECTOR * SECTOR;
            self.freed.extend(inode.contents().iter().take(whole.min(FREED)));
            let excess = self.freed.len().saturating_sub(FREED);
            self.freed.drain(..excess);
        }
        self.forget(number);
        Ok(())
    }

    /// Frees the memory of a file that nobody can reach any more.
    pub fn forget(&mut self, number: u64) {
        let open = self.inodes.get(&number).is_some_and(|inode| inode.handles > 0);
        if !open && !self.names.know(number) {
            self.inodes.remove(&number);
        }
    }

    /// Bytes that the disk has left.
    pub fn free(&self) -> u64 {
        self.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(self.used()))
    }

    /// Bytes of all files that have a name or are open.
    pub fn used(&self) -> u64 {
        let linked: BTreeSet<u64> = self.names.files().values().copied().collect();
        let taken = |(number, inode): (&u64, &Inode)| {
            let takes = inode.handles > 0 || linked.contains(number);
            if takes { inode.used() } else { 0 }
        };
        self.inodes.iter().map(taken).sum()
    }

    /// Writes as much as there is room for.
    pub fn write(&mut self, number: u64, bytes: &[u8], offset: u64) -> io::Result<()> {
        let at = position(offset)?;
        let free = self.free();
        let fault = self.faults.writes.tick();
        let inode = self.inodes.get_mut(&number).ok_or_else(|| missing(Path::new("?")))?;
        let mut len = bytes.len();
        let mut error = None;
        if inode.lacking(&(at..at + len)) > free {
            error = Some(Fault::NoSpace);
            while len > 0 && inode.lacking(&(at..at + len)) > free {
                len = len.saturating_sub(SECTOR);
            }
        }
        if let Some(fault) = fault {
            error = Some(fault);
            len = self.random.index(len + 1);
        }
        inode.write(at, bytes.get(..len).unwrap_or(bytes));
        error.map_or(Ok(()), |fault| Err(fault.error()))
    }

    pub fn allocate(&mut self, number: u64, len: u64) -> io::Result<()> {
        let len = position(len)?;
        let free = self.free();
        let inode = self.inode(number)?;
        if inode.lacking(&(0..len)) > free {
            return Err(Fault::NoSpace.error());
        }
        inode.allocate(len);
        Ok(())
    }

    pub fn sync(&mut self, number: u64) -> io::Result<()> {
        let fault = self.faults.syncs.tick();
        let inode = self.inodes.get_mut(&number).ok_or_else(|| missing(Path::new("?")))?;
        let Some(fault) = fault else {
            inode.sync();
            return Ok(());
        };
        inode.sync_in_vain(&mut Crash::of_sync(&mut self.random, &self.freed));
        Err(fault.error())
    }

    pub fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        self.directory(path)?;
        self.openable()?;
        if let Some(fault) = self.faults.syncs.tick() {
            return Err(fault.error());
        }
        self.names.sync(path);
        let unreachable: Vec<u64> = self.inodes.keys().copied().collect();
        unreachable.into_iter().for_each(|number| self.forget(number));
        Ok(())
    }

    /// What a new process finds after a power failure.
    pub fn image(&self, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut crash = Crash::new(&mut random, self.tearing, &self.freed);
        let names = self.names.image(&mut crash);
        let mut inodes = BTreeMap::new();
        for number in names.files().values() {
            if let Some(inode) = self.inodes.get(number) {
                inodes.insert(*number, inode.image(&mut crash));
            }
        }
        self.successor(seed, names, inodes)
    }

    /// What a new process finds when only this one has ended.
    pub fn after_kill(&self, seed: u64) -> Self {
        let inodes = self.inodes.iter().map(|(number, inode)| (*number, inode.after_kill()));
        self.successor(seed, self.names.clone(), inodes.collect())
    }

    fn successor(&self, seed: u64, names: Names, inodes: BTreeMap<u64, Inode>) -> Self {
        Self {
            names,
            inodes,
            next_inode: self.next_inode,
            tearing: self.tearing,
            capacity: self.capacity,
            freed: self.freed.clone(),
            ..Self::new(seed)
        }
    }
}
