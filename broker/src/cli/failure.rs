//! Why a command could not do its work, and the exit code that says so.

use std::fmt;

use serde_json::Value;

/// The answer is no, or the broker has refused.
pub const NO: u8 = 1;
/// Wrong usage, as `clap` ends with for the rest.
pub const USAGE: u8 = 2;
/// What was given cannot be used (`EX_DATAERR`).
pub const DATA: u8 = 65;
/// No broker answers (`EX_UNAVAILABLE`).
pub const UNAVAILABLE: u8 = 69;
/// The broker answered something that makes no sense (`EX_SOFTWARE`).
pub const SOFTWARE: u8 = 70;

/// Why a command failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// What is said on standard error; nothing if it is empty.
    pub text: String,
    /// The status of the broker's answer, if it was one.
    pub status: Option<u16>,
    /// That answer.
    pub body: Value,
}

/// What a command did.
pub type Done<T = ()> = Result<T, Failure>;

impl Failure {
    /// With an exit code.
    pub fn new(code: u8, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), status: None, body: Value::Null }
    }

    /// The answer is no.
    pub fn no(text: impl Into<String>) -> Self {
        Self::new(NO, text)
    }

    /// Something that was given cannot be used.
    pub fn data(text: impl Into<String>) -> Self {
        Self::new(DATA, text)
    }

    /// Whether the broker said that something is not there.
    pub fn is_missing(&self) -> bool {
        self.status == Some(404)
    }

    /// Whether the broker said that it is not for this user.
    pub fn is_forbidden(&self) -> bool {
        matches!(self.status, Some(401 | 403))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(SOFTWARE, error.to_string())
    }
}
