//! Messages as JSON, with those who have them.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::place::{Found, Standing};
use crate::admin::auth::Caller;
use crate::admin::routes::x::{channels, plain_messages};
use crate::connection::ask_all;
use crate::queue::state::schedule::Moved;
use crate::queue::state::{ConsumerKey, Entry};

/// The channels and tags of consumers.
type Holders = HashMap<ConsumerKey, (String, String)>;

pub async fn all(caller: &Caller, found: Vec<Found>, truncate: Option<usize>) -> Vec<Value> {
    let holders = holders(caller, &found).await;
    found.iter().map(|found| show(found, &holders, truncate)).collect()
}

/// Those who have these messages, as far as they are still there.
async fn holders(caller: &Caller, found: &[Found]) -> Holders {
    let mut connections: Vec<u64> =
        found.iter().filter_map(holder).map(|key| key.connection).collect();
    connections.sort_unstable();
    connections.dedup();
    let asked = connections.into_iter().filter_map(|id| caller.node().connection(id)).collect();
    let mut holders = HashMap::new();
    for (open, channel) in ask_all(asked).await {
        let name = channels::name(&open, channel.number);
        for consumer in &channel.consumers {
            holders.insert(consumer.key, (name.clone(), consumer.tag.clone()));
        }
    }
    holders
}

fn holder(found: &Found) -> Option<ConsumerKey> {
    match found {
        Found::Unacked(_, by) => *by,
        _ => None,
    }
}

fn show(found: &Found, holders: &Holders, truncate: Option<usize>) -> Value {
    let message = found.message();
    let (standing, due, entry) = match found {
        Found::Ready(entry) => (Standing::Ready, None, entry.clone()),
        Found::Unacked(entry, _) => (Standing::Unacked, None, entry.clone()),
        Found::Scheduled(Moved { pair, .. }) => {
            let (message, returns) = (message.clone(), message.returns_before());
            let redelivered = returns > 0;
            let entry = Entry { seq: pair.seq, message, redelivered, returns, stored: true };
            (Standing::Scheduled, Some(pair.due()), entry)
        }
    };
    let mut shown = plain_messages::show(&entry, 0, false, truncate);
    if let Some(fields) = shown.as_object_mut() {
        fields.remove("message_count");
    }
    shown["position"] = found.position().into();
    shown["state"] = standing.name().into();
    shown["delivery_count"] = entry.returns.into();
    // What is held back counts as arrived when it is due.
    let arrived = Some(message.arrived()).filter(|arrived| Some(*arrived) != due);
    shown["arrived"] = arrived.into();
    if let Some(due) = due {
        shown["due"] = due.into();
    }
    if standing == Standing::Unacked {
        let holder = holder(found).and_then(|key| holders.get(&key));
        shown["channel"] = json!(holder.map(|(channel, _)| channel));
        shown["consumer_tag"] = json!(holder.map(|(_, tag)| tag));
    }
    shown
}
