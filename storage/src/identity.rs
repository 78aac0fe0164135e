//! Which messages belong to a data directory: the engine that keeps them, and a random number that
//! stands in the directory and once more in the engine's folder. A folder that is not mounted, or is
//! another's, would otherwise pass for a store without messages.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::disk::{Disk, RealDisk, replace};
use crate::inspect::StoreKind;
use crate::{StoreError, catalog};

const FILE: &str = "store.json";
const FORMAT: u32 = 1;
/// The file is not longer.
const LONGEST: usize = 4096;

/// What a data directory and the folder of its messages both say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    engine: StoreKind,
    id: String,
}

impl Identity {
    /// One that nothing else has.
    fn new(engine: StoreKind) -> Self {
        Self { engine, id: format!("{:032x}", rand::random::<u128>()) }
    }

    /// Writes it to both places. The directory's is the last: what it says has to be there.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub(crate) fn write(&self, directory: &Path) -> Result<(), StoreError> {
        let Self { engine, id } = self;
        let text = json!({ "format": FORMAT, "engine": engine.to_string(), "id": id });
        for place in [directory.join(engine.folder()), directory.to_owned()] {
            replace(&RealDisk, &place.join(FILE), format!("{text}\n").as_bytes())?;
        }
        Ok(())
    }

    /// What is said in a folder, if anything is.
    fn read(folder: &Path) -> Result<Option<Self>, StoreError> {
        if !has(folder, |name| name == FILE)? {
            return Ok(None);
        }
        let path = folder.join(FILE);
        let mut bytes = vec![0; LONGEST];
        let read = RealDisk.open(&path)?.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        let place = path.display().to_string();
        let said: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let format = said.get("format").and_then(Value::as_u64);
        if let Some(found) = format.and_then(|format| u32::try_from(format).ok())
            && found > FORMAT
        {
            return Err(StoreError::Format { place, found, known: FORMAT });
        }
        let text = |name| said.get(name).and_then(Value::as_str);
        match (text("engine").and_then(StoreKind::named), text("id")) {
            (Some(engine), Some(id)) => Ok(Some(Self { engine, id: id.to_owned() })),
            _ => {
                Err(StoreError::Corrupt { place, detail: "it is not what was written".to_owned() })
            }
        }
    }
}

/// What is not where it was, of the files of embedded stores and of what says whose the messages are: somebody
/// may have deleted it, or unmounted what it is on. Where that cannot be told, it is there.
pub fn missing(directory: &Path, kind: StoreKind) -> Option<PathBuf> {
    let (folder, catalog) = (directory.join(kind.folder()), catalog::folder(directory));
    let is_gone = |file: &PathBuf| RealDisk.exists(file).is_ok_and(|is_there| !is_there);
    // What the directory says is written last, and may not be yet.
    let said = (!is_gone(&directory.join(FILE))).then(|| folder.join(FILE));
    let messages = (kind == StoreKind::Sled).then(|| folder.join("db"));
    let needed = [Some(catalog.join("db")), messages, said];
    needed.into_iter().flatten().find(is_gone)
}

/// Writes to both places again, after a repair, what can be read in one of them.
///
/// # Errors
/// [`StoreError::Io`].
pub(crate) fn renew(directory: &Path, kind: StoreKind) -> Result<(), StoreError> {
    let places = [directory.to_owned(), directory.join(kind.folder())];
    let said = places.iter().find_map(|place| Identity::read(place).ok().flatten());
    said.unwrap_or_else(|| Identity::new(kind)).write(directory)
}

/// The engine that a data directory belongs to, as far as that can be said.
///
/// # Errors
/// [`StoreError::Io`], [`StoreError::Format`].
pub(crate) fn engine_of(directory: &Path) -> Result<Option<StoreKind>, StoreError> {
    match Identity::read(directory) {
        Ok(Some(here)) => return Ok(Some(here.engine)),
        // The folders tell as well.
        Ok(None) | Err(StoreError::Corrupt { .. }) => {}
        Err(error) => return Err(error),
    }
    for kind in [StoreKind::Log, StoreKind::Sled] {
        if holds(directory, kind)? {
            return Ok(Some(kind));
        }
    }
    Ok(has_catalog(directory)?.then_some(StoreKind::Log))
}

/// Whether an engine may open a data directory: whatever it does not find there, it would begin
/// anew. Returns what is to be written when it has, if nothing is yet.
///
/// # Errors
/// [`StoreError::Misplaced`]; [`StoreError::Corrupt`] if the messages are not there;
/// [`StoreError::Io`], [`StoreError::Format`].
pub(crate) fn check(directory: &Path, kind: StoreKind) -> Result<Option<Identity>, StoreError> {
    let folder = directory.join(kind.folder());
    let here = Identity::read(directory)?;
    if let Some(here) = &here
        && here.engine != kind
    {
        return Err(other_engine(directory, here.engine, kind));
    }
    match (here, Identity::read(&folder)?) {
        (Some(here), Some(there)) if here == there => Ok(None),
        (Some(_), Some(_)) => Err(StoreError::Misplaced(format!(
            "{} has the messages of another data directory: put those in its place that belong here",
            folder.display()
        ))),
        (Some(_), None) => Err(messages_missing(&folder)),
        (None, Some(there)) => Ok(Some(there)),
        (None, None) => {
            check_unnamed(directory, &folder, kind)?;
            Ok(Some(Identity::new(kind)))
        }
    }
}

/// A directory that is new, of a version that named nothing, or no broker's.
fn check_unnamed(directory: &Path, folder: &Path, kind: StoreKind) -> Result<(), StoreError> {
    if holds(directory, kind)? {
        return Ok(());
    }
    if holds(directory, kind.other())? {
        return Err(other_engine(directory, kind.other(), kind));
    }
    let catalog = catalog::folder(directory);
    let is_catalog = has_catalog(directory)?;
    for (foreign, holds) in [(folder, false), (&catalog, is_catalog)] {
        if !holds && has(foreign, |name| name != "lost+found")? {
            return Err(StoreError::Misplaced(format!(
                "{} is not a broker's, but has files: choose another data directory",
                foreign.display()
            )));
        }
    }
    // The folder of the messages is made before the catalog.
    if is_catalog { Err(messages_missing(folder)) } else { Ok(()) }
}

fn messages_missing(folder: &Path) -> StoreError {
    StoreError::Corrupt {
        place: folder.display().to_string(),
        detail: "the messages that belong to this data directory are not there: mount them or put \
                 them back"
            .to_owned(),
    }
}

fn other_engine(directory: &Path, found: StoreKind, wanted: StoreKind) -> StoreError {
    StoreError::Misplaced(format!(
        "{} has its messages in the engine `{found}`, where `{wanted}` would not find them: set \
         `storage.engine = {found}`, or choose another data directory",
        directory.display()
    ))
}

/// Whether an engine has been at work in a data directory.
fn holds(directory: &Path, kind: StoreKind) -> Result<bool, StoreError> {
    let is_ours = |name: &str| match kind {
        StoreKind::Log => crate::log::has_file_named(name),
        StoreKind::Sled => is_embedded(name),
    };
    has(&directory.join(kind.folder()), is_ours)
}

fn has_catalog(directory: &Path) -> Result<bool, StoreError> {
    has(&catalog::folder(directory), is_embedded)
}

fn is_embedded(name: &str) -> bool {
    ["conf", "db"].contains(&name)
}

/// Whether there is such a name in a folder.
fn has(folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<bool, StoreError> {
    match RealDisk.list(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        listed => Ok(listed?.iter().any(|name| wanted(name))),
    }
}
