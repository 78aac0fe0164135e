//! `lepus limits`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::path;
use super::failure::Done;
use super::reach::Reach;
use super::table::{Column, find, rows, text};

const COLUMNS: &[Column] = &[
    Column::text("of", "of"),
    Column::text("name", "name"),
    Column::text("limit", "limit"),
    Column::count("value", "value"),
];

/// Arguments of `lepus limits`.
#[derive(Args)]
pub struct LimitsArgs {
    #[command(flatten)]
    reach: Reach,
    /// Of this user, not of a virtual host.
    #[arg(long, global = true)]
    user: Option<String>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List those of virtual hosts and of users.
    Ls,
    /// Set one; a negative one is none.
    Set {
        /// max-connections, max-queues (virtual hosts), max-channels (users).
        limit: String,
        /// How many there may be.
        #[arg(allow_negative_numbers = true)]
        value: i64,
    },
    /// Take one away.
    Rm {
        /// Which.
        limit: String,
    },
}

/// Runs `lepus limits`.
pub fn run(LimitsArgs { reach, user, verb }: &LimitsArgs) -> Done {
    let session = reach.session()?;
    let one = |limit: &str| match user {
        Some(user) => path(&["user-limits", user, limit]),
        None => path(&["vhost-limits", session.vhost(), limit]),
    };
    match verb {
        Verb::Ls => {
            let of_users = match (user, &session.vhost) {
                (Some(user), _) => rows(&session.client.get(&path(&["user-limits", user]))?),
                (None, Some(_)) => Vec::new(),
                (None, None) => rows(&session.client.get(&path(&["user-limits"]))?),
            };
            let of_vhosts = match (user, &session.vhost) {
                (Some(_), _) => Vec::new(),
                (None, Some(vhost)) => rows(&session.client.get(&path(&["vhost-limits", vhost]))?),
                (None, None) => rows(&session.client.get(&path(&["vhost-limits"]))?),
            };
            let all: Vec<Value> = of_vhosts.into_iter().chain(of_users).collect();
            match session.json {
                true => session.show(&all.into()),
                false => session.list(&all.iter().flat_map(single).collect(), COLUMNS),
            }
        }
        Verb::Set { limit, value } => {
            session.client.put(&one(limit), &json!({"value": value}))?;
            session.say(&format!("{limit} is {value}"))
        }
        Verb::Rm { limit } => {
            session.client.delete(&one(limit))?;
            session.say(&format!("{limit} is no more"))
        }
    }
}

/// Each limit of one virtual host or user.
fn single(of: &Value) -> Vec<Value> {
    let kind = if of.get("user").is_some() { "user" } else { "vhost" };
    let limits = find(of, "value").as_object().cloned().unwrap_or_default();
    let line = |(limit, value)| json!({"of": kind, "name": text(find(of, kind)), "limit": limit, "value": value});
    limits.into_iter().map(line).collect()
}
