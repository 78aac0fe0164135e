//! The messages of a queue: looked at, searched, moved.

use std::thread::sleep;
use std::time::Duration;

use chrono::DateTime;
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::client::{path, with_query};
use super::failure::{Done, Failure};
use super::progress;
use super::reach::Session;
use super::table::{self, Column, find, rows, text};

const COLUMNS: &[Column] = &[
    Column::text("position", "position"),
    Column::text("arrived", "arrived"),
    Column::text("exchange", "exchange"),
    Column::text("routing key", "routing_key"),
    Column::octets("size", "payload_bytes"),
    Column::text("redelivered", "redelivered"),
    Column::text("payload", "payload"),
];

/// Messages of a page.
const PAGE: usize = 100;

/// Octets of a payload that a table shows.
const SHOWN: usize = 200;

/// Time between two looks for messages that have come.
const PAUSE: Duration = Duration::from_millis(500);

/// Messages of a request that moves them, where nothing is said of a rate.
const BATCH: u64 = 1000;

#[derive(Clone, Copy, ValueEnum)]
enum State {
    Ready,
    Unacked,
    Scheduled,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Unacked => "unacked",
            Self::Scheduled => "scheduled",
        }
    }
}

/// Arguments of `lepus queues peek`.
#[derive(Args)]
pub struct Peek {
    /// The queue.
    name: String,
    /// How many.
    #[arg(long, short = 'n', default_value_t = 10)]
    count: usize,
    /// Those that wait, those that consumers have, or those whose time has not come.
    #[arg(long, default_value = "ready")]
    state: State,
}

/// Arguments of `lepus queues search`.
#[derive(Args)]
pub struct Find {
    /// The queue.
    name: String,
    /// What to look for.
    text: String,
    /// At most so many.
    #[arg(long, short = 'n', default_value_t = 100)]
    count: usize,
    /// Those that wait, those that consumers have, or those whose time has not come.
    #[arg(long, default_value = "ready")]
    state: State,
}

/// Which messages, and how fast.
#[derive(Args)]
struct Which {
    /// Only those that have this text in their headers or their payload.
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// At most so many.
    #[arg(long)]
    limit: Option<u64>,
    /// So many a second.
    #[arg(long)]
    rate: Option<u64>,
}

/// Arguments of `lepus queues move`.
#[derive(Args)]
pub struct Move {
    /// The queue that they are in.
    name: String,
    /// The queue that they go to.
    #[arg(long, value_name = "QUEUE", required_unless_present = "to_exchange")]
    to: Option<String>,
    /// The exchange that they are published to.
    #[arg(long, value_name = "NAME", conflicts_with = "to")]
    to_exchange: Option<String>,
    /// Their routing key there [default: the one that they have].
    #[arg(long, value_name = "KEY", requires = "to_exchange")]
    to_key: Option<String>,
    #[command(flatten)]
    which: Which,
}

/// Arguments of `lepus queues retry`.
#[derive(Args)]
pub struct Retry {
    /// The queue that has the dead letters.
    name: String,
    #[command(flatten)]
    which: Which,
}

fn messages(session: &Session, queue: &str) -> String {
    path(&["x", "queues", session.vhost(), queue, "messages"])
}

/// Runs `lepus queues peek`.
pub fn peek(session: &Session, args: &Peek) -> Done {
    let query = [("state", args.state.name())];
    show(session, pages(session, &args.name, &query, args.count)?)
}

/// Runs `lepus queues search`.
pub fn search(session: &Session, args: &Find) -> Done {
    let query = [("state", args.state.name()), ("search", args.text.as_str())];
    let looking = progress::spinner("search");
    let found = pages(session, &args.name, &query, args.count)?;
    drop(looking);
    let none = found.is_empty();
    show(session, found)?;
    if none { Err(Failure::no("")) } else { Ok(()) }
}

/// Runs `lepus queues tail`: what comes from now on.
pub fn tail(session: &Session, queue: &str) -> Done {
    let (route, size) = (messages(session, queue), PAGE.to_string());
    let mut end = "now".to_owned();
    loop {
        let query = [("since", end.as_str()), ("page_size", size.as_str())];
        let page = session.client.get(&with_query(&route, &query))?;
        let found = rows(&page);
        for message in &found {
            match session.json {
                true => table::write(&message.to_string())?,
                false => table::write(&line(message))?,
            }
        }
        end = text(find(&page, "end"));
        if found.len() < PAGE {
            sleep(PAUSE);
        }
    }
}

