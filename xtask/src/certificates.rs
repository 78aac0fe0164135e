//! Certificates for a broker and its clients, made anew for each run.

use std::path::Path;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
};

/// Writes `ca.pem`, and chain and key of `server` (for localhost) and `client`.
pub(crate) fn write(folder: &Path) -> Result<()> {
    let mut root = named("Lepus interop root");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate()?)?;
    let keep = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    keep("ca.pem", root.pem())?;
    let server = CertificateParams::new(["localhost".to_owned()])?;
    for (name, params) in [("server", server), ("client", named("guest"))] {
        let key = KeyPair::generate()?;
        keep(&format!("{name}.pem"), params.signed_by(&key, &root)?.pem())?;
        keep(&format!("{name}.key"), key.serialize_pem())?;
    }
    Ok(())
}

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}
