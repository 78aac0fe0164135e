//! The names of files: what is durable, what is seen, and what lies between the two.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::crash::Crash;

#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    pub directories: BTreeSet<PathBuf>,
    current: BTreeMap<PathBuf, u64>,
    durable: BTreeMap<PathBuf, u64>,
    unsynced: Vec<Unsynced>,
}

#[derive(Clone, Debug)]
struct Unsynced {
    change: Change,
    /// Directories that have not been synced since. A move from one to another needs both.
    directories: Vec<PathBuf>,
}

#[derive(Clone, Debug)]
enum Change {
    Create { path: PathBuf, inode: u64 },
    Rename { from: PathBuf, to: PathBuf, inode: u64 },
    Remove { path: PathBuf },
}

impl Change {
    fn names(&self) -> Vec<&PathBuf> {
        match self {
            Self::Create { path, .. } | Self::Remove { path } => vec![path],
            Self::Rename { from, to, .. } => vec![from, to],
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Self::Create { path, inode } => {
                names.insert(path.clone(), *inode);
            }
            Self::Rename { from, to, inode } => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
            Self::Remove { path } => {
                names.remove(path);
            }
        }
    }
}

impl Names {
    pub fn get(&self, path: &Path) -> Option<u64> {
        self.current.get(path).copied()
    }

    pub fn files(&self) -> &BTreeMap<PathBuf, u64> {
        &self.current
    }

    pub fn create(&mut self, path: &Path, inode: u64) {
        self.change(Change::Create { path: path.to_owned(), inode });
    }

    pub fn rename(&mut self, from: &Path, to: &Path, inode: u64) {
        self.change(Change::Rename { from: from.to_owned(), to: to.to_owned(), inode });
    }

    pub fn remove(&mut self, path: &Path) {
        self.change(Change::Remove { path: path.to_owned() });
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.current);
        let names = change.names().into_iter();
        let mut directories: Vec<PathBuf> =
            names.filter_map(|name| name.parent().map(Path::to_owned)).collect();
        directories.dedup();
        self.unsynced.push(Unsynced { change, directories });
    }

    /// Makes durable what was done to a directory, and what those changes rest upon.
    pub fn sync(&mut self, directory: &Path) {
        let mut forced: BTreeSet<PathBuf> = BTreeSet::new();
        let mut durable = vec![false; self.unsynced.len()];
        for (unsynced, durable) in self.unsynced.iter_mut().zip(&mut durable).rev() {
            unsynced.directories.retain(|each| each != directory);
            let names = unsynced.change.names();
            if unsynced.directories.is_empty() || names.iter().any(|name| forced.contains(*name)) {
                *durable = true;
                forced.extend(names.into_iter().cloned());
            }
        }
        for (unsynced, _) in self.unsynced.iter().zip(&durable).filter(|(_, durable)| **durable) {
            unsynced.change.apply(&mut self.durable);
        }
        let mut durable = durable.into_iter();
        self.unsynced.retain(|_| !durable.next().unwrap_or(false));
    }

    /// What is found after a crash: each change is there or not, but none without an earlier one
    /// to the same name.
    pub fn image(&self, crash: &mut Crash<'_>) -> Self {
        let mut names = self.durable.clone();
        let mut lost: BTreeSet<&PathBuf> = BTreeSet::new();
        for Unsynced { change, .. } in &self.unsynced {
            let touched = change.names();
            if touched.iter().any(|name| lost.contains(*name)) || !crash.survives() {
                lost.extend(touched);
            } else {
                change.apply(&mut names);
            }
        }
        let directories = self.directories.clone();
        Self { directories, current: names.clone(), durable: names, unsynced: Vec::new() }
    }

    /// Whether a crash could bring this file back, or it is there.
    pub fn know(&self, inode: u64) -> bool {
        let current = self.current.values().chain(self.durable.values());
        let changes = self.unsynced.iter().any(|unsynced| match &unsynced.change {
            Change::Create { inode: of, .. } | Change::Rename { inode: of, .. } => *of == inode,
            Change::Remove { .. } => false,
        });
        changes || current.into_iter().any(|of| *of == inode)
    }
}
