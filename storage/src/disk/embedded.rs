//! What the embedded store does not do with its own files: a real device flush, and making way for
//! an empty store.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// The one file of an embedded store that holds its data, opened a second time.
#[derive(Debug)]
pub(crate) struct DataFile {
    file: File,
    /// What every sync says.
    #[cfg(test)]
    pub fault: Option<io::ErrorKind>,
}

impl DataFile {
    /// Opens the data file of a store that exists, once it and the names in its directory would
    /// survive a crash.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        let file = File::open(directory.join("db"))?;
        file.sync_all()?;
        sync_directory(directory)?;
        if let Some(above) = directory.parent() {
            sync_directory(above)?;
        }
        Ok(Self {
            file,
            #[cfg(test)]
            fault: None,
        })
    }

    /// Waits until what was written by whomever would survive a crash.
    pub(crate) fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        if let Some(fault) = self.fault {
            return Err(fault.into());
        }
        self.file.sync_data()
    }
}

/// Makes a directory and those above it.
pub(crate) fn make_directory(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)
}

/// Gives a directory the first name `<its name>.broken-<n>` that is free, and returns that.
pub(crate) fn move_aside(directory: &Path) -> io::Result<PathBuf> {
    let mut number: u64 = 1;
    loop {
        let mut name = directory.file_name().unwrap_or_default().to_owned();
        name.push(format!(".broken-{number}"));
        let aside = directory.with_file_name(name);
        if !fs::exists(&aside)? {
            fs::rename(directory, &aside)?;
            if let Some(above) = directory.parent() {
                sync_directory(above)?;
            }
            return Ok(aside);
        }
        number += 1;
    }
}

/// A copy of a directory that lasts as long as the value; none if there is no such directory.
pub(crate) fn copy_of(directory: &Path) -> io::Result<Option<tempfile::TempDir>> {
    if !directory.is_dir() {
        return Ok(None);
    }
    let copy = tempfile::tempdir()?;
    copy_directory(directory, copy.path())?;
    Ok(Some(copy))
}

/// Copies what a directory holds now.
pub(crate) fn copy_directory(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_directory(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    // The parent of a relative path of one name is the empty one.
    let empty = directory.as_os_str().is_empty();
    File::open(if empty { Path::new(".") } else { directory })?.sync_all()
}
