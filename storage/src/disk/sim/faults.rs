//! What goes wrong on demand while the process lives.

use std::io;

use rustix::io::Errno;

use crate::disk::NO_DESCRIPTOR;

/// What the operating system says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// EIO: the device has failed.
    Io,
    /// ENOSPC: there is no room.
    NoSpace,
    /// EMFILE: too many files are open.
    NoDescriptor,
}

impl Fault {
    pub(super) fn error(self) -> io::Error {
        match self {
            Self::Io => Errno::IO.into(),
            Self::NoSpace => Errno::NOSPC.into(),
            Self::NoDescriptor => io::Error::new(NO_DESCRIPTOR, io::Error::from(Errno::MFILE)),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    pub writes: Countdown,
    pub syncs: Countdown,
    pub names: Countdown,
}

/// Fails one operation after so many others.
#[derive(Clone, Debug, Default)]
pub(super) struct Countdown(Option<(u64, Fault)>);

impl Countdown {
    pub fn set(&mut self, nth: u64, fault: Fault) {
        self.0 = Some((nth.max(1), fault));
    }

    pub fn tick(&mut self) -> Option<Fault> {
        let (left, fault) = self.0.take()?;
        if left <= 1 {
            return Some(fault);
        }
        self.0 = Some((left - 1, fault));
        None
    }
}
