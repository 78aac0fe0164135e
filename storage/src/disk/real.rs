//! The file system of the operating system.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::{Disk, DiskFile, NO_DESCRIPTOR};

/// The file system of the operating system. What it refuses is told with the path.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

#[derive(Debug)]
struct RealFile(File);

/// Keeps the kind of an error, by which callers decide, and adds the path, which operators need.
fn at(path: &Path) -> impl FnOnce(io::Error) -> io::Error + '_ {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// The same for what opens a file.
fn opening(path: &Path) -> impl FnOnce(io::Error) -> io::Error + '_ {
    move |error| match Errno::from_io_error(&error) {
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => {
            io::Error::new(NO_DESCRIPTOR, format!("{}: {error}", path.display()))
        }
        _ => at(path)(error),
    }
}

fn read_write() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    options
}

/// On a file system that is only read, a file can still be read and locked.
fn readable(path: &Path, opened: io::Result<File>) -> io::Result<File> {
    match opened {
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => File::open(path),
        opened => opened,
    }
}

impl Disk for RealDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        // Each new directory is an entry of the one above, which has to be synced for it to last.
        let above = match path.parent() {
            Some(above) if above.as_os_str().is_empty() => Path::new("."),
            Some(above) => above,
            None => return Ok(()),
        };
        self.create_dir(above)?;
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            Err(error) => Err(at(path)(error)),
            Ok(()) => self.sync_dir(above),
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path).map_err(at(path))? {
            let entry = entry.map_err(at(path))?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = read_write().create_new(true).open(path).map_err(opening(path))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let opened = readable(path, read_write().open(path));
        Ok(Arc::new(RealFile(opened.map_err(opening(path))?)))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists().map_err(at(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to).map_err(at(from))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path).map_err(at(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let directory = File::open(path).map_err(opening(path))?;
        directory.sync_all().map_err(at(path))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Debug + Send + Sync>> {
        let opened = read_write().create(true).truncate(false).open(path);
        let file = readable(path, opened).map_err(at(path))?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(file)),
            Err(TryLockError::WouldBlock) => {
                Err(at(path)(io::Error::new(io::ErrorKind::WouldBlock, "locked by another")))
            }
            Err(TryLockError::Error(error)) => Err(at(path)(error)),
        }
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(path).map_err(|errno| at(path)(errno.into()))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

impl DiskFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut read = 0;
        while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, offset.saturating_add(read as u64)) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        if len == 0 {
            return Ok(());
        }
        loop {
            match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, len) {
                Ok(()) => return Ok(()),
                Err(Errno::INTR) => {}
                // Such a file system has no room to promise; the length is all it can give.
                Err(Errno::OPNOTSUPP | Errno::NOSYS) if self.len()? < len => {
                    return self.0.set_len(len);
                }
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// A directory of its own for each test, gone at its end.
    struct Directory(PathBuf);

    impl Directory {
        fn new() -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("lepus-real-disk-{}-{number}", std::process::id());
            let path = std::env::temp_dir().join(name);
            RealDisk.create_dir(&path.join("a/b")).unwrap();
            Self(path)
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn kind<T>(result: io::Result<T>) -> io::ErrorKind {
        result.err().unwrap().kind()
    }

    #[test]
    fn files_are_made_once_and_found_by_name() {
        let dir = Directory::new();
        RealDisk.create_dir(&dir.path("a")).unwrap();
        assert_eq!(kind(RealDisk.open(&dir.path("x"))), io::ErrorKind::NotFound);
        assert!(!RealDisk.exists(&dir.path("x")).unwrap());
        RealDisk.create(&dir.path("x")).unwrap();
        assert!(RealDisk.exists(&dir.path("x")).unwrap());
        assert_eq!(kind(RealDisk.create(&dir.path("x"))), io::ErrorKind::AlreadyExists);
        RealDisk.create(&dir.path("b")).unwrap().write_at(b"b", 0).unwrap();
        assert_eq!(RealDisk.list(&dir.0).unwrap(), ["a", "b", "x"]);
        RealDisk.rename(&dir.path("b"), &dir.path("x")).unwrap();
        RealDisk.sync_dir(&dir.0).unwrap();
        assert_eq!(RealDisk.list(&dir.0).unwrap(), ["a", "x"]);
        let file = RealDisk.open(&dir.path("x")).unwrap();
        assert_eq!(file.len().unwrap(), 1);
        RealDisk.remove(&dir.path("x")).unwrap();
        assert_eq!(kind(RealDisk.remove(&dir.path("x"))), io::ErrorKind::NotFound);
        assert_eq!(kind(RealDisk.list(&dir.path("x"))), io::ErrorKind::NotFound);
        let mut byte = [0];
        assert_eq!(file.read_at(&mut byte, 0).unwrap(), 1, "who has it open can still use it");
    }

    #[test]
    fn reads_end_with_the_file_and_writes_make_it_longer() {
        let dir = Directory::new();
        let file = RealDisk.create(&dir.path("x")).unwrap();
        file.write_at(b"end", 5).unwrap();
        file.sync_data().unwrap();
        let mut buffer = [1; 10];
        assert_eq!(file.read_at(&mut buffer, 1).unwrap(), 7);
        assert_eq!(&buffer, b"\0\0\0\0end\x01\x01\x01");
        assert_eq!(file.read_at(&mut buffer, 9).unwrap(), 0);
        file.set_len(6).unwrap();
        assert_eq!(file.len().unwrap(), 6);
    }

    #[test]
    fn allocating_never_shortens() {
        let dir = Directory::new();
        let file = RealDisk.create(&dir.path("x")).unwrap();
        for (wanted, len) in [(0, 0), (8192, 8192), (4096, 8192)] {
            file.allocate(wanted).unwrap();
            assert_eq!(file.len().unwrap(), len);
        }
    }

    #[test]
    fn a_lock_ends_with_its_value() {
        let dir = Directory::new();
        let lock = RealDisk.lock(&dir.path("lock")).unwrap();
        assert_eq!(kind(RealDisk.lock(&dir.path("lock"))), io::ErrorKind::WouldBlock);
        drop(lock);
        RealDisk.lock(&dir.path("lock")).unwrap();
    }

    #[test]
    fn errors_name_the_path_and_free_bytes_are_told() {
        let dir = Directory::new();
        let error = RealDisk.open(&dir.path("missing")).err().unwrap();
        assert!(error.to_string().contains("missing"), "{error}");
        assert!(RealDisk.free_bytes(&dir.0).unwrap() > 0);
    }
}
