//! What was asked for: a tool, a verb, its words and options, as RabbitMQ's tools take them.

use std::ffi::OsString;
use std::io::{IsTerminal, stderr, stdout};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, FromArgMatches, Parser};
use serde_json::Value;

use super::verbs::Verb;
use crate::cli::client::{Client, path};
use crate::cli::failure::{Done, Failure};
use crate::cli::reach::Reach;
use crate::cli::table::{self, find, text};
use crate::node::Node;

/// Wrong usage (`EX_USAGE`).
pub const USAGE: u8 = 64;
/// There is no such user (`EX_NOUSER`).
pub const NO_USER: u8 = 67;
/// It is not to be had (`EX_UNAVAILABLE`).
pub const UNAVAILABLE: u8 = 69;

/// Seconds that RabbitMQ's tools wait if nothing is said.
const TIMEOUT: f64 = 60.0;

/// One of RabbitMQ's tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// `rabbitmqctl`.
    Ctl,
    /// `rabbitmq-diagnostics`.
    Diagnostics,
    /// `rabbitmq-queues`.
    Queues,
    /// `rabbitmq-plugins`.
    Plugins,
}

impl Tool {
    const ALL: [Self; 4] = [Self::Ctl, Self::Diagnostics, Self::Queues, Self::Plugins];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ctl => "rabbitmqctl",
            Self::Diagnostics => "rabbitmq-diagnostics",
            Self::Queues => "rabbitmq-queues",
            Self::Plugins => "rabbitmq-plugins",
        }
    }

    /// The tool whose name this process was called by, and its arguments; also `lepus TOOL …`.
    pub fn called_as() -> Option<(Self, Vec<OsString>)> {
        let mut words = std::env::args_os();
        let of = |word: &OsString| {
            let name = Path::new(word).file_name()?.to_str()?;
            Self::ALL.into_iter().find(|tool| tool.name() == name)
        };
        let called = of(&words.next()?);
        let tool = match called {
            Some(tool) => tool,
            None => of(&words.next()?)?,
        };
        Some((tool, words.collect()))
    }
}

/// The options of all verbs. What a verb does not take is refused where the verb is known.
#[derive(Parser, Debug, Default)]
#[command(disable_help_flag = true, disable_version_flag = true, no_binary_name = true)]
pub struct Options {
    /// The node: there is one.
    #[arg(short = 'n', long)]
    node: Option<String>,
    #[arg(short = 'p', long)]
    pub vhost: Option<String>,
    #[arg(short = 'q', long)]
    quiet: bool,
    #[arg(short = 's', long)]
    pub silent: bool,
    #[arg(short = 'l', long)]
    longnames: bool,
    #[arg(short = 't', long)]
    timeout: Option<String>,
    #[arg(long)]
    formatter: Option<String>,
    #[arg(long)]
    printer: Option<String>,
    #[arg(long)]
    no_table_headers: bool,
    #[arg(long)]
    table_headers: bool,
    #[arg(long)]
    pub dry_run: bool,
    #[arg(long)]
    print_stacktrace: bool,
    #[arg(long)]
    erlang_cookie: Option<String>,
    #[arg(long)]
    script_name: Option<String>,
    #[arg(short = 'h', long)]
    pub help: bool,
    #[arg(long)]
    version: bool,
    #[arg(long, allow_hyphen_values = true)]
    pub priority: Option<String>,
    #[arg(long)]
    pub apply_to: Option<String>,
    #[arg(long)]
    pub user: Option<String>,
    #[arg(long)]
    pub global: bool,
    #[arg(long)]
    pub limit: Option<usize>,
    #[arg(long)]
    pub per_connection_delay: Option<u64>,
    #[arg(long)]
    pub if_empty: bool,
    #[arg(short = 'u', long)]
    pub if_unused: bool,
    #[arg(long)]
    pub unit: Option<String>,
    #[arg(long)]
    pub within: Option<String>,
    #[arg(short = 'P', long)]
    pub pid: Option<u32>,
    #[arg(short = 'N', long)]
    pub number: Option<usize>,
    #[arg(short = 'd', long)]
    pub duration: Option<f64>,
    #[arg(long)]
    pub pattern: Option<String>,
    #[arg(long)]
    pub description: Option<String>,
    #[arg(long)]
    pub tags: Option<String>,
    #[arg(long)]
    pub default_queue_type: Option<String>,
    #[arg(long)]
    pub pre_hashed_password: bool,
    #[arg(long)]
    format: Option<String>,
    #[arg(long)]
    skip_if_unchanged: bool,
    #[arg(long)]
    online: bool,
    #[arg(long)]
    pub offline: bool,
    #[arg(long)]
    local: bool,
    #[arg(long)]
    address: Option<String>,
    #[arg(short = 'v', long)]
    verbose: bool,
    #[arg(short = 'm', long)]
    pub minimal: bool,
    #[arg(short = 'e', long)]
    pub enabled: bool,
    #[arg(short = 'E')]
    explicitly_enabled: bool,
    #[arg(long, alias = "all")]
    pub whole: bool,
    /// Where the broker's API is, as of all of Lepus' commands.
    #[arg(long)]
    url: Option<String>,
    #[arg(long)]
    data_dir: Option<PathBuf>,
    words: Vec<String>,
}

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Formatter {
    /// Tabs between, a line of heads before.
    Table,
    /// With lines around.
    Pretty,
    /// JSON.
    Json,
    /// Commas between, all in quotes.
    Csv,
}

