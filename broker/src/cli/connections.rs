//! `lepus connections`.

use clap::{Args, Subcommand};

use super::client::path;
use super::failure::{Done, Failure, USAGE};
use super::progress;
use super::reach::Reach;
use super::table::{Column, find, rows, text};

const COLUMNS: &[Column] = &[
    Column::text("name", "name"),
    Column::text("user", "user"),
    Column::text("vhost", "vhost"),
    Column::text("state", "state"),
    Column::text("tls", "ssl"),
    Column::count("channels", "channels"),
    Column::octets("received", "recv_oct"),
    Column::octets("sent", "send_oct"),
    Column::text("client", "client_properties.product"),
    Column::text("given name", "user_provided_name"),
];

/// Arguments of `lepus connections`.
#[derive(Args)]
pub struct ConnectionsArgs {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List them.
    Ls,
    /// Show one.
    Show {
        /// Its name.
        name: String,
    },
    /// Close one, those of a user, or all (of a virtual host, with --vhost).
    Close {
        /// Its name, `1.2.3.4:55 -> 5.6.7.8:5672`.
        #[arg(conflicts_with_all = ["user", "all"])]
        name: Option<String>,
        /// All of this user.
        #[arg(long, conflicts_with = "all")]
        user: Option<String>,
        /// All.
        #[arg(long)]
        all: bool,
        /// What the clients are told.
        #[arg(long, default_value = "Closed by the operator")]
        reason: String,
    },
}

/// Runs `lepus connections`.
pub fn run(ConnectionsArgs { reach, verb }: &ConnectionsArgs) -> Done {
    let session = reach.session()?;
    let all_of = || match &session.vhost {
        Some(vhost) => path(&["vhosts", vhost, "connections"]),
        None => path(&["connections"]),
    };
    match verb {
        Verb::Ls => session.list_at(&all_of(), COLUMNS),
        Verb::Show { name } => {
            session.object(&session.client.get(&path(&["connections", name]))?, COLUMNS)
        }
        Verb::Close { name: Some(name), reason, .. } => {
            session.client.delete_because(&path(&["connections", name]), reason)?;
            session.say("closed")
        }
        Verb::Close { user: Some(user), reason, .. } => {
            session.client.delete_because(&path(&["connections", "username", user]), reason)?;
            session.say("closed")
        }
        Verb::Close { all: true, reason, .. } => {
            let connections = rows(&session.client.get(&all_of())?);
            let mut closed = 0;
            let bar = progress::bar(true, "close");
            bar.set_length(connections.len() as u64);
            for connection in &connections {
                bar.inc(1);
                let name = text(find(connection, "name"));
                match session.client.delete_because(&path(&["connections", &name]), reason) {
                    // It has gone by itself.
                    Err(failure) if failure.is_missing() => {}
                    done => {
                        done?;
                        closed += 1;
                    }
                }
            }
            bar.finish_and_clear();
            session.say(&format!("{closed} closed"))
        }
        Verb::Close { .. } => Err(Failure::new(USAGE, "say which: a name, --user or --all")),
    }
}
