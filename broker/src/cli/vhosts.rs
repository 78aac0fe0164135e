//! `lepus vhosts`.

use clap::{Args, Subcommand};
use serde_json::{Map, json};

use super::client::path;
use super::failure::Done;
use super::reach::Reach;
use super::table::Column;

const COLUMNS: &[Column] = &[
    Column::text("name", "name"),
    Column::text("description", "description"),
    Column::text("tags", "tags"),
    Column::text("queue type", "default_queue_type"),
    Column::text("protected", "protected_from_deletion"),
    Column::count("ready", "messages_ready"),
    Column::count("unacked", "messages_unacknowledged"),
    Column::rate("in/s", "message_stats.publish_details.rate"),
    Column::rate("out/s", "message_stats.deliver_get_details.rate"),
];

/// Arguments of `lepus vhosts`.
#[derive(Args)]
pub struct VhostsArgs {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List them.
    Ls,
    /// Make one, or change it.
    Set {
        /// Its name.
        name: String,
        /// What it is for.
        #[arg(long)]
        description: Option<String>,
        /// Words for it, with commas between.
        #[arg(long)]
        tags: Option<String>,
        /// The type of queues that say none.
        #[arg(long)]
        default_queue_type: Option<String>,
        /// Whether it can be deleted.
        #[arg(long)]
        protected: Option<bool>,
    },
    /// Delete one with all that is in it.
    Rm {
        /// Its name.
        name: String,
    },
}

/// Runs `lepus vhosts`.
pub fn run(VhostsArgs { reach, verb }: &VhostsArgs) -> Done {
    let session = reach.session()?;
    match verb {
        Verb::Ls => session.list(&session.client.get(&path(&["vhosts"]))?, COLUMNS),
        Verb::Set { name, description, tags, default_queue_type, protected } => {
            let said = [
                ("description", description.as_ref().map(|text| json!(text))),
                ("tags", tags.as_ref().map(|text| json!(text))),
                ("default_queue_type", default_queue_type.as_ref().map(|text| json!(text))),
                ("protected_from_deletion", protected.map(|on| json!(on))),
            ];
            let said = said.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
            let body = said.collect::<Map<_, _>>();
            session.client.put(&path(&["vhosts", name]), &body.into())?;
            session.say(&format!("virtual host {name} is there"))
        }
        Verb::Rm { name } => {
            session.client.delete(&path(&["vhosts", name]))?;
            session.say(&format!("virtual host {name} is deleted"))
        }
    }
}
