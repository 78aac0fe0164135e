//! Closing connections, emptying and deleting queues.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use super::call::{Call, UNAVAILABLE, USAGE, error, part};
use super::listings::pid;
use crate::cli::client::{Client, path, with_query};
use crate::cli::failure::Done;
use crate::cli::table::rows;

/// Closes one; it may have gone by itself.
fn end(client: &Client, name: &str, why: &str) -> Done {
    match client.delete_because(&path(&["connections", name]), why) {
        Err(failure) if failure.is_missing() => Ok(()),
        done => done.map(drop),
    }
}

fn names(client: &Client, of: &[&str]) -> Done<Vec<String>> {
    let all = rows(&client.get(&with_query(&path(of), &[("columns", "name")]))?);
    Ok(all.iter().map(|connection| part(connection, "name")).collect())
}

/// By what `list_connections pid` says of it, or by its name.
pub fn close(call: &Call) -> Done {
    let (wanted, why) = (call.word(0), call.word(1));
    call.banner(&format!("Closing connection {wanted}, reason: {why}..."))?;
    let client = call.client()?;
    let all = names(&client, &["connections"])?;
    let found = all.iter().find(|name| *name == wanted || pid(name) == wanted);
    found.map_or(Ok(()), |name| end(&client, name, why))
}

pub fn close_all(call: &Call) -> Done {
    let (why, client) = (call.word(0), call.client()?);
    let (banner, mut all) = match (call.options.global, &call.options.vhost) {
        (false, Some(vhost)) => (
            format!("Closing all connections in vhost {vhost}, reason: {why}..."),
            names(&client, &["vhosts", vhost, "connections"])?,
        ),
        _ => (
            format!("Closing all connections to node {}, reason: {why}...", call.node()),
            names(&client, &["connections"])?,
        ),
    };
    call.banner(&banner)?;
    all.truncate(call.options.limit.filter(|limit| *limit > 0).unwrap_or(usize::MAX));
    for name in &all {
        end(&client, name, why)?;
        sleep(Duration::from_millis(call.options.per_connection_delay.unwrap_or_default()));
    }
    call.print(&format!("Closed {} connections", all.len()))
}

pub fn close_all_of_user(call: &Call) -> Done {
    let (user, why) = (call.word(0), call.word(1));
    call.banner(&format!("Closing connections of user {user}, reason: {why}..."))?;
    let client = call.client()?;
    client.delete_because(&path(&["connections", "username", user]), why).map(drop)
}

pub fn purge_queue(call: &Call) -> Done {
    let (name, vhost) = (call.word(0), call.vhost());
    call.banner(&format!("Purging queue '{name}' in vhost '{vhost}' ..."))?;
    match call.client()?.delete(&path(&["queues", vhost, name, "contents"])) {
        Err(failure) if failure.is_missing() => Err(error(UNAVAILABLE, "not_found")),
        done => done.map(drop),
    }
}

pub fn delete_queue(call: &Call) -> Done {
    let (name, vhost) = (call.word(0), call.vhost());
    let (if_empty, if_unused) =
        (call.options.if_empty || call.options.enabled, call.options.if_unused);
    let (empty, unused) =
        (if_empty.then_some("if queue is empty "), if_unused.then_some("if queue is unused "));
    let only: Vec<&str> = empty.into_iter().chain(unused).collect();
    let only =
        if only.is_empty() { String::new() } else { format!(" {}", only.join("and ").trim_end()) };
    call.banner(&format!("Deleting queue '{name}' on vhost '{vhost}'{only} ..."))?;
    let client = call.client()?;
    let one = path(&["queues", vhost, name]);
    let queue = match client.get(&one) {
        Err(failure) if failure.is_missing() => return Err(error(USAGE, "Queue not found")),
        found => found?,
    };
    let query = [("if-empty", if_empty), ("if-unused", if_unused)];
    let query: Vec<_> = query.iter().filter(|(_, on)| *on).map(|(key, _)| (*key, "true")).collect();
    client.delete(&with_query(&one, &query))?;
    let ready = part(&queue, "messages_ready");
    call.banner(&format!("Queue was successfully deleted with {ready} ready messages"))
}

/// Of one broker, which leads.
pub fn quorum_status(call: &Call) -> Done {
    let (name, vhost) = (call.word(0), call.vhost());
    call.banner(&format!("Status of quorum queue {name} on node {} ...", call.node()))?;
    let queue = match call.client()?.get(&path(&["queues", vhost, name])) {
        Err(failure) if failure.is_missing() => return Err(error(UNAVAILABLE, "not_found")),
        found => found?,
    };
    if part(&queue, "type") != "quorum" {
        return Err(error(UNAVAILABLE, "Cannot get quorum status of a classic queue"));
    }
    let columns =
        ["Node Name", "Raft State", "Log Index", "Commit Index", "Snapshot Index", "Term"];
    let row: Vec<Value> =
        vec![json!(call.node()), json!("leader"), 0.into(), 0.into(), 0.into(), 0.into()];
    call.print(&super::listings::pretty(&columns, &[row]))
}
