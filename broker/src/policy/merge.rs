//! What two policies and a queue's own arguments say together.

use std::sync::Arc;

use amq_protocol::types::{AMQPValue, FieldTable};
use serde_json::Value;

use super::definition::{self, Beside, Definition};
use super::{Kind, Policy};
use crate::topology::arguments::integer;

/// The policies that count for a queue or an exchange.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Applied {
    /// The users'.
    pub policy: Option<Arc<Policy>>,
    /// The operators'.
    pub operator: Option<Arc<Policy>>,
}

/// How an operator holds a queue's deliveries back by a call, not by a policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Nothing is delivered.
    pub paused: bool,
    /// The most messages a second.
    pub max_rate: Option<u64>,
}

impl Applied {
    /// That of a kind.
    pub fn of(&self, kind: Kind) -> Option<&Arc<Policy>> {
        match kind {
            Kind::User => self.policy.as_ref(),
            Kind::Operator => self.operator.as_ref(),
        }
    }

    /// What both say together (`effective_policy_definition`); `None` if there is neither.
    pub fn effective(&self) -> Option<Definition> {
        let definition = |policy: &Option<Arc<Policy>>| Some(policy.as_ref()?.definition.clone());
        let (user, operator) = (definition(&self.policy), definition(&self.operator));
        let (Some(mut merged), Some(operator)) = (user.clone(), operator.clone()) else {
            return user.or(operator);
        };
        for (key, value) in operator {
            let value = match merged.get(&key) {
                Some(user) => definition::tighter(user, &value).clone(),
                None => value,
            };
            merged.insert(key, value);
        }
        Some(merged)
    }

    /// What both say of one key.
    pub fn get(&self, key: &str) -> Option<Value> {
        let value = |policy: &Option<Arc<Policy>>| policy.as_ref()?.definition.get(key).cloned();
        match (value(&self.policy), value(&self.operator)) {
            (Some(user), Some(operator)) => Some(definition::tighter(&user, &operator).clone()),
            (user, operator) => user.or(operator),
        }
    }

    /// A queue's arguments with what policies and calls add to them; `None` if that is nothing.
    pub fn over(&self, arguments: &FieldTable, flow: Flow) -> Option<FieldTable> {
        let effective = self.effective();
        if effective.is_none() && flow == Flow::default() && !arguments.contains_key("x-pause") {
            return None;
        }
        let mut merged = arguments.clone();
        for key in definition::queue_keys() {
            let policy = effective.as_ref().and_then(|said| on_the_wire(said.get(key.name)?));
            if policy.is_none() && key.beside_argument != Beside::Policy {
                continue;
            }
            let name = format!("x-{}", key.name);
            let argument = arguments.inner().get(name.as_str());
            let argument = argument.filter(|_| key.beside_argument != Beside::Policy);
            let value = match (argument, policy) {
                (Some(argument), Some(policy)) if key.beside_argument == Beside::Smaller => {
                    smaller(argument, policy)
                }
                (Some(argument), _) => argument.clone(),
                (None, Some(policy)) => policy,
                (None, None) => {
                    merged = without(merged, &name);
                    continue;
                }
            };
            merged.insert(name.into(), value);
        }
        flow.add_to(&mut merged);
        (merged != *arguments).then_some(merged)
    }
}

impl Flow {
    fn add_to(self, arguments: &mut FieldTable) {
        if self.paused {
            arguments.insert("x-pause".into(), AMQPValue::Boolean(true));
        }
        if let Some(rate) = self.max_rate {
            let rate = AMQPValue::LongLongInt(i64::try_from(rate).unwrap_or(i64::MAX));
            let name = "x-max-delivery-rate";
            let other = arguments.inner().get(name).cloned();
            let rate = other.map_or(rate.clone(), |other| smaller(&other, rate));
            arguments.insert(name.into(), rate);
        }
    }
}

fn without(table: FieldTable, name: &str) -> FieldTable {
    if !table.contains_key(name) {
        return table;
    }
    let mut fields = table.inner().clone();
    fields.remove(name);
    fields.into()
}

fn smaller(argument: &AMQPValue, policy: AMQPValue) -> AMQPValue {
    match (integer(argument), integer(&policy)) {
        (Some(own), Some(other)) if own <= other => argument.clone(),
        // RabbitMQ refuses an argument that is no number.
        _ => policy,
    }
}

fn on_the_wire(value: &Value) -> Option<AMQPValue> {
    match value {
        Value::Bool(flag) => Some(AMQPValue::Boolean(*flag)),
        Value::String(text) => Some(AMQPValue::LongString(text.as_str().into())),
        Value::Number(number) => match definition::number(value) {
            Some(integer) => Some(AMQPValue::LongLongInt(integer)),
            None => number.as_f64().map(AMQPValue::Double),
        },
        _ => None,
    }
}
