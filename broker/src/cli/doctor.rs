//! `lepus doctor`: what an operator should see to.

use clap::Args;
use serde_json::{Value, json};

use super::client::{Client, Place, path, with_query};
use super::failure::{Done, Failure, NO};
use super::health;
use super::reach::Reach;
use super::table::{find, rows, text, write};

/// Part of a limit from which on it is said that it is near.
const NEAR: f64 = 0.8;

/// Queues named in one line.
const NAMED: usize = 5;

/// Arguments of `lepus doctor`.
#[derive(Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    reach: Reach,
}

/// What was looked at, and what is wrong with it.
struct Finding {
    what: &'static str,
    wrong: Option<String>,
}

/// Runs `lepus doctor`. Exit code 1: there is something.
pub fn run(args: &DoctorArgs) -> Done {
    let session = args.reach.session()?;
    let client = &session.client;
    let node = rows(&client.get(&path(&["nodes"]))?).into_iter().next().unwrap_or_default();
    let findings = [
        health_check(client, "alarms", &["alarms"])?,
        health_check(client, "virtual hosts", &["virtual-hosts"])?,
        health_check(
            client,
            "certificates for 30 days",
            &["certificate-expiration", "30", "days"],
        )?,
        near("memory", &node, ["mem_used", "mem_limit"]),
        near("file descriptors", &node, ["fd_used", "fd_total"]),
        near("connections", &node, ["sockets_used", "sockets_total"]),
        disk(&node),
        guest(client, &args.reach.place()),
        queues(client, "queues with messages and no consumer", |queue| {
            count(queue, "messages_ready") > 0 && count(queue, "consumers") == 0
        })?,
        queues(client, "paused queues", |queue| text(find(queue, "state")) == "paused")?,
        blocked(client)?,
        users(client)?,
    ];
    let is_well = findings.iter().all(|finding| finding.wrong.is_none());
    if session.json {
        let shown = findings
            .iter()
            .map(|Finding { what, wrong }| json!({"what": what, "wrong": wrong}))
            .collect();
        session.show(&shown)?;
    } else {
        for Finding { what, wrong } in &findings {
            write(&match wrong {
                None => format!("ok    {what}"),
                Some(why) => format!("look  {what}: {why}"),
            })?;
        }
    }
    if is_well { Ok(()) } else { Err(Failure::new(NO, "")) }
}

fn health_check(client: &Client, what: &'static str, check: &[&str]) -> Done<Finding> {
    Ok(Finding { what, wrong: health::ask(client, check)? })
}

/// How much of something is used.
fn near(what: &'static str, node: &Value, [used, most]: [&str; 2]) -> Finding {
    let number = |at| find(node, at).as_f64().unwrap_or_default();
    let part = number(used) / number(most).max(1.0);
    let near =
        (part >= NEAR && number(most) > 0.0).then(|| format!("{:.0} % are used", part * 100.0));
    Finding { what, wrong: near }
}

fn disk(node: &Value) -> Finding {
    let number = |at| find(node, at).as_f64().unwrap_or_default();
    let (free, limit) = (number("disk_free"), number("disk_free_limit"));
    let near =
        (free * NEAR < limit).then(|| format!("{free} octets are free, the limit is {limit}"));
    Finding { what: "disk", wrong: near }
}

/// Whether everybody knows a password.
fn guest(client: &Client, place: &Place) -> Finding {
    let what = "user guest";
    // Through a URL it is seen from elsewhere perhaps, where guest may not log in anyway.
    let known = matches!(client.logs_in("guest", "guest"), Ok(true));
    let local = if matches!(place, Place::DataDir(_)) { " from this machine" } else { "" };
    let wrong = known.then(|| format!("anybody{local} logs in with the password `guest`"));
    Finding { what, wrong }
}

fn count(queue: &Value, at: &str) -> u64 {
    find(queue, at).as_u64().unwrap_or_default()
}

fn queues(client: &Client, what: &'static str, is_one: fn(&Value) -> bool) -> Done<Finding> {
    let columns = [("columns", "name,vhost,messages_ready,consumers,state")];
    let all = rows(&client.get(&with_query(&path(&["queues"]), &columns))?);
    let found: Vec<String> =
        all.iter().filter(|queue| is_one(queue)).map(|queue| text(find(queue, "name"))).collect();
    Ok(Finding { what, wrong: listed(&found) })
}

fn listed(found: &[String]) -> Option<String> {
    let more = if found.len() > NAMED { ", …" } else { "" };
    let named: Vec<&str> = found.iter().take(NAMED).map(String::as_str).collect();
    (!found.is_empty()).then(|| format!("{}: {}{more}", found.len(), named.join(", ")))
}

fn blocked(client: &Client) -> Done<Finding> {
    let columns = [("columns", "name,state")];
    let all = rows(&client.get(&with_query(&path(&["connections"]), &columns))?);
    let is_blocked = |connection: &&Value| text(find(connection, "state")).starts_with("block");
    let found: Vec<String> =
        all.iter().filter(is_blocked).map(|connection| text(find(connection, "name"))).collect();
    Ok(Finding { what: "blocked connections", wrong: listed(&found) })
}

fn users(client: &Client) -> Done<Finding> {
    let all = rows(&client.get(&path(&["users", "without-permissions"]))?);
    let found: Vec<String> = all.iter().map(|user| text(find(user, "name"))).collect();
    Ok(Finding { what: "users without permissions", wrong: listed(&found) })
}
