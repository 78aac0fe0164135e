//! `lepus queues`.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::browse::{self, Find, Move, Peek};
use super::client::{path, with_query};
use super::failure::{Done, Failure};
use super::reach::{Reach, Session};
use super::table::{Column, find, rows, wanted};

/// Queues of a page: as many as there may be.
const PAGE: u16 = 500;

const COLUMNS: &[Column] = &[
    Column::text("vhost", "vhost"),
    Column::text("name", "name"),
    Column::text("type", "type"),
    Column::text("state", "state"),
    Column::count("ready", "messages_ready"),
    Column::count("unacked", "messages_unacknowledged"),
    Column::octets("size", "message_bytes"),
    Column::count("consumers", "consumers"),
    Column::rate("in/s", "message_stats.publish_details.rate"),
    Column::rate("out/s", "message_stats.deliver_get_details.rate"),
    Column::text("policy", "policy"),
];

const PARTS: &[Column] = &[
    Column::text("vhost", "vhost"),
    Column::text("name", "name"),
    Column::text("type", "type"),
    Column::text("state", "state"),
    Column::text("durable", "durable"),
    Column::text("auto-delete", "auto_delete"),
    Column::text("exclusive", "exclusive"),
    Column::text("arguments", "arguments"),
    Column::text("policy", "policy"),
    Column::text("operator policy", "operator_policy"),
    Column::count("ready", "messages_ready"),
    Column::count("unacked", "messages_unacknowledged"),
    Column::count("scheduled", "x.messages_scheduled"),
    Column::octets("size", "message_bytes"),
    Column::octets("memory", "memory"),
    Column::count("consumers", "consumers"),
    Column::rate("in/s", "message_stats.publish_details.rate"),
    Column::rate("out/s", "message_stats.deliver_get_details.rate"),
    Column::rate("acks/s", "message_stats.ack_details.rate"),
    Column::millis("oldest ready", "x.oldest_ready_age"),
    Column::millis("oldest unacked", "x.oldest_unacknowledged_age"),
    Column::text("idle since", "idle_since"),
];

/// Arguments of `lepus queues`.
#[derive(Args)]
pub struct QueuesArgs {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List them.
    Ls {
        /// Only those whose name has this in it.
        #[arg(long)]
        name: Option<String>,
        /// The field of the API's objects to sort by, the largest first: `messages`, `consumers`, …
        #[arg(long)]
        sort: Option<String>,
        /// At most so many, up to 500.
        #[arg(long)]
        limit: Option<u16>,
    },
    /// Show one.
    Show(One),
    /// Declare one.
    #[command(alias = "set")]
    Create {
        /// Its name.
        name: String,
        /// Its type: classic or quorum [default: the virtual host's].
        #[arg(long = "type")]
        kind: Option<String>,
        /// It goes when the broker stops.
        #[arg(long)]
        transient: bool,
        /// It goes with its last consumer.
        #[arg(long)]
        auto_delete: bool,
        /// An argument, `x-max-length=10`; numbers and truth values are taken as such.
        #[arg(long = "argument", short = 'a', value_name = "KEY=VALUE")]
        arguments: Vec<String>,
    },
    /// Drop its ready messages.
    Purge(One),
    /// Delete it with its messages.
    Rm {
        /// Its name.
        name: String,
        /// Only without messages.
        #[arg(long)]
        if_empty: bool,
        /// Only without consumers.
        #[arg(long)]
        if_unused: bool,
    },
    /// Deliver none of its messages until it is resumed.
    Pause(One),
    /// Deliver its messages again.
    Resume(One),
    /// Show its messages, and leave them as they are.
    Peek(Peek),
    /// Show its messages as they come.
    Tail(One),
    /// Show those of its messages that have a text in their headers or their payload.
    Search(Find),
    /// Move messages to another queue, or publish them to an exchange.
    Move(Move),
    /// Bring dead letters back to where they died.
    Retry(browse::Retry),
}

#[derive(Args)]
struct One {
    /// Its name.
    name: String,
}

