//! `lepus bindings`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::path;
use super::failure::{Done, Failure};
use super::queues::argument_table;
use super::reach::{Reach, Session};
use super::table::{Column, find, rows, text};

const COLUMNS: &[Column] = &[
    Column::text("vhost", "vhost"),
    Column::text("source", "source"),
    Column::text("routing key", "routing_key"),
    Column::text("destination", "destination"),
    Column::text("kind", "destination_type"),
    Column::text("arguments", "arguments"),
];

/// Arguments of `lepus bindings`.
#[derive(Args)]
pub struct BindingsArgs {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List them.
    Ls {
        /// Only those of this queue.
        #[arg(long)]
        queue: Option<String>,
    },
    /// Bind a queue, or an exchange, to an exchange.
    Set(Ends),
    /// Take a binding away.
    Rm(Ends),
}

#[derive(Args)]
struct Ends {
    /// The exchange that messages come from.
    source: String,
    /// The queue that they go to.
    destination: String,
    /// The routing key.
    #[arg(default_value = "")]
    routing_key: String,
    /// They go to an exchange of that name.
    #[arg(long)]
    to_exchange: bool,
    /// An argument, `key=value`.
    #[arg(long = "argument", short = 'a', value_name = "KEY=VALUE")]
    arguments: Vec<String>,
}

/// Runs `lepus bindings`.
pub fn run(BindingsArgs { reach, verb }: &BindingsArgs) -> Done {
    let session = reach.session()?;
    match verb {
        Verb::Ls { queue: Some(queue) } => {
            let of_queue = path(&["queues", session.vhost(), queue, "bindings"]);
            session.list(&session.client.get(&of_queue)?, COLUMNS)
        }
        Verb::Ls { queue: None } => {
            session.list(&session.client.get(&session.all_of("bindings"))?, COLUMNS)
        }
        Verb::Set(ends) => {
            let arguments = argument_table(&ends.arguments)?;
            let body = json!({"routing_key": ends.routing_key, "arguments": arguments});
            session.client.post(&ends.path(&session, &[]), &body)?;
            session.say(&format!("{} is bound to {}", ends.destination, ends.source))
        }
        Verb::Rm(ends) => {
            let key = ends.properties_key(&session)?;
            session.client.delete(&ends.path(&session, &[&key]))?;
            session.say(&format!("{} is not bound to {} by it", ends.destination, ends.source))
        }
    }
}

impl Ends {
    fn path(&self, session: &Session, more: &[&str]) -> String {
        let kind = if self.to_exchange { "e" } else { "q" };
        let mut all = vec!["bindings", session.vhost(), "e", &self.source, kind, &self.destination];
        all.extend(more);
        path(&all)
    }

    /// The broker's name for the binding.
    fn properties_key(&self, session: &Session) -> Done<String> {
        let arguments = Value::Object(argument_table(&self.arguments)?);
        let all = rows(&session.client.get(&self.path(session, &[]))?);
        let wanted = |binding: &&Value| {
            text(find(binding, "routing_key")) == self.routing_key
                && find(binding, "arguments") == &arguments
        };
        let found = all.iter().find(wanted).ok_or_else(|| Failure::no("there is no such binding"));
        Ok(text(find(found?, "properties_key")))
    }
}
