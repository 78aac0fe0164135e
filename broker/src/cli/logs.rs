//! `lepus logs` and `lepus log-level`.

use std::io::BufRead;

use clap::Args;
use serde_json::{Value, json};

use super::client::{path, with_query};
use super::failure::Done;
use super::reach::Reach;
use super::table::{find, text, visible, write};

/// Arguments of `lepus logs`.
#[derive(Args)]
pub struct LogsArgs {
    #[command(flatten)]
    reach: Reach,
    /// Only lines that matter so much: error, warning, info.
    #[arg(long)]
    level: Option<String>,
    /// Put the file of the log aside and begin another one.
    #[arg(long, conflicts_with = "level")]
    rotate: bool,
}

/// Arguments of `lepus log-level`.
#[derive(Args)]
pub struct LevelArgs {
    #[command(flatten)]
    reach: Reach,
    /// error, warn, info, debug, trace or off, or a filter such as `lepus::access=debug`; it counts until
    /// the broker reads its configuration again. Without one the level is shown.
    level: Option<String>,
}

/// Runs `lepus logs`.
pub fn run(args: &LogsArgs) -> Done {
    let session = args.reach.session()?;
    if args.rotate {
        session.client.post(&path(&["x", "logs", "rotate"]), &json!({}))?;
        return session.say("the log begins a new file");
    }
    let level = args.level.as_deref().map(|level| ("level", level));
    let query: Vec<_> = level.into_iter().collect();
    let events = session.client.stream(&with_query(&path(&["x", "logs"]), &query))?;
    for line in events.lines() {
        let line = line?;
        let Some(data) = line.strip_prefix("data:") else { continue };
        let data = data.trim_start();
        match (session.json, serde_json::from_str::<Value>(data)) {
            (false, Ok(event @ Value::Object(_))) => write(&shown(&event))?,
            _ => write(data)?,
        }
    }
    Ok(())
}

/// A line of the log for people: what all lines have, and then the rest.
pub(super) fn shown(event: &Value) -> String {
    const HEAD: [&str; 4] = ["time", "level", "module", "msg"];
    let head = HEAD.map(|part| text(find(event, part)));
    let rest = event.as_object().into_iter().flatten();
    let rest = rest.filter(|(name, _)| !HEAD.contains(&name.as_str()));
    let rest = rest.map(|(name, value)| format!("{name}={}", text(value)));
    visible(head.into_iter().chain(rest).collect::<Vec<_>>().join(" "))
}

/// Runs `lepus log-level`.
pub fn level(args: &LevelArgs) -> Done {
    let session = args.reach.session()?;
    let path = path(&["x", "log-level"]);
    match &args.level {
        Some(level) => {
            session.client.put(&path, &json!({"level": level}))?;
            session.say(&format!("the level is {level}"))
        }
        None => {
            let told = session.client.get(&path)?;
            match session.json {
                true => session.show(&told),
                false => write(&text(find(&told, "level"))),
            }
        }
    }
}
