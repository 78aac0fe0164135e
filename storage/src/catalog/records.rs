//! How the catalog lies in the embedded store.
//!
//! | key | value |
//! |---|---|
//! | `0` | the format, a u32; the version and the digest of all entries, both u64; all big-endian |
//! | `1`, …, and `2`, … | the entries ([`Kind`]) |

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;

use super::FoundCatalog;
use super::digest::Digest;
use super::pending::Work;
use crate::disk::embedded::move_aside;
use crate::disk::{Disk, RealDisk};
use crate::embedded::pieces::Kind;
use crate::embedded::{Embedded, ReadError, checked};
use crate::{Meta, StoreError};

const FORMAT: u32 = 1;

const VERSION: &[u8] = &[0];
const ENTRY: Kind = Kind { head: 1, piece: 2 };

/// The open store.
pub(super) struct Records {
    store: Embedded,
    digest: Digest,
}

impl Records {
    /// Opens the catalog in a directory of its own. One that cannot be read makes way.
    pub(super) fn open_or_replace(directory: &Path) -> Result<(Self, FoundCatalog), StoreError> {
        let mut notes = Vec::new();
        let (records, meta) = match Self::open(directory) {
            Err(StoreError::Corrupt { place, detail }) => {
                let aside = move_aside(directory)?;
                notes.push(format!(
                    "the catalog in {place} cannot be read ({detail}): it was moved to {} and is \
                     written anew",
                    aside.display()
                ));
                Self::open(directory)?
            }
            opened => opened?,
        };
        Ok((records, FoundCatalog { meta, notes }))
    }

    /// Opens the catalog again, after it was closed a moment ago. One that is gone meanwhile is not begun anew.
    pub(super) fn reopen(directory: &Path) -> Result<Self, StoreError> {
        RealDisk.open(&directory.join("db"))?;
        Self::open(directory).map(|(records, _)| records)
    }

    /// What is in a catalog.
    pub(super) fn read_only(directory: &Path) -> Result<Meta, StoreError> {
        Self::open(directory).map(|(_, meta)| meta)
    }

    fn open(directory: &Path) -> Result<(Self, Meta), StoreError> {
        let mut records = Self { store: Embedded::open(directory)?, digest: Digest::default() };
        let header = checked(directory, || records.store.db().get(VERSION))?;
        let (version, digest) = match header {
            Some(header) => decode_header(directory, &header)?,
            None => (0, Digest::default()),
        };
        let entries = checked(directory, || records.read())?;
        if records.digest != digest {
            let error = ReadError::Damaged("the entries are not those that were written");
            return Err(error.at(directory));
        }
        Ok((records, Meta { version, entries }))
    }

    /// Nothing becomes durable any more.
    #[cfg(test)]
    pub(super) fn fail(&mut self, fault: std::io::ErrorKind) {
        self.store.fail(fault);
    }

    /// How many keys the store has.
    #[cfg(test)]
    pub(super) fn keys(&self) -> usize {
        self.store.db().len()
    }

    /// All entries.
    fn read(&mut self) -> Result<BTreeMap<Bytes, Bytes>, ReadError> {
        let mut entries = BTreeMap::new();
        for entry in self.store.db().scan_prefix([ENTRY.head]) {
            let (stored, head) = entry?;
            let key = stored.get(1..).unwrap_or_default();
            let value = self.value(key, &head)?;
            self.digest.add(key, &value);
            entries.insert(Bytes::copy_from_slice(key), Bytes::from(value));
        }
        Ok(entries)
    }

    fn value(&self, key: &[u8], head: &[u8]) -> Result<Vec<u8>, ReadError> {
        ENTRY.read(key, head, |key| self.store.db().get(key))
    }

    /// Makes changes durable, all at once. Nothing may be written after a failure.
    pub(super) fn write(&mut self, work: &Work) -> Result<(), StoreError> {
        let place = Path::new("the catalog");
        let batch = self.batch(work).map_err(|error| error.at(place))?;
        self.store.db().apply_batch(batch).map_err(|error| ReadError::from(error).at(place))?;
        self.store.commit()
    }

    fn batch(&mut self, work: &Work) -> Result<sled::Batch, ReadError> {
        let mut batch = sled::Batch::default();
        if work.replace {
            self.digest = Digest::default();
            for key in self.store.db().iter().keys() {
                batch.remove(key?);
            }
        }
        for (key, value) in &work.changes {
            // A value that is smaller than before must not leave parts of that behind.
            if !work.replace
                && let Some(head) = self.store.db().get(ENTRY.key(key))?
            {
                self.digest.remove(key, &self.value(key, &head)?);
                ENTRY.remove(key, &head, |key| batch.remove(key));
            }
            if let Some(value) = value {
                self.digest.add(key, value);
                ENTRY.insert(key, value, |key, value| batch.insert(key, value));
            }
        }
        batch.insert(VERSION, encode_header(work.version, self.digest));
        Ok(batch)
    }
}

const WRONG_HEADER: ReadError = ReadError::Damaged("its version has the wrong length");

fn encode_header(version: u64, digest: Digest) -> Vec<u8> {
    [&FORMAT.to_be_bytes()[..], &version.to_be_bytes(), &digest.0.to_be_bytes()].concat()
}

fn decode_header(place: &Path, stored: &[u8]) -> Result<(u64, Digest), StoreError> {
    let Some((format, rest)) = stored.split_first_chunk::<4>() else {
        return Err(WRONG_HEADER.at(place));
    };
    let found = u32::from_be_bytes(*format);
    if found != FORMAT {
        let place = place.display().to_string();
        return Err(StoreError::Format { place, found, known: FORMAT });
    }
    let numbers = rest.split_first_chunk::<8>().and_then(|(version, rest)| {
        let digest = Digest(u64::from_be_bytes(rest.try_into().ok()?));
        Some((u64::from_be_bytes(*version), digest))
    });
    numbers.ok_or_else(|| WRONG_HEADER.at(place))
}