/// Messages of as many pages as there are or are wanted.
fn pages(session: &Session, queue: &str, query: &[(&str, &str)], count: usize) -> Done<Vec<Value>> {
    let (mut found, mut after) = (Vec::new(), None::<String>);
    while found.len() < count {
        let size = (count - found.len()).min(PAGE).to_string();
        let mut query = query.to_vec();
        query.push(("page_size", size.as_str()));
        if let Some(after) = &after {
            query.push(("after", after.as_str()));
        }
        let page = session.client.get(&with_query(&messages(session, queue), &query))?;
        found.extend(rows(&page));
        // A page may be short, or empty, and not the last.
        match find(&page, "next") {
            Value::Null => break,
            next => after = Some(text(next)),
        }
    }
    Ok(found)
}

fn show(session: &Session, found: Vec<Value>) -> Done {
    if session.json {
        return session.show(&found.into());
    }
    let brief = |mut message: Value| {
        message["arrived"] = arrived(&message).into();
        message["payload"] = payload(&message).into();
        message
    };
    table::print(&found.into_iter().map(brief).collect::<Vec<_>>(), COLUMNS)
}

fn line(message: &Value) -> String {
    let key = table::visible(text(find(message, "routing_key")));
    format!("{} {key} {}", arrived(message), payload(message))
}

fn arrived(message: &Value) -> String {
    let ms = find(message, "arrived").as_i64();
    let time = ms.and_then(DateTime::from_timestamp_millis);
    time.map(|time| time.format("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default()
}

/// The beginning of a payload, on one line.
fn payload(message: &Value) -> String {
    let whole = text(find(message, "payload"));
    let shown = whole.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c });
    let mut shown: String = shown.collect();
    if shown.len() < whole.len() {
        shown.push('…');
    }
    shown
}

/// Runs `lepus queues move`.
pub fn move_all(session: &Session, args: &Move) -> Done {
    let to = [
        ("to_queue", &args.to),
        ("to_exchange", &args.to_exchange),
        ("to_routing_key", &args.to_key),
    ];
    let to =
        to.into_iter().filter_map(|(key, value)| Some((key.to_owned(), json!(value.as_ref()?))));
    work(session, &args.name, "move", &args.which, to.collect())
}

/// Runs `lepus queues retry`.
pub fn retry(session: &Session, args: &Retry) -> Done {
    work(session, &args.name, "retry", &args.which, Map::new())
}

/// Has a part of the messages moved at a time, so that it can be said how far it is, and ended by
/// Ctrl-C. What comes into the queue meanwhile is not among them.
fn work(
    session: &Session,
    queue: &str,
    action: &'static str,
    which: &Which,
    mut body: Map<String, Value>,
) -> Done {
    let most = which.limit.unwrap_or(u64::MAX);
    match &which.search {
        Some(text) => body.insert("search".to_owned(), text.clone().into()),
        None => body.insert("all".to_owned(), true.into()),
    };
    if let Some(rate) = which.rate {
        body.insert("rate".to_owned(), rate.into());
    }
    let bar = progress::bar(which.search.is_none(), action);
    let route = path(&["x", "queues", session.vhost(), queue, "messages", action]);
    let (mut done, mut skipped) = (0, Map::new());
    while done < most {
        body.insert("limit".to_owned(), BATCH.min(most - done).into());
        let told = session.client.post(&route, &Value::Object(body.clone()))?;
        done += find(&told, "done").as_u64().unwrap_or_default();
        for (why, count) in find(&told, "skipped").as_object().into_iter().flatten() {
            let before = skipped.get(why).and_then(Value::as_u64).unwrap_or_default();
            let count = before + count.as_u64().unwrap_or_default();
            skipped.insert(why.clone(), count.into());
        }
        let left = find(&told, "left").as_u64().unwrap_or_default();
        bar.set_length((done + left).min(most));
        bar.set_position(done);
        match find(&told, "next") {
            Value::Null => break,
            next => drop(body.insert("after".to_owned(), next.clone())),
        }
    }
    bar.finish_and_clear();
    if session.json {
        return session.show(&json!({"done": done, "skipped": skipped}));
    }
    let left_out = skipped.iter().filter(|(_, count)| count.as_u64() > Some(0));
    let left_out = left_out.map(|(why, count)| format!("; {count} {}", why.replace('_', " ")));
    table::write(&format!("{action}: {done} messages{}", left_out.collect::<String>()))
}
