//! The flags that set something, and `lepus config`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::keys;
use super::load::{Faults, Loaded, Settings, load, load_file, shown};
use super::sources::Sources;
use super::syntax::written;

/// Flags of the broker. What is not given is left to the environment, the file and the defaults.
#[derive(Args, Clone, Debug, Default)]
pub struct Flags {
    /// Address to listen on [default: 127.0.0.1].
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<String>,
    /// Port for AMQP; 0 picks a free one [default: 5672].
    #[arg(long, value_name = "PORT")]
    amqp_port: Option<String>,
    /// Port for AMQP over TLS; 0 picks a free one [default: none].
    #[arg(long, value_name = "PORT")]
    amqps_port: Option<String>,
    /// Port for the HTTP API; 0 picks a free one [default: 15672].
    #[arg(long, value_name = "PORT")]
    http_port: Option<String>,
    /// Port for metrics; 0 picks a free one [default: 15692].
    #[arg(long, value_name = "PORT")]
    metrics_port: Option<String>,
    /// Where messages and declarations are kept; made if need be [default: ./lepus-data].
    #[arg(long, value_name = "PATH")]
    data_dir: Option<String>,
    /// Configuration in RabbitMQ's format (`key = value`); files of `conf.d` beside it are read, too.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// error, warn, info, debug, trace or off, or a filter such as `lepus=debug` [default: info].
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

impl Flags {
    /// These, and the environment of the process.
    pub fn sources(&self) -> Sources {
        let flags = [
            ("--bind", "bind", &self.bind),
            ("--amqp-port", "amqp_port", &self.amqp_port),
            ("--amqps-port", "amqps_port", &self.amqps_port),
            ("--http-port", "http_port", &self.http_port),
            ("--metrics-port", "metrics_port", &self.metrics_port),
            ("--data-dir", "data_dir", &self.data_dir),
            ("--log-level", "log_level", &self.log_level),
        ];
        let given = |(flag, key, value): (&'static str, &'static str, &Option<String>)| {
            value.as_ref().map(|value| (flag, key, value.clone()))
        };
        let flags = flags.into_iter().filter_map(given).collect();
        Sources { config: self.config.clone(), flags, ..Sources::of_process() }
    }
}

/// Arguments of `lepus config`.
#[derive(Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Say all that is wrong with a file. Exit code 0: nothing, 1: the broker would not start with it.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Show each setting that would hold, and where it comes from.
    Show {
        #[command(flatten)]
        flags: Flags,
        /// One JSON object instead of a file with comments.
        #[arg(long)]
        json: bool,
    },
}

/// Runs `lepus config`.
pub fn run(args: ConfigArgs) -> ExitCode {
    match args.command {
        ConfigCommand::Check { file } => {
            let loaded = load_file(&file, &Sources::of_process().environment);
            report(loaded, |_| println!("{}: nothing is wrong", file.display()))
        }
        ConfigCommand::Show { flags, json } => report(load(&flags.sources()), |loaded| {
            if json { println!("{:#}", as_json(&loaded.settings)) } else { show(&loaded.settings) }
        }),
    }
}

fn report(loaded: Result<Loaded, Faults>, show: impl FnOnce(&Loaded)) -> ExitCode {
    let (Ok(Loaded { notes, .. }) | Err(Faults { notes, .. })) = &loaded;
    notes.iter().for_each(|warning| eprintln!("warning: {warning}"));
    match loaded {
        Ok(loaded) => {
            show(&loaded);
            ExitCode::SUCCESS
        }
        Err(Faults { faults, .. }) => {
            faults.iter().for_each(|fault| eprintln!("error: {fault}"));
            ExitCode::FAILURE
        }
    }
}

/// What is shown of a setting: key, value, origin.
type Row = (String, String, String);

/// What holds, in the order of the table. Keys without a default are there only if they are set.
fn rows(settings: &Settings) -> Vec<Row> {
    let mut rows = Vec::new();
    for key in keys::all() {
        let given = settings.all().filter(|(known, _)| std::ptr::eq(*known, key));
        let before = rows.len();
        rows.extend(given.map(|(_, given)| {
            let name = written(&given.key);
            // What is ignored may be a secret all the same: `auth_ldap.dn_lookup_bind.password`.
            let is_secret = ["pass", "secret"].iter().any(|word| name.contains(word));
            let (value, ignored) = match key.is_ignored() {
                true => (if is_secret { "***" } else { given.value.as_str() }, ", ignored"),
                false => (shown(key, &given.value), ""),
            };
            let value = value.to_owned();
            (name, value, format!("{}{ignored}", given.origin))
        }));
        if rows.len() == before && key.is_single() && !key.default.is_empty() {
            let value = shown(key, key.default).to_owned();
            rows.push((key.pattern.to_string(), value, "default".to_owned()));
        }
    }
    rows
}

/// As a file that says the same, but for what only flags and the environment can say.
fn show(settings: &Settings) {
    for (key, value, origin) in rows(settings) {
        let outside = keys::all().iter().any(|known| known.outside && known.pattern == key);
        let begin = if outside { "# " } else { "" };
        println!("{begin}{key} = {}  # {origin}", quoted(&value));
    }
}

fn quoted(value: &str) -> String {
    let plain = !value.is_empty() && value.trim() == value && !value.contains(['#', '\n', '\'']);
    match (plain, value.contains('\'')) {
        (true, _) => value.to_owned(),
        (false, false) => format!("'{value}'"),
        (false, true) => format!("'''{value}'''"),
    }
}

/// Each setting that holds, with where it comes from.
pub fn as_json(settings: &Settings) -> Value {
    let setting = |(key, value, origin): Row| (key, json!({ "value": value, "origin": origin }));
    rows(settings).into_iter().map(setting).collect()
}
