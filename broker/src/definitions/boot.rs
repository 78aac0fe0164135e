//! What is imported at each start.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::import::import;
use super::read::read;
use crate::config;
use crate::events::INTERNAL_USER;
use crate::node::Node;

/// RabbitMQ keeps what it has imported last under this name, too.
const HASH: &str = "imported_definition_hash_value";

/// Imports what the configuration names, in a directory all files by name. To be called before
/// [`Node::set_up`], which makes a user only if none was brought here.
///
/// # Errors
/// A file that cannot be read or imported: nothing of it was.
pub fn load(node: &Arc<Node>, definitions: &config::Definitions) -> Result<()> {
    let Some(path) = &definitions.path else { return Ok(()) };
    let documents = documents(path)?;
    let hash = hash(&documents);
    if definitions.skip_if_unchanged && is_known(node, &hash) {
        tracing::info!(path = %path.display(), "definitions are those that were imported before");
        return Ok(());
    }
    let first = !node.access().is_set();
    for (path, document) in &documents {
        let definitions = read(document).with_context(|| path.display().to_string())?;
        import(node, INTERNAL_USER, &definitions).with_context(|| path.display().to_string())?;
        tracing::info!(path = %path.display(), "definitions imported");
        let brought = !definitions.users.is_empty() && !definitions.vhosts.is_empty();
        let name = node.config().default_vhost.clone();
        if first && brought && !definitions.vhosts.iter().any(|vhost| vhost.name == name) {
            // The one that a new broker begins with; an error means that it is gone already.
            let _ = node.delete_vhost(INTERNAL_USER, &name);
        }
    }
    if definitions.skip_if_unchanged {
        node.set_global_parameter(INTERNAL_USER, HASH, hash.into());
    }
    Ok(())
}

fn documents(path: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let cannot = || format!("cannot read the definitions in {}", path.display());
    let mut paths = vec![path.to_owned()];
    if path.is_dir() {
        let entries = fs::read_dir(path).with_context(cannot)?;
        paths = entries
            .map(|entry| Ok(entry?.path()))
            .collect::<std::io::Result<_>>()
            .with_context(cannot)?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort();
        ensure!(!paths.is_empty(), "{} has no file of definitions (*.json)", path.display());
    }
    let document = |path: PathBuf| {
        let text = fs::read(&path).with_context(cannot)?;
        Ok((path, text))
    };
    paths.into_iter().map(document).collect()
}

fn hash(documents: &[(PathBuf, Vec<u8>)]) -> String {
    let mut hash = Sha256::new();
    for (_, document) in documents {
        hash.update((document.len() as u64).to_be_bytes());
        hash.update(document);
    }
    STANDARD.encode(hash.finalize())
}

fn is_known(node: &Node, hash: &str) -> bool {
    node.global_parameters().iter().any(|(name, value)| name == HASH && value == hash)
}
