//! What is imported at each start.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::import::import;
use super::model::Definitions;
use super::read::{Fault, read};
use crate::access::web;
use crate::config::{self, tls::TlsOptions};
use crate::events::INTERNAL_USER;
use crate::node::Node;

/// How long a server may take to send definitions.
const FETCH_TIMEOUT: Duration = Duration::from_secs(30);

/// Octets that definitions from a server may have.
const FETCH_MAX: u64 = 256 * 1024 * 1024;

/// RabbitMQ keeps what it has imported last under this name, too.
const HASH: &str = "imported_definition_hash_value";

/// Imports what the configuration names, in a directory all files by name. To be called before
/// [`Node::set_up`], which makes a user only if none was brought here.
///
/// # Errors
/// A file that cannot be read or imported: nothing of it was.
pub fn load(node: &Arc<Node>, definitions: &config::Definitions) -> Result<()> {
    let documents = match (&definitions.path, &definitions.url) {
        (Some(path), _) => from_files(path)?,
        (None, Some(url)) => vec![from_web(url, &definitions.tls)?],
        (None, None) => return Ok(()),
    };
    let hash = hash(&documents);
    if definitions.skip_if_unchanged && is_known(node, &hash) {
        tracing::info!("the definitions are those that were imported before");
        return Ok(());
    }
    for Document { from, text } in &documents {
        let fault = |why: Fault| anyhow!("{from}: {why}");
        let definitions = read(text).map_err(fault)?;
        bring(node, INTERNAL_USER, &definitions).map_err(fault)?;
        tracing::info!(from, "definitions imported");
    }
    if definitions.skip_if_unchanged {
        node.set_global_parameter(INTERNAL_USER, HASH, hash.into());
    }
    Ok(())
}

/// Imports a document into a broker that may be a new one: who has users and virtual hosts is not given
/// those that a broker begins with. [`Node::set_up`] is to be called after it.
///
/// # Errors
/// As of [`import`].
pub fn bring(node: &Arc<Node>, by: &str, definitions: &Definitions) -> Result<(), Fault> {
    import(node, by, definitions)?;
    let brought = !definitions.users.is_empty() && !definitions.vhosts.is_empty();
    let name = node.config().default_vhost.clone();
    let is_kept = definitions.vhosts.iter().any(|vhost| vhost.name == name);
    if !node.access().is_set() && brought && !is_kept {
        // An error means that it is gone already.
        let _ = node.delete_vhost(by, &name);
    }
    Ok(())
}

/// What is to be imported.
struct Document {
    /// A path, or a URL.
    from: String,
    text: Vec<u8>,
}

fn from_files(path: &Path) -> Result<Vec<Document>> {
    let cannot = || format!("cannot read the definitions in {}", path.display());
    let mut paths = vec![path.to_owned()];
    if path.is_dir() {
        let entries = fs::read_dir(path).with_context(cannot)?;
        let entries: std::io::Result<_> = entries.map(|entry| Ok(entry?.path())).collect();
        paths = entries.with_context(cannot)?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort();
        ensure!(!paths.is_empty(), "{} has no file of definitions (*.json)", path.display());
    }
    let document = |path: PathBuf| {
        let text = fs::read(&path).with_context(cannot)?;
        Ok(Document { from: path.display().to_string(), text })
    };
    paths.into_iter().map(document).collect()
}

fn from_web(url: &str, tls: &TlsOptions) -> Result<Document> {
    let cannot = || format!("cannot fetch the definitions from {url}");
    let agent = web::agent(FETCH_TIMEOUT, FETCH_TIMEOUT, tls).with_context(cannot)?;
    let mut answer = agent.get(url).call().with_context(cannot)?;
    ensure!(answer.status().is_success(), "{}: {}", cannot(), answer.status());
    let text = answer.body_mut().with_config().limit(FETCH_MAX).read_to_vec();
    Ok(Document { from: url.to_owned(), text: text.with_context(cannot)? })
}

fn hash(documents: &[Document]) -> String {
    let mut hash = Sha256::new();
    for Document { text, .. } in documents {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    STANDARD.encode(hash.finalize())
}

fn is_known(node: &Node, hash: &str) -> bool {
    node.global_parameters().iter().any(|(name, value)| name == HASH && value == hash)
}
