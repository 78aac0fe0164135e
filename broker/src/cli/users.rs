//! `lepus users`.

use std::io::{IsTerminal, stderr, stdin};

use clap::{Args, Subcommand};
use serde_json::json;

use super::client::path;
use super::failure::Done;
use super::passwords;
use super::reach::Reach;
use super::table::{Column, find};

const COLUMNS: &[Column] = &[
    Column::text("name", "name"),
    Column::text("tags", "tags"),
    Column::text("hashing", "hashing_algorithm"),
    Column::text("limits", "limits"),
];

/// Arguments of `lepus users`.
#[derive(Args)]
pub struct UsersArgs {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List them.
    Ls,
    /// Make one, or change what is said of one.
    Set {
        /// The name.
        name: String,
        /// The password; `-` reads it from standard input.
        #[arg(long)]
        password: Option<String>,
        /// A hash of the password.
        #[arg(long, conflicts_with = "password")]
        password_hash: Option<String>,
        /// Tags, with commas between: administrator, monitoring, policymaker, management.
        #[arg(long)]
        tags: Option<String>,
    },
    /// Delete one.
    Rm {
        /// The name.
        name: String,
    },
}

/// Runs `lepus users`.
pub fn run(UsersArgs { reach, verb }: &UsersArgs) -> Done {
    let session = reach.session()?;
    match verb {
        Verb::Ls => session.list(&session.client.get(&path(&["users"]))?, COLUMNS),
        Verb::Set { name, password, password_hash, tags } => {
            let former = match session.client.get(&path(&["users", name])) {
                Err(failure) if failure.is_missing() => json!({}),
                former => former?,
            };
            let kept = |key| find(&former, key).as_str().unwrap_or_default().to_owned();
            let mut body = json!({"tags": match tags {
                Some(tags) => tags.clone(),
                None => super::table::text(find(&former, "tags")).replace(' ', ""),
            }});
            match (password.as_deref(), password_hash) {
                (Some("-"), _) => body["password"] = passwords::ask()?.into(),
                (Some(password), _) => body["password"] = password.into(),
                (None, Some(hash)) => body["password_hash"] = hash.clone().into(),
                (None, None) if former.get("name").is_none() && is_asked() => {
                    body["password"] = passwords::ask()?.into();
                }
                (None, None) => {
                    body["password_hash"] = kept("password_hash").into();
                    body["hashing_algorithm"] = kept("hashing_algorithm").into();
                }
            }
            session.client.put(&path(&["users", name]), &body)?;
            session.say(&format!("user {name} is there"))
        }
        Verb::Rm { name } => {
            session.client.delete(&path(&["users", name]))?;
            session.say(&format!("user {name} is deleted"))
        }
    }
}

/// Whether somebody sits there who can be asked.
fn is_asked() -> bool {
    stdin().is_terminal() && stderr().is_terminal()
}
