//! A socket in the data directory. Who can open it needs no password: file system rights are the login.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use std::time::Duration;

use tokio::time::sleep;

use super::Peer;
use super::desk::Accept;
use super::incoming::Stream;

/// The name of the socket.
const NAME: &str = "lepus.sock";

/// The socket in a data directory.
pub fn socket_in(data_dir: &Path) -> PathBuf {
    data_dir.join(NAME)
}

/// A socket that is there as long as this is.
pub struct Local {
    listener: UnixListener,
    path: PathBuf,
}

impl Local {
    /// Makes the socket. The data directory must be this process' own: a socket that is there already is
    /// one that a crash has left.
    ///
    /// # Errors
    /// There can be no socket, as on some file systems, or where the path is too long.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        let path = socket_in(data_dir);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, path })
    }

    pub(super) fn socket(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // It may be gone with its directory.
        let _ = fs::remove_file(&self.path);
    }
}

impl Accept for tokio::net::UnixListener {
    async fn accept(&mut self) -> (Box<dyn Stream>, Peer) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        loop {
            match Self::accept(self).await {
                Ok((stream, _)) => return (Box::new(stream), Peer { address, is_owner: true }),
                Err(error) => {
                    tracing::error!("cannot accept a connection of the command line: {error}");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}
