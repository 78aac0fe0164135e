//! Opening the store that an earlier process has left.

use std::collections::HashMap;
use std::path::Path;

use bytes::Bytes;
use sled::Tree;

use super::apply::{Failure, META};
use super::counts;
use super::journal;
use super::state::{HEADER, Header, State};
use crate::embedded::{Embedded, ReadError, checked};
use crate::{Meta, Recovered, StoreError};

pub(super) fn recover(
    store: &Embedded,
    place: &Path,
    max: u64,
) -> Result<(State, Recovered), StoreError> {
    let tree = store.db();
    let header = match checked(place, || header(tree))? {
        Ok(header) => header,
        Err(found) => {
            let place = place.display().to_string();
            return Err(StoreError::Format { place, found, known: Header::KNOWN });
        }
    };
    checked(place, || {
        finish_transactions(tree).map_err(|failure| match failure {
            Failure::Read(error) => error,
            Failure::Refused(_) => ReadError::Damaged("the journal does not fit the messages"),
        })
    })?;
    // What was found may be in the memory of the operating system only.
    store.commit()?;
    checked(place, || read(tree, header, max))
}

fn header(tree: &Tree) -> Result<Result<Header, u32>, ReadError> {
    match tree.get(HEADER)? {
        Some(stored) => Header::decode(&stored),
        None if tree.is_empty() => Ok(Ok(Header::default())),
        None => Err(ReadError::Damaged("there are entries without a header")),
    }
}

fn finish_transactions(tree: &Tree) -> Result<(), Failure> {
    if let Some(writes) = journal::replay(tree)? {
        tree.apply_batch(writes)?;
    }
    Ok(())
}

fn read(tree: &Tree, header: Header, max: u64) -> Result<(State, Recovered), ReadError> {
    let mut queues = HashMap::new();
    let mut recovered = Recovered { lsn: header.lsn, ..Recovered::default() };
    for (queue, counts) in counts::all(tree)? {
        let stats = counts.stats(tree, queue)?;
        queues.insert(queue, (counts, stats));
        recovered.queues.push((queue, stats));
    }
    recovered.meta = Meta { version: header.meta_version, ..Meta::default() };
    for entry in tree.scan_prefix([META.head]) {
        let (stored, head) = entry?;
        let key = stored.get(1..).unwrap_or_default();
        let value = META.read(key, &head, |key| tree.get(key))?;
        recovered.meta.entries.insert(Bytes::copy_from_slice(key), Bytes::from(value));
    }
    Ok((State::new(header, max, queues), recovered))
}
