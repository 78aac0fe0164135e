//! Makes the configuration of what was found.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

use super::Config;
use super::keys::{self, Key};
use super::sources::{Found, Given, Origin, Sources};
use super::syntax::{self, written};

/// Keys of which one goes before the other, unless that one comes from a source that goes before.
const RIVALS: &[[&str; 2]] = &[
    ["vm_memory_high_watermark.relative", "vm_memory_high_watermark.absolute"],
    ["disk_free_limit.relative", "disk_free_limit.absolute"],
];

/// Values that name each other go no deeper.
const DEPTH: usize = 16;

/// What RabbitMQ's tools put before a value that they have encrypted.
const ENCRYPTED: &str = "encrypted:";

/// A configuration and what it was made of.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What it was made of.
    pub settings: Settings,
    /// What the operator should know: keys that do nothing.
    pub notes: Vec<String>,
}

/// Why there is no configuration: all reasons.
#[derive(Debug)]
pub struct Faults {
    /// The reasons.
    pub faults: Vec<String>,
    /// What the operator should know besides.
    pub notes: Vec<String>,
}

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.faults.join("\n"))
    }
}

/// Reads what there is and makes a configuration of it.
pub fn load(sources: &Sources) -> Result<Loaded, Faults> {
    make(sources.read(), &sources.environment)
}

/// The same with one file and nothing else.
pub fn load_file(path: &Path, environment: &BTreeMap<String, String>) -> Result<Loaded, Faults> {
    let mut found = Found::default();
    found.file(path);
    make(found, environment)
}

fn make(found: Found, environment: &BTreeMap<String, String>) -> Result<Loaded, Faults> {
    let Found { given, mut faults, mut notes, .. } = found;
    let settings = Settings::of(substituted(merged(given), environment, &mut faults), &mut notes);
    let config = settings.config(&mut faults);
    match faults.is_empty() {
        true => Ok(Loaded { config, settings, notes }),
        false => Err(Faults { faults, notes }),
    }
}

/// One setting for each key: the last one, where the first one stood.
fn merged(given: Vec<Given>) -> Vec<Given> {
    let mut places: HashMap<Vec<String>, usize> = HashMap::new();
    let mut merged: Vec<Given> = Vec::new();
    for next in given {
        match places.get(&next.key).and_then(|place| merged.get_mut(*place)) {
            Some(former) => *former = next,
            None => {
                places.insert(next.key.clone(), merged.len());
                merged.push(next);
            }
        }
    }
    for pair in RIVALS {
        let rank = |key: &str| {
            let given = merged.iter().find(|given| given.key.join(".") == key)?;
            Some(given.origin.rank())
        };
        let [left, right] = pair.map(rank);
        let weaker = match (left, right) {
            (Some(left), Some(right)) if left > right => pair[1],
            (Some(_), Some(_)) => pair[0],
            _ => continue,
        };
        merged.retain(|given| given.key.join(".") != weaker);
    }
    merged
}

/// Puts the value of another key, or of a variable of the environment, where a file has `$(name)`.
fn substituted(
    given: Vec<Given>,
    environment: &BTreeMap<String, String>,
    faults: &mut Vec<String>,
) -> Vec<Given> {
    let values: HashMap<String, String> =
        given.iter().map(|given| (written(&given.key), given.value.clone())).collect();
    let value_of = |name: &str| values.get(name).or_else(|| environment.get(name));
    let resolve = |mut given: Given| {
        if matches!(given.origin, Origin::File(..)) && given.value.contains("$(") {
            match substitute(&given.value, &value_of, DEPTH) {
                Ok(value) => given.value = value,
                Err(why) => {
                    faults.push(format!("{}: {}: {why}", given.origin, written(&given.key)));
                    return None;
                }
            }
        }
        Some(given)
    };
    given.into_iter().filter_map(resolve).collect()
}

fn substitute<'a>(
    value: &str,
    value_of: &impl Fn(&str) -> Option<&'a String>,
    depth: usize,
) -> Result<String, String> {
    let mut done = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("$(") {
        let Some((name, behind)) = after.split_once(')') else { break };
        let name = name.trim();
        let wanted = value_of(name)
            .ok_or_else(|| format!("$({name}) is neither a key nor in the environment"))?;
        if depth == 0 || wanted.len() > 1 << 16 {
            return Err(format!("$({name}) goes round in circles"));
        }
        done.push_str(before);
        done.push_str(&substitute(wanted, value_of, depth - 1)?);
        if done.len() > 1 << 16 {
            return Err(format!("$({name}) makes the value too long"));
        }
        rest = behind;
    }
    done.push_str(rest);
    Ok(done)
}

