//! The consumer that a queue serves alone. Lists of queues say nothing of it: those of consumers do.

use std::collections::HashMap;

use serde_json::Value;

use super::call::{Call, part};
use crate::cli::client::path;
use crate::cli::failure::Done;
use crate::cli::table::{find, rows};

/// The columns that it is in.
const COLUMNS: [&str; 3] =
    ["exclusive_consumer_pid", "exclusive_consumer_tag", "single_active_consumer_tag"];

/// Adds it to queues, if one of these columns is about it.
pub fn add<'a>(
    call: &Call,
    mut columns: impl Iterator<Item = &'a str>,
    queues: &mut [Value],
) -> Done {
    if !columns.any(|name| COLUMNS.contains(&name)) {
        return Ok(());
    }
    let consumers = rows(&call.client()?.get(&path(&["consumers", call.vhost()]))?);
    let mut served: HashMap<String, Vec<(&str, String)>> = HashMap::new();
    for consumer in &consumers {
        let (tag, queue) = (part(consumer, "consumer_tag"), part(consumer, "queue.name"));
        let parts = served.entry(queue).or_default();
        if part(consumer, "activity_status") == "single_active" {
            parts.push(("single_active_consumer_tag", tag.clone()));
        }
        if find(consumer, "exclusive").as_bool() == Some(true) {
            parts.push(("exclusive_consumer_pid", part(consumer, "channel_details.name")));
            parts.push(("exclusive_consumer_tag", tag));
        }
    }
    for queue in queues {
        for (name, text) in served.remove(&part(queue, "name")).into_iter().flatten() {
            queue[name] = text.into();
        }
    }
    Ok(())
}
