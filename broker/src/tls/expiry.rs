//! Until when certificates hold.

use std::path::Path;

use x509_parser::prelude::{FromDer, X509Certificate};

use super::material::certificates;

/// Until when a certificate holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// In seconds since 1970.
    pub at: u64,
    /// The same as a text.
    pub text: String,
}

/// When the first certificate of a file expires; `None` if there is none that can be read.
pub fn expiry(file: &Path) -> Option<Expiry> {
    let found = certificates(file).ok()?;
    let expiries = found.iter().filter_map(|der| {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let until = certificate.validity().not_after;
        // Before 1970 is long ago, too.
        let at = u64::try_from(until.timestamp()).unwrap_or_default();
        Some(Expiry { at, text: until.to_string() })
    });
    expiries.min_by_key(|expiry| expiry.at)
}
