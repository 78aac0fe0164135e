//! Virtual hosts.

use serde_json::{Map, Value, json};

use super::call::{Call, UNAVAILABLE, error};
use super::terms::quoted;
use crate::cli::client::{Client, path};
use crate::cli::failure::{DATA, Done, Failure};

pub fn add(call: &Call) -> Done {
    let name = call.word(0);
    call.banner(&format!("Adding vhost {} ...", quoted(name)))?;
    let options = &call.options;
    let said = [
        ("description", &options.description),
        ("tags", &options.tags),
        ("default_queue_type", &options.default_queue_type),
    ];
    let said =
        said.into_iter().filter_map(|(key, value)| Some((key.to_owned(), json!(value.as_ref()?))));
    let body: Map<String, Value> = said.collect();
    call.client()?.put(&path(&["vhosts", name]), &body.into()).map(drop)
}

pub fn delete(call: &Call) -> Done {
    let name = call.word(0);
    call.banner(&format!("Deleting vhost {} ...", quoted(name)))?;
    match call.client()?.delete(&path(&["vhosts", name])) {
        Err(failure) if failure.is_missing() => {
            Err(Failure::new(DATA, format!("Virtual host '{name}' does not exist")))
        }
        done => done.map(drop),
    }
}

pub fn set_tags(call: &Call) -> Done {
    let name = call.word(0);
    let tags = call.words.get(1..).unwrap_or_default();
    call.banner(&format!("Setting tags for virtual host \"{name}\" to [{}] ...", tags.join(", ")))?;
    change(call, name, &json!({"tags": tags.join(",")}))
}

/// Virtual hosts never stop.
pub fn restart(call: &Call) -> Done {
    call.banner(&format!(
        "Trying to restart vhost '{}' on node '{}' ...",
        call.vhost(),
        call.node()
    ))?;
    existing(&call.client()?, call.vhost())
}

pub fn trace_on(call: &Call) -> Done {
    let vhost = call.vhost();
    call.banner(&format!("Starting tracing for vhost \"{vhost}\" ..."))?;
    change(call, vhost, &json!({"tracing": true}))?;
    call.print(&format!("Trace enabled for vhost {vhost}"))
}

pub fn trace_off(call: &Call) -> Done {
    let vhost = call.vhost();
    call.banner(&format!("Stopping tracing for vhost \"{vhost}\" ..."))?;
    change(call, vhost, &json!({"tracing": false}))?;
    call.print(&format!("Trace disabled for vhost {vhost}"))
}

/// Changes one; it is not made.
fn change(call: &Call, name: &str, body: &Value) -> Done {
    let client = call.client()?;
    existing(&client, name)?;
    client.put(&path(&["vhosts", name]), body).map(drop)
}

fn existing(client: &Client, name: &str) -> Done {
    match client.get(&path(&["vhosts", name])) {
        Err(failure) if failure.is_missing() => {
            Err(error(UNAVAILABLE, format!("Virtual host '{name}' does not exist")))
        }
        found => found.map(drop),
    }
}
