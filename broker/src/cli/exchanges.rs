//! `lepus exchanges`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::client::{path, with_query};
use super::failure::Done;
use super::queues::argument_table;
use super::reach::Reach;
use super::table::Column;

const COLUMNS: &[Column] = &[
    Column::text("vhost", "vhost"),
    Column::text("name", "name"),
    Column::text("type", "type"),
    Column::text("durable", "durable"),
    Column::text("auto-delete", "auto_delete"),
    Column::text("internal", "internal"),
    Column::text("arguments", "arguments"),
    Column::rate("in/s", "message_stats.publish_in_details.rate"),
    Column::rate("out/s", "message_stats.publish_out_details.rate"),
];

/// Arguments of `lepus exchanges`.
#[derive(Args)]
pub struct ExchangesArgs {
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
    /// Declare one.
    #[command(alias = "create")]
    Set {
        /// Its name.
        name: String,
        /// Its type.
        #[arg(long = "type", default_value = "direct")]
        kind: String,
        /// It goes when the broker stops.
        #[arg(long)]
        transient: bool,
        /// It goes with its last binding.
        #[arg(long)]
        auto_delete: bool,
        /// Only other exchanges publish to it.
        #[arg(long)]
        internal: bool,
        /// An argument, `key=value`; numbers and truth values are taken as such.
        #[arg(long = "argument", short = 'a', value_name = "KEY=VALUE")]
        arguments: Vec<String>,
    },
    /// Delete one.
    Rm {
        /// Its name.
        name: String,
        /// Only without bindings.
        #[arg(long)]
        if_unused: bool,
    },
}

/// Runs `lepus exchanges`.
pub fn run(ExchangesArgs { reach, verb }: &ExchangesArgs) -> Done {
    let session = reach.session()?;
    let one = |name: &str| path(&["exchanges", session.vhost(), name]);
    match verb {
        Verb::Ls => session.list_at(&session.all_of("exchanges"), COLUMNS),
        Verb::Show { name } => session.object(&session.client.get(&one(name))?, COLUMNS),
        Verb::Set { name, kind, transient, auto_delete, internal, arguments } => {
            let body = json!({
                "type": kind, "durable": !transient, "auto_delete": auto_delete,
                "internal": internal, "arguments": argument_table(arguments)?,
            });
            session.client.put(&one(name), &body)?;
            session.say(&format!("exchange {name} is declared"))
        }
        Verb::Rm { name, if_unused } => {
            let query: &[_] = if *if_unused { &[("if-unused", "true")] } else { &[] };
            session.client.delete(&with_query(&one(name), query))?;
            session.say(&format!("exchange {name} is deleted"))
        }
    }
}
