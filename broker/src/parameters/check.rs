//! What parameters may say, with RabbitMQ's refusals.

use serde_json::{Map, Value};

use super::{LIMITS, OPERATOR_POLICY};
use crate::policy::{PolicySpec, term_of, terms_of};
use crate::vhost::VhostLimits;

/// What comes of a parameter.
#[derive(Clone, Debug)]
pub enum Effect {
    /// A virtual host has other limits.
    Limits(VhostLimits),
    /// An operator has another policy.
    Policy(PolicySpec),
    /// Nothing: it is kept for whoever asks for it.
    Nothing,
}

/// Components of RabbitMQ's plugins that are not here: what they were told is kept and told again.
const FOREIGN: [&str; 4] =
    ["federation", "federation-upstream", "federation-upstream-set", "shovel"];

/// What comes of a parameter of a component.
///
/// # Errors
/// What is wrong with it, in RabbitMQ's words.
pub fn checked(component: &str, name: &str, value: &Value) -> Result<Effect, String> {
    match component {
        "policy" => Err("policies may not be set using this method".to_owned()),
        LIMITS => limits(name, value).map(Effect::Limits).map_err(failed),
        OPERATOR_POLICY => {
            let spec = policy(name, value).map_err(failed)?;
            Ok(Effect::Policy(spec))
        }
        _ if FOREIGN.contains(&component) => Ok(Effect::Nothing),
        _ => Err(failed(vec![format!("component {component} not found")])),
    }
}

fn failed(whys: Vec<String>) -> String {
    format!("Validation failed\n\n{}\n", whys.join("\n"))
}

/// A key that an object may have.
struct Key {
    name: &'static str,
    number: bool,
    needed: bool,
}

const fn key(name: &'static str, number: bool, needed: bool) -> Key {
    Key { name, number, needed }
}

fn limits(name: &str, value: &Value) -> Result<VhostLimits, Vec<String>> {
    let keys = [key("max-connections", true, false), key("max-queues", true, false)];
    let found = fields(name, value, &keys)?;
    // Negative: any number.
    let limit = |key: &str| found.get(key).and_then(Value::as_u64);
    Ok(VhostLimits { max_connections: limit("max-connections"), max_queues: limit("max-queues") })
}

fn policy(name: &str, value: &Value) -> Result<PolicySpec, Vec<String>> {
    let keys = [
        key("priority", true, true),
        key("pattern", false, true),
        key("apply-to", false, false),
        key("definition", false, true),
    ];
    let found = fields(name, value, &keys)?;
    let text = |key: &str| match found.get(key) {
        None => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => {
            let other = term_of(other);
            Err(vec![format!("{key} should be binary, actually was {other}")])
        }
    };
    Ok(PolicySpec {
        name: name.to_owned(),
        pattern: text("pattern")?,
        apply_to: text("apply-to")?,
        priority: found.get("priority").and_then(Value::as_i64).unwrap_or_default(),
        definition: found.get("definition").cloned().unwrap_or_default(),
    })
}

/// The fields of an object that has these keys only. RabbitMQ tells of the last wrong one first.
fn fields<'a>(
    name: &str,
    value: &'a Value,
    keys: &[Key],
) -> Result<&'a Map<String, Value>, Vec<String>> {
    let Value::Object(found) = value else {
        return Err(vec![format!("{name} not a list {}", term_of(value))]);
    };
    let unknown = found.iter().filter(|(name, _)| !keys.iter().any(|key| key.name == **name));
    let unknown: Vec<_> = unknown.collect();
    let mut whys = Vec::new();
    if !unknown.is_empty() {
        whys.push(format!("Unrecognised terms {} in {name}", terms_of(unknown.into_iter())));
    }
    whys.extend(keys.iter().rev().filter_map(|key| match found.get(key.name) {
        None if key.needed => Some(format!("Key \"{}\" not found in {name}", key.name)),
        Some(value) if key.number && !value.is_i64() && !value.is_u64() => {
            Some(format!("{} should be a number, actually was {}", key.name, term_of(value)))
        }
        _ => None,
    }));
    if whys.is_empty() { Ok(found) } else { Err(whys) }
}
