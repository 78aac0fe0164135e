//! The keys that tokens are signed with: of files, and of a URL that is asked again when a key is unknown.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use parking_lot::{Mutex, RwLock};
use serde_json::{Map, Value};
use ureq::Agent;

use crate::access::web;
use crate::aside::blocking;
use crate::config::oauth2::Provider;

/// How long to wait for the keys of a URL.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Octets of a key set that are read.
const KEY_SET_MAX: u64 = 1 << 20;

/// How long to leave the URL alone, ms: tokens with unknown keys come from anybody.
const FETCH_PAUSE: u64 = 10_000;

/// Where a provider tells of itself, below its issuer.
const DISCOVERY_PATH: &str = ".well-known/openid-configuration";

/// Where keys are asked for.
enum Source {
    KeySet(String),
    /// What is found there says where.
    Discovery(String),
}

/// Keys by id.
pub struct Keys {
    of_files: HashMap<String, DecodingKey>,
    fetched: RwLock<HashMap<String, DecodingKey>>,
    /// When the URL was asked, ms since 1970.
    asked: Mutex<Option<u64>>,
    source: Option<Source>,
    /// What the settings are called.
    name: String,
    default: Option<String>,
    /// Those that may be used; none: all.
    algorithms: Vec<Algorithm>,
    /// Or why there is none.
    agent: Result<Agent>,
}

impl Keys {
    /// Keys as they are configured. What cannot be read is told of in the log.
    pub fn new(name: &str, provider: &Provider) -> Self {
        let mut of_files = HashMap::new();
        for (id, path) in &provider.signing_keys {
            match read_file(id, path) {
                Ok(keys) => of_files.extend(keys),
                Err(error) => {
                    tracing::error!("{name}.signing_keys.{id}: {}: {error:#}", path.display());
                }
            }
        }
        let known = |algorithm: &String| match algorithm.parse() {
            Ok(algorithm) => Some(algorithm),
            Err(_) => {
                tracing::error!("{name}.algorithms: {algorithm} is not known");
                None
            }
        };
        Self {
            of_files,
            fetched: RwLock::default(),
            asked: Mutex::new(None),
            source: provider.jwks_url.clone().map(Source::KeySet).or_else(|| discovery(provider)),
            name: name.to_owned(),
            default: provider.default_key.clone(),
            algorithms: provider.algorithms.iter().filter_map(known).collect(),
            agent: web::agent(FETCH_TIMEOUT, FETCH_TIMEOUT, &provider.tls),
        }
    }

    /// What a token claims, if one of the keys has signed it.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn verify(&self, token: &str, now: u64) -> Result<Map<String, Value>, String> {
        let header = decode_header(token).map_err(|error| error.to_string())?;
        let id = header.kid.or_else(|| self.default.clone()).ok_or("the token names no key")?;
        if !self.algorithms.is_empty() && !self.algorithms.contains(&header.alg) {
            return Err(format!("the algorithm {:?} is not allowed", header.alg));
        }
        let key = self.key(&id, now).ok_or_else(|| format!("the key '{id}' is not known"))?;
        // The key must be of the kind that the algorithm needs, or nothing is valid. Times and audience
        // are looked at elsewhere.
        let mut validation = Validation::new(header.alg);
        validation.required_spec_claims = HashSet::new();
        (validation.validate_exp, validation.validate_aud) = (false, false);
        let claims = decode::<Map<String, Value>>(token, &key, &validation);
        claims.map(|token| token.claims).map_err(|error| error.to_string())
    }

    fn key(&self, id: &str, now: u64) -> Option<DecodingKey> {
        let known =
            || self.of_files.get(id).cloned().or_else(|| self.fetched.read().get(id).cloned());
        known().or_else(|| {
            self.fetch(now);
            known()
        })
    }

    /// Asks the URL, unless that was done lately. Who comes meanwhile waits for the answer.
    fn fetch(&self, now: u64) {
        let Some(source) = &self.source else { return };
        blocking(|| {
            let mut asked = self.asked.lock();
            if asked.is_some_and(|asked| now < asked + FETCH_PAUSE) {
                return;
            }
            *asked = Some(now);
            match self.ask(source) {
                Ok(keys) => *self.fetched.write() = keys,
                Err(error) => tracing::error!("{}: no keys: {error:#}", self.name),
            }
        });
    }

    fn ask(&self, source: &Source) -> Result<HashMap<String, DecodingKey>> {
        let keys = match source {
            Source::KeySet(url) => self.get(url)?,
            Source::Discovery(url) => {
                let found: Value = serde_json::from_slice(&self.get(url)?).context(url.clone())?;
                let keys = found.get("jwks_uri").and_then(Value::as_str);
                let keys = keys.with_context(|| format!("{url} has no jwks_uri"))?;
                // What was found safely must not be asked for by a way that anybody can change.
                if url.starts_with("https:") && !keys.starts_with("https:") {
                    bail!("{url} names keys without TLS: {keys}");
                }
                self.get(keys)?
            }
        };
        key_set(&keys, "")
    }

    fn get(&self, url: &str) -> Result<Vec<u8>> {
        let agent = self.agent.as_ref().map_err(|error| anyhow!("{error:#}"))?;
        let mut response = agent.get(url).call().with_context(|| url.to_owned())?;
        if !response.status().is_success() {
            bail!("{url}: {}", response.status());
        }
        Ok(response.body_mut().with_config().limit(KEY_SET_MAX).read_to_vec()?)
    }
}