/// Runs `lepus queues`.
pub fn run(QueuesArgs { reach, verb }: &QueuesArgs) -> Done {
    let session = reach.session()?;
    let one = |name: &str| path(&["queues", session.vhost(), name]);
    let act = |name: &str, action: &str, said: &str| {
        let action = path(&["x", "queues", session.vhost(), name, action]);
        session.client.post(&action, &json!({}))?;
        session.say(&format!("queue {name} is {said}"))
    };
    match verb {
        Verb::Ls { name, sort, limit } => list(&session, name.as_deref(), sort.as_deref(), *limit),
        Verb::Show(One { name }) => {
            let mut queue = session.client.get(&one(name))?;
            // What other brokers than Lepus do not say is left out.
            if let Ok(more) = session.client.get(&path(&["x", "queues", session.vhost(), name])) {
                queue["x"] = more;
            }
            session.object(&queue, PARTS)
        }
        Verb::Create { name, kind, transient, auto_delete, arguments } => {
            let mut arguments = argument_table(arguments)?;
            if let Some(kind) = kind {
                arguments.insert("x-queue-type".to_owned(), kind.clone().into());
            }
            let body = json!({
                "durable": !transient, "auto_delete": auto_delete, "arguments": arguments,
            });
            session.client.put(&one(name), &body)?;
            session.say(&format!("queue {name} is declared"))
        }
        Verb::Purge(One { name }) => {
            let before = session.client.get(&one(name))?;
            session.client.delete(&path(&["queues", session.vhost(), name, "contents"]))?;
            let ready = find(&before, "messages_ready").as_u64().unwrap_or_default();
            session.say(&format!("queue {name} had {ready} ready messages and has none"))
        }
        Verb::Rm { name, if_empty, if_unused } => {
            let wanted = [("if-empty", *if_empty), ("if-unused", *if_unused)];
            let query = wanted.iter().filter(|(_, on)| *on).map(|(key, _)| (*key, "true"));
            let query: Vec<_> = query.collect();
            session.client.delete(&with_query(&one(name), &query))?;
            session.say(&format!("queue {name} is deleted"))
        }
        Verb::Pause(One { name }) => act(name, "pause", "paused"),
        Verb::Resume(One { name }) => act(name, "resume", "not paused"),
        Verb::Peek(args) => browse::peek(&session, args),
        Verb::Tail(One { name }) => browse::tail(&session, name),
        Verb::Search(args) => browse::search(&session, args),
        Verb::Move(args) => browse::move_all(&session, args),
        Verb::Retry(args) => browse::retry(&session, args),
    }
}

fn list(session: &Session, name: Option<&str>, sort: Option<&str>, limit: Option<u16>) -> Done {
    let (columns, size) = (wanted(COLUMNS), limit.unwrap_or(PAGE).to_string());
    let mut query = Vec::new();
    if !session.json {
        query.push(("columns", columns.as_str()));
    }
    if let Some(sort) = sort {
        query.extend([("sort", sort), ("sort_reverse", "true")]);
    }
    let all = session.all_of("queues");
    // Only pages are filtered and cut.
    if name.is_none() && limit.is_none() {
        return session.list(&session.client.get(&with_query(&all, &query))?, COLUMNS);
    }
    query.extend([("page_size", size.as_str()), ("name", name.unwrap_or(""))]);
    let mut found = Vec::new();
    for number in 1_u64.. {
        let number_text = number.to_string();
        let query = [&query[..], &[("page", number_text.as_str())]].concat();
        let page = session.client.get(&with_query(&all, &query))?;
        found.extend(rows(&page));
        if limit.is_some() || find(&page, "page_count").as_u64() <= Some(number) {
            break;
        }
    }
    session.list(&found.into(), COLUMNS)
}

/// What `key=value` arguments say: JSON where it is some, text elsewhere.
pub fn argument_table(given: &[String]) -> Done<Map<String, Value>> {
    let read = |argument: &String| {
        let (key, value) = argument
            .split_once('=')
            .ok_or_else(|| Failure::data(format!("{argument}: is not KEY=VALUE")))?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
        Ok((key.to_owned(), value))
    };
    given.iter().map(read).collect()
}
