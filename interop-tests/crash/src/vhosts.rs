//! Virtual hosts and users that come and go over HTTP until the broker is gone. One is there wholly
//! after that, or not at all.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel};
use serde_json::Value;

use crate::load::World;
use crate::topology::{bye, connect};

/// `guest:guest`.
const LOGIN: &str = "Basic Z3Vlc3Q6Z3Vlc3Q=";

/// Queues of each virtual host, all of them declared before anything is published.
const QUEUES: u32 = 3;

/// Messages of each of them.
const MESSAGES: u32 = 20;

/// What was answered about a virtual host, and the user of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It was being made: part of it may be there.
    Making,
    /// It was being deleted: it is whole, or gone.
    Deleting,
    /// It has all its queues, and their messages.
    Whole,
    /// It was deleted.
    Gone,
}

/// The virtual hosts of a round, by name.
pub type Vhosts = BTreeMap<String, State>;

/// Makes and deletes them until the broker is gone; every second one is deleted.
pub async fn come_and_go(world: World, http: String, prefix: String) -> Vhosts {
    let mut vhosts = Vhosts::new();
    // The error is that the broker is gone.
    drop(until_gone(&world, &http, &prefix, &mut vhosts).await);
    vhosts
}

async fn until_gone(world: &World, http: &str, prefix: &str, vhosts: &mut Vhosts) -> Result<()> {
    for number in 0_u64.. {
        let name = format!("{prefix}{number}");
        vhosts.insert(name.clone(), State::Making);
        fill(world, http, &name).await?;
        vhosts.insert(name.clone(), State::Whole);
        if number % 2 == 0 {
            vhosts.insert(name.clone(), State::Deleting);
            change(http, "DELETE", &format!("vhosts/{name}"), "").await?;
            change(http, "DELETE", &format!("users/{name}"), "").await?;
            vhosts.insert(name, State::Gone);
        }
    }
    Ok(())
}

async fn fill(world: &World, http: &str, name: &str) -> Result<()> {
    change(http, "PUT", &format!("vhosts/{name}"), "").await?;
    let user = format!(r#"{{"password":"{name}","tags":"management"}}"#);
    change(http, "PUT", &format!("users/{name}"), &user).await?;
    let all = r#"{"configure":".*","write":".*","read":".*"}"#;
    for user in ["guest", name] {
        change(http, "PUT", &format!("permissions/{name}/{user}"), all).await?;
    }
    let connection = connect(&format!("{}/{name}", world.url)).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    for queue in 0..QUEUES {
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let queue = format!("q{queue}");
        channel.queue_declare(queue.into(), durable, FieldTable::default()).await?;
    }
    publish(&channel).await?;
    bye(connection).await;
    Ok(())
}

async fn publish(channel: &Channel) -> Result<()> {
    let mut open = Vec::new();
    for number in 0..QUEUES * MESSAGES {
        let queue = format!("q{}", number % QUEUES);
        let durable = BasicProperties::default().with_delivery_mode(2);
        let options = BasicPublishOptions::default();
        open.push(channel.basic_publish("".into(), queue.into(), options, b"m", durable).await?);
    }
    for confirm in open {
        ensure!(confirm.await?.is_ack(), "a message was not confirmed");
    }
    Ok(())
}

/// Compares what was answered with what is there, and deletes it.
pub async fn check(world: &World, http: &str, vhosts: Vhosts) -> Result<()> {
    for (name, state) in vhosts {
        let found = find(world, http, &name).await?;
        if let Some(wrong) = wrong(state, &found) {
            let mut ledger = world.ledger.lock();
            ledger.violation(format!("virtual host {name} ({state:?}) {wrong}: {found:?}"));
        }
        for what in ["vhosts", "users"] {
            request(http, "DELETE", &format!("{what}/{name}"), "").await?;
        }
    }
    Ok(())
}

/// What there is of a virtual host.
#[derive(Debug)]
struct Found {
    vhost: bool,
    user: bool,
    /// Users who may do something there.
    permissions: usize,
    queues: usize,
    /// By a passive declare, since counts over HTTP may be old.
    messages: u32,
    /// Queues and permissions of one that is made anew under the name.
    left: usize,
}

fn wrong(state: State, found: &Found) -> Option<&'static str> {
    let whole = found.permissions == 2
        && found.queues == QUEUES as usize
        && found.messages == QUEUES * MESSAGES;
    match state {
        _ if found.left > 0 => Some("has left something"),
        _ if !found.vhost && found.queues + found.permissions > 0 => Some("is gone in part"),
        State::Whole if !(found.vhost && found.user) => Some("is gone"),
        State::Whole | State::Deleting if found.vhost && !whole => Some("is not whole"),
        State::Gone if found.vhost || found.user => Some("is back"),
        _ => None,
    }
}