/// Where a provider tells of itself: a path below its issuer, whose own query stays.
fn discovery(provider: &Provider) -> Option<Source> {
    let issuer = provider.issuer.as_deref()?;
    let (base, query) = issuer.split_once('?').unwrap_or((issuer, ""));
    let path = provider.discovery_path.as_deref().unwrap_or(DISCOVERY_PATH);
    let mut url = format!("{}/{}", base.trim_end_matches('/'), path.trim_start_matches('/'));
    let mut own = form_urlencoded::Serializer::new(query.to_owned());
    let query = own.extend_pairs(&provider.discovery_params).finish();
    if !query.is_empty() {
        url = url + "?" + &query;
    }
    Some(Source::Discovery(url))
}

/// What a token claims to whoever believes it unseen: to find out who must have signed it.
///
/// # Errors
/// It is no token.
pub fn peek(token: &str) -> Result<Map<String, Value>, String> {
    let mut validation = Validation::default();
    validation.insecure_disable_signature_validation();
    validation.required_spec_claims = HashSet::new();
    (validation.validate_exp, validation.validate_aud) = (false, false);
    let claims = decode::<Map<String, Value>>(token, &DecodingKey::from_secret(b""), &validation);
    claims.map(|token| token.claims).map_err(|error| error.to_string())
}

/// A PEM file with one public key, or a set of keys in JSON.
fn read_file(id: &str, path: &Path) -> Result<HashMap<String, DecodingKey>> {
    let octets = std::fs::read(path)?;
    if octets.trim_ascii_start().starts_with(b"{") {
        return key_set(&octets, id);
    }
    let readers = [DecodingKey::from_rsa_pem, DecodingKey::from_ec_pem, DecodingKey::from_ed_pem];
    match readers.iter().find_map(|read| read(&octets).ok()) {
        Some(key) => Ok(HashMap::from([(id.to_owned(), key)])),
        None => bail!("neither a public key in PEM nor a set of keys in JSON"),
    }
}

/// Keys of a set by their ids; one without has the id that is given.
fn key_set(json: &[u8], id: &str) -> Result<HashMap<String, DecodingKey>> {
    // One by one: a key of a kind that is not known here must not spoil the others.
    let set: Value = serde_json::from_slice(json).context("no JSON")?;
    let keys = set.get("keys").and_then(Value::as_array).context("no set of keys")?;
    let mut found = HashMap::new();
    for key in keys {
        let one = serde_json::json!({ "keys": [key] });
        let Ok(JwkSet { keys }) = serde_json::from_value(one) else { continue };
        for key in keys {
            let name = key.common.key_id.clone().unwrap_or_else(|| id.to_owned());
            if let Ok(key) = DecodingKey::from_jwk(&key) {
                found.insert(name, key);
            }
        }
    }
    Ok(found)
}
