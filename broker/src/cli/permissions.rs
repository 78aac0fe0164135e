//! `lepus permissions`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::client::path;
use super::failure::Done;
use super::reach::Reach;
use super::table::Column;

const COLUMNS: &[Column] = &[
    Column::text("vhost", "vhost"),
    Column::text("user", "user"),
    Column::text("configure", "configure"),
    Column::text("write", "write"),
    Column::text("read", "read"),
];

const TOPIC_COLUMNS: &[Column] = &[
    Column::text("vhost", "vhost"),
    Column::text("user", "user"),
    Column::text("exchange", "exchange"),
    Column::text("write", "write"),
    Column::text("read", "read"),
];

/// Arguments of `lepus permissions`.
#[derive(Args)]
pub struct PermissionsArgs {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List them.
    Ls {
        /// Only those of this user.
        #[arg(long)]
        user: Option<String>,
        /// Those that look at routing keys.
        #[arg(long)]
        topic: bool,
    },
    /// Let a user do something in a virtual host: by patterns of names.
    Set {
        /// The user.
        user: String,
        /// What may be declared and deleted; of a topic exchange, what may be published.
        configure: String,
        /// What may be written to; of a topic exchange, what may be read.
        write: String,
        /// What may be read.
        #[arg(required_unless_present = "exchange")]
        read: Option<String>,
        /// The topic exchange whose routing keys this is about: then it is USER WRITE READ.
        #[arg(long)]
        exchange: Option<String>,
    },
    /// Take from a user what may be done in a virtual host.
    Rm {
        /// The user.
        user: String,
        /// The permissions that look at routing keys.
        #[arg(long)]
        topic: bool,
    },
}

/// Runs `lepus permissions`.
pub fn run(PermissionsArgs { reach, verb }: &PermissionsArgs) -> Done {
    let session = reach.session()?;
    let kind = |topic: &bool| if *topic { "topic-permissions" } else { "permissions" };
    match verb {
        Verb::Ls { user, topic } => {
            let all = match (user, &session.vhost) {
                (Some(user), _) => path(&["users", user, kind(topic)]),
                (None, Some(vhost)) => path(&["vhosts", vhost, kind(topic)]),
                (None, None) => path(&[kind(topic)]),
            };
            let columns = if *topic { TOPIC_COLUMNS } else { COLUMNS };
            session.list(&session.client.get(&all)?, columns)
        }
        Verb::Set { user, configure, write, read, exchange } => {
            let (kind, body) = match exchange {
                Some(exchange) => (
                    "topic-permissions",
                    json!({"exchange": exchange, "write": configure, "read": write}),
                ),
                None => {
                    ("permissions", json!({"configure": configure, "write": write, "read": read}))
                }
            };
            session.client.put(&path(&[kind, session.vhost(), user]), &body)?;
            session.say(&format!("user {user} has permissions in {}", session.vhost()))
        }
        Verb::Rm { user, topic } => {
            session.client.delete(&path(&[kind(topic), session.vhost(), user]))?;
            session.say(&format!("user {user} has lost permissions in {}", session.vhost()))
        }
    }
}