/// What was asked for.
pub struct Call {
    /// By which tool.
    pub tool: Tool,
    /// The verb and all else as it was given.
    given: String,
    /// The verb.
    pub verb: String,
    /// What follows the verb.
    pub words: Vec<String>,
    /// The options.
    pub options: Options,
    /// How lists are written.
    pub formatter: Formatter,
    reach: Reach,
}

impl Call {
    /// Reads the arguments.
    pub fn read(tool: Tool, given: &[OsString]) -> Done<Self> {
        let shown: Vec<_> = given.iter().map(|word| word.to_string_lossy()).collect();
        let shown = shown.join(" ");
        let mut command = Options::command();
        let matches = command.try_get_matches_from_mut(given).map_err(|error| {
            let option = match error.get(ContextKind::InvalidArg) {
                Some(ContextValue::String(option)) => option.clone(),
                _ => error.to_string(),
            };
            let verb = given.iter().filter_map(|word| word.to_str());
            let verb = verb.filter_map(Verb::find).next();
            let why = format!("Invalid options for this command:\n{option} : ");
            wrong(tool, verb, &why, &shown)
        })?;
        let mut options = Options::from_arg_matches(&matches)
            .map_err(|error| Failure::new(USAGE, error.to_string()))?;
        let mut words = std::mem::take(&mut options.words);
        let verb = if words.is_empty() { String::new() } else { words.remove(0) };
        let formatter = match options.formatter.as_deref() {
            None | Some("table" | "string" | "inspect" | "erlang" | "report" | "plugins") => {
                Formatter::Table
            }
            Some("pretty_table") => Formatter::Pretty,
            Some("json" | "json_stream") => Formatter::Json,
            Some("csv") => Formatter::Csv,
            Some(other) => {
                let why = format!("Error: formatter {other} is not known");
                return Err(Failure::new(USAGE, why));
            }
        };
        let reach = Reach {
            url: options.url.clone(),
            data_dir: options.data_dir.clone(),
            ..Reach::default()
        };
        Ok(Self { tool, given: shown, verb, words, options, formatter, reach })
    }

    /// The broker.
    pub fn client(&self) -> Done<Client> {
        let reach = Reach { timeout: self.timeout().as_secs().max(1), ..self.reach.clone() };
        reach.client()
    }

    /// How long it may take.
    pub fn timeout(&self) -> Duration {
        Duration::try_from_secs_f64(self.seconds()).unwrap_or(Duration::MAX)
    }

    /// The same, in seconds.
    pub fn seconds(&self) -> f64 {
        self.seconds_or(TIMEOUT)
    }

    /// How long it may take, where that is another time if nothing is said.
    pub fn seconds_or(&self, usual: f64) -> f64 {
        let given = self.options.timeout.as_deref().and_then(|time| time.parse().ok());
        given.filter(|time: &f64| (0.001..1e9).contains(time)).unwrap_or(usual)
    }

    /// The virtual host.
    pub fn vhost(&self) -> &str {
        self.options.vhost.as_deref().unwrap_or("/")
    }

    /// A word; empty if it is not there, which the verb's number of words rules out.
    pub fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", String::as_str)
    }

    /// The name of the node, as it was called or as it is.
    pub fn node(&self) -> &str {
        self.options.node.as_deref().unwrap_or(Node::NAME)
    }

    /// Whether lists have heads.
    pub fn has_heads(&self) -> bool {
        !self.options.silent && !self.options.no_table_headers
    }

    /// Says what is being done, to who wants to know.
    pub fn banner(&self, text: &str) -> Done {
        let machines = matches!(self.formatter, Formatter::Json | Formatter::Csv);
        if self.options.quiet || self.options.silent || machines {
            return Ok(());
        }
        table::write(text)
    }

    /// Prints an answer.
    pub fn print(&self, text: &str) -> Done {
        table::write(text)
    }

    /// Prints an answer: as text, or as JSON if that is asked for.
    pub fn answer(&self, text: &str, json: &Value) -> Done {
        match self.formatter {
            Formatter::Json => table::write(&json.to_string()),
            _ => table::write(text),
        }
    }

    /// A user, who must be there.
    pub fn user(&self, client: &Client, name: &str) -> Done<Value> {
        match client.get(&path(&["users", name])) {
            Err(failure) if failure.is_missing() => {
                Err(error(NO_USER, format!("User \"{name}\" does not exist")))
            }
            found => found,
        }
    }

    /// The node that the API tells of.
    pub fn facts(&self, client: &Client) -> Done<Value> {
        let nodes = table::rows(&client.get(&path(&["nodes"]))?);
        Ok(nodes.into_iter().next().unwrap_or_default())
    }

    /// Wrong usage of a verb.
    pub fn wrong(&self, verb: &Verb, why: &str) -> Failure {
        wrong(self.tool, Some(verb), why, &self.given)
    }
}

fn wrong(tool: Tool, verb: Option<&Verb>, why: &str, given: &str) -> Failure {
    let usage = verb.map(|verb| format!("\n\n{}\n\n{}", bold("Usage"), verb.usage(tool)));
    let usage = usage.unwrap_or_default();
    let text = format!("Error (argument validation): {why}\nArguments given:\n\t{given}{usage}");
    Failure::new(USAGE, text)
}

/// An error as the tools show it.
pub fn error(code: u8, why: impl AsRef<str>) -> Failure {
    Failure::new(code, format!("Error:\n{}", why.as_ref()))
}

/// A head, on a terminal in bold.
pub fn bold(text: &str) -> String {
    match stdout().is_terminal() && stderr().is_terminal() {
        true => format!("\x1b[1m{text}\x1b[0m"),
        false => text.to_owned(),
    }
}

/// A part of an object, as text.
pub fn part(object: &Value, at: &str) -> String {
    text(find(object, at))
}
