//! `lepus policies`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::path;
use super::failure::{Done, Failure};
use super::reach::Reach;
use super::table::Column;

const COLUMNS: &[Column] = &[
    Column::text("vhost", "vhost"),
    Column::text("name", "name"),
    Column::text("pattern", "pattern"),
    Column::text("apply to", "apply-to"),
    Column::count("priority", "priority"),
    Column::text("definition", "definition"),
];

/// Arguments of `lepus policies`.
#[derive(Args)]
pub struct PoliciesArgs {
    #[command(flatten)]
    reach: Reach,
    /// Those of operators, which go before those of users.
    #[arg(long, global = true)]
    operator: bool,
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
        /// The names of what it counts for, as a pattern.
        pattern: String,
        /// What it says, as a JSON object.
        definition: String,
        /// Which of several counts: the highest.
        #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
        priority: i64,
        /// all, queues, classic_queues, quorum_queues, streams or exchanges.
        #[arg(long, value_name = "WHAT")]
        apply_to: Option<String>,
    },
    /// Delete one.
    Rm {
        /// Its name.
        name: String,
    },
}

/// Runs `lepus policies`.
pub fn run(PoliciesArgs { reach, operator, verb }: &PoliciesArgs) -> Done {
    let session = reach.session()?;
    let kind = if *operator { "operator-policies" } else { "policies" };
    let one = |name: &str| path(&[kind, session.vhost(), name]);
    match verb {
        Verb::Ls => session.list(&session.client.get(&session.all_of(kind))?, COLUMNS),
        Verb::Set { name, pattern, definition, priority, apply_to } => {
            let definition: Value = serde_json::from_str(definition)
                .map_err(|error| Failure::data(format!("the definition is not JSON: {error}")))?;
            let apply_to = apply_to.as_deref().unwrap_or(if *operator { "queues" } else { "all" });
            let body = json!({
                "pattern": pattern, "definition": definition, "priority": priority,
                "apply-to": apply_to,
            });
            session.client.put(&one(name), &body)?;
            session.say(&format!("policy {name} counts in {}", session.vhost()))
        }
        Verb::Rm { name } => {
            session.client.delete(&one(name))?;
            session.say(&format!("policy {name} is deleted"))
        }
    }
}