/// A setting, and the key in the table that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The place in [`keys::all`].
    pub place: usize,
    /// What was found.
    pub given: Given,
}

/// A key that is set in another way than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: String,
    /// Whether that counts without a restart.
    pub live: bool,
}

/// What a configuration is made of: settings of known keys, in the order of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings(Vec<Setting>);

impl Settings {
    fn of(given: Vec<Given>, notes: &mut Vec<String>) -> Self {
        let mut settings = Vec::new();
        for given in given {
            let name = written(&given.key);
            let place = keys::find(&given.key);
            let in_file = matches!(given.origin, Origin::File(..));
            let known = place.and_then(|place| Some((place, keys::all().get(place)?)));
            let Some((place, key)) = known.filter(|(_, key)| !(key.outside && in_file)) else {
                let near = keys::nearest(&name).map(|key| format!(", is `{key}` meant?"));
                let near = near.unwrap_or_default();
                notes.push(format!("{}: `{name}` is not a key{near}", given.origin));
                continue;
            };
            if key.is_ignored() {
                notes.push(format!("{}: `{name}` is ignored: {}", given.origin, key.means));
            }
            settings.push(Setting { place, given });
        }
        settings.sort_by_key(|setting| setting.place);
        Self(settings)
    }

    /// All, in the order of the table.
    pub fn all(&self) -> impl Iterator<Item = (&'static Key, &Given)> {
        self.0.iter().filter_map(|setting| Some((keys::all().get(setting.place)?, &setting.given)))
    }

    /// The files that they are from.
    pub fn files(&self) -> BTreeSet<PathBuf> {
        let file = |setting: &Setting| match &setting.given.origin {
            Origin::File(path, _) => Some(path.to_path_buf()),
            Origin::Env(_) | Origin::Flag(_) => None,
        };
        self.0.iter().filter_map(file).collect()
    }

    /// What these become when others are read while the broker runs, and what is different in them:
    /// keys that cannot change now stay as they are.
    pub fn changed_to(&self, others: &Self) -> (Self, Vec<Change>) {
        let mut changes = Vec::new();
        let is_live =
            |setting: &&Setting| keys::all().get(setting.place).is_some_and(|key| key.live);
        let same = |left: &Setting, right: &Setting| {
            left.given.key == right.given.key && left.given.value == right.given.value
        };
        for (settings, rivals) in [(self, others), (others, self)] {
            for setting in &settings.0 {
                let ignored = keys::all().get(setting.place).is_none_or(Key::is_ignored);
                if !ignored && !rivals.0.iter().any(|rival| same(rival, setting)) {
                    let key = written(&setting.given.key);
                    changes.push(Change { key, live: is_live(&setting) });
                }
            }
        }
        changes.sort_by(|left, right| left.key.cmp(&right.key));
        changes.dedup();
        let live = others.0.iter().filter(is_live);
        let still = self.0.iter().filter(|setting| !is_live(setting));
        let mut settings: Vec<_> = live.chain(still).cloned().collect();
        settings.sort_by_key(|setting| setting.place);
        (Self(settings), changes)
    }

    /// The configuration that they make; what cannot be is added to the faults.
    pub fn config(&self, faults: &mut Vec<String>) -> Config {
        let mut config = Config::default();
        // The tags that are asked for stand instead of the default, not beside it.
        if self.all().any(|(key, _)| key.pattern == "default_user_tags.$tag") {
            config.default_user_tags.clear();
        }
        for (key, given) in self.all() {
            let place = format!("{}: {}", given.origin, syntax::written(&given.key));
            if key.secret && given.value.starts_with(ENCRYPTED) {
                faults.push(format!(
                    "{place}: encrypted values cannot be read: write it as it is, or take it from the \
                     environment with $(NAME)"
                ));
            } else if !key.apply(&mut config, &given.key, &given.value) {
                let value = shown(key, &given.value);
                faults.push(format!("{place} = {value}: allowed is {}", key.allowed));
            }
        }
        config
    }
}

/// A value that anybody may see.
pub fn shown<'a>(key: &Key, value: &'a str) -> &'a str {
    if key.secret { "***" } else { value }
}