async fn find(world: &World, http: &str, name: &str) -> Result<Found> {
    let count = |path: String| async move {
        let (status, body) = request(http, "GET", &path, "").await?;
        let objects = body.as_array().map_or(0, Vec::len);
        anyhow::Ok(if status == 200 { objects } else { 0 })
    };
    let vhost = request(http, "GET", &format!("vhosts/{name}"), "").await?.0 == 200;
    let user = request(http, "GET", &format!("users/{name}"), "").await?.0 == 200;
    let permissions = of_vhost(http, name).await?;
    let queues = count(format!("queues/{name}")).await?;
    let messages = match vhost && permissions > 0 {
        true => messages(world, name, queues).await?,
        false => 0,
    };
    let mut left = 0;
    if !vhost {
        change(http, "PUT", &format!("vhosts/{name}"), "").await?;
        // Who makes it may use it.
        let others = of_vhost(http, name).await?.saturating_sub(1);
        left = count(format!("queues/{name}")).await? + others;
    }
    Ok(Found { vhost, user, permissions, queues, messages, left })
}

async fn of_vhost(http: &str, name: &str) -> Result<usize> {
    let (_, permissions) = request(http, "GET", "permissions", "").await?;
    let permissions = permissions.as_array().context("a list of permissions")?;
    let here = |permission: &&Value| permission.get("vhost").is_some_and(|vhost| vhost == name);
    Ok(permissions.iter().filter(here).count())
}

async fn messages(world: &World, name: &str, queues: usize) -> Result<u32> {
    let Ok(connection) = connect(&format!("{}/{name}", world.url)).await else { return Ok(0) };
    let channel = connection.create_channel().await?;
    let mut messages = 0;
    for queue in 0..queues {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let queue = format!("q{queue}");
        messages += channel
            .queue_declare(queue.into(), passive, FieldTable::default())
            .await?
            .message_count();
    }
    bye(connection).await;
    Ok(messages)
}

/// A request that must succeed.
pub async fn change(http: &str, method: &'static str, path: &str, body: &str) -> Result<()> {
    let (status, _) = request(http, method, path, body).await?;
    ensure!((200..300).contains(&status), "{method} {path}: {status}");
    Ok(())
}

/// The status, and the body if it is JSON.
pub async fn request(
    http: &str,
    method: &'static str,
    path: &str,
    body: &str,
) -> Result<(u16, Value)> {
    let (uri, body) = (format!("http://{http}/api/{path}"), body.to_owned());
    let asked = tokio::task::spawn_blocking(move || {
        let agent = ureq::Agent::config_builder().http_status_as_error(false);
        let agent: ureq::Agent = agent.allow_non_standard_methods(true).build().into();
        let request = ureq::http::Request::builder().method(method).uri(uri);
        let request = request.header("authorization", LOGIN).body(body)?;
        let mut answer = agent.run(request)?;
        let text = answer.body_mut().read_to_string()?;
        anyhow::Ok((answer.status().as_u16(), serde_json::from_str(&text).unwrap_or_default()))
    });
    asked.await?
}
