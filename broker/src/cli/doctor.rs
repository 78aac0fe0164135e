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
    /// The user may look at it.
    seen: bool,
}

impl Finding {
    /// Of what the broker has told. Not everything is for everybody to see.
    fn told(what: &'static str, told: Done<Option<String>>) -> Done<Self> {
        match told {
            Ok(wrong) => Ok(Self { what, wrong, seen: true }),
            Err(failure) if failure.is_forbidden() => Ok(Self { what, wrong: None, seen: false }),
            Err(failure) => Err(failure),
        }
    }

    fn line(&self) -> String {
        let Self { what, wrong, seen } = self;
        match wrong {
            Some(why) => format!("look  {what}: {why}"),
            None if *seen => format!("ok    {what}"),
            None => format!("-     {what}: not for this user to see"),
        }
    }
}

/// Runs `lepus doctor`. Exit code 1: there is something.
pub fn run(args: &DoctorArgs) -> Done {
    let session = args.reach.session()?;
    let client = &session.client;
    // Who may not log in at all is told so.
    client.get(&path(&["whoami"]))?;
    let node = client.get(&path(&["nodes"])).map(|nodes| rows(&nodes).into_iter().next());
    let about = |look: fn(&Value) -> Option<String>| match &node {
        Ok(node) => Ok(node.as_ref().and_then(look)),
        Err(failure) => Err(failure.clone()),
    };
    let soon = ["certificate-expiration", "30", "days"];
    let forgotten =
        |queue: &Value| count(queue, "messages_ready") > 0 && count(queue, "consumers") == 0;
    let paused = |queue: &Value| text(find(queue, "state")) == "paused";
    let findings = [
        ("alarms", health::ask(client, &["alarms"])),
        ("virtual hosts", health::ask(client, &["virtual-hosts"])),
        ("certificates for 30 days", health::ask(client, &soon)),
        ("memory", about(|node| near(node, ["mem_used", "mem_limit"]))),
        ("file descriptors", about(|node| near(node, ["fd_used", "fd_total"]))),
        ("connections", about(|node| near(node, ["sockets_used", "sockets_total"]))),
        ("disk", about(disk)),
        ("user guest", Ok(guest(client, &args.reach.place()))),
        ("queues with messages and no consumer", queues(client, forgotten)),
        ("paused queues", queues(client, paused)),
        ("blocked connections", blocked(client)),
        ("users without permissions", users(client)),
    ];
    let findings = findings.into_iter().map(|(what, told)| Finding::told(what, told));
    let findings: Vec<Finding> = findings.collect::<Done<_>>()?;
    let is_well = findings.iter().all(|finding| finding.wrong.is_none());
    if session.json {
        let shown = findings
            .iter()
            .map(
                |Finding { what, wrong, seen }| json!({"what": what, "wrong": wrong, "seen": seen}),
            )
            .collect();
        session.show(&shown)?;
    } else {
        findings.iter().try_for_each(|finding| write(&finding.line()))?;
    }
    if is_well { Ok(()) } else { Err(Failure::new(NO, "")) }
}

/// How much of something is used.
fn near(node: &Value, [used, most]: [&str; 2]) -> Option<String> {
    let number = |at| find(node, at).as_f64().unwrap_or_default();
    let part = number(used) / number(most).max(1.0);
    (part >= NEAR && number(most) > 0.0).then(|| format!("{:.0} % are used", part * 100.0))
}

fn disk(node: &Value) -> Option<String> {
    let number = |at| find(node, at).as_f64().unwrap_or_default();
    let (free, limit) = (number("disk_free"), number("disk_free_limit"));
    (free * NEAR < limit).then(|| format!("{free} octets are free, the limit is {limit}"))
}

/// Whether everybody knows a password.
fn guest(client: &Client, place: &Place) -> Option<String> {
    // Through a URL it is seen from elsewhere perhaps, where guest may not log in anyway.
    let known = matches!(client.logs_in("guest", "guest"), Ok(true));
    let local = if matches!(place, Place::DataDir(_)) { " from this machine" } else { "" };
    known.then(|| format!("anybody{local} logs in with the password `guest`"))
}

fn count(queue: &Value, at: &str) -> u64 {
    find(queue, at).as_u64().unwrap_or_default()
}

fn queues(client: &Client, is_one: fn(&Value) -> bool) -> Done<Option<String>> {
    let columns = [("columns", "name,vhost,messages_ready,consumers,state")];
    let all = rows(&client.get(&with_query(&path(&["queues"]), &columns))?);
    let found: Vec<String> =
        all.iter().filter(|queue| is_one(queue)).map(|queue| text(find(queue, "name"))).collect();
    Ok(listed(&found))
}

fn listed(found: &[String]) -> Option<String> {
    let more = if found.len() > NAMED { ", …" } else { "" };
    let named: Vec<&str> = found.iter().take(NAMED).map(String::as_str).collect();
    (!found.is_empty()).then(|| format!("{}: {}{more}", found.len(), named.join(", ")))
}

fn blocked(client: &Client) -> Done<Option<String>> {
    let columns = [("columns", "name,state")];
    let all = rows(&client.get(&with_query(&path(&["connections"]), &columns))?);
    let is_blocked = |connection: &&Value| text(find(connection, "state")).starts_with("block");
    let found: Vec<String> =
        all.iter().filter(is_blocked).map(|connection| text(find(connection, "name"))).collect();
    Ok(listed(&found))
}

fn users(client: &Client) -> Done<Option<String>> {
    let all = rows(&client.get(&path(&["users", "without-permissions"]))?);
    let found: Vec<String> = all.iter().map(|user| text(find(user, "name"))).collect();
    Ok(listed(&found))
}
