//! RabbitMQ's command line: its verbs, what they print and how they exit, for scripts that call them.

mod call;
mod checks;
mod connections;
mod definitions;
mod listings;
mod node;
mod plugins;
mod policies;
mod served;
mod status;
mod tails;
mod terms;
mod users;
mod verbs;
mod vhosts;

use std::ffi::OsString;
use std::process::ExitCode;

pub use call::Tool;
use call::{Call, UNAVAILABLE, USAGE, error};
use verbs::Verb;

use super::failure::{Done, Failure, NO};

/// Runs one of RabbitMQ's tools.
pub fn run((tool, words): (Tool, Vec<OsString>)) -> ExitCode {
    match carry_out(tool, &words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.text.is_empty() {
                eprintln!("{failure}");
            }
            ExitCode::from(failure.code)
        }
    }
}

fn carry_out(tool: Tool, words: &[OsString]) -> Done {
    let call = Call::read(tool, words)?;
    if call.verb.is_empty() {
        return match call.options.help {
            true => call.print(&verbs::usage(tool)),
            false => Err(Failure::new(USAGE, verbs::usage(tool))),
        };
    }
    let verb = Verb::find(&call.verb).ok_or_else(|| unknown(tool, &call.verb))?;
    verb.run(&call).map_err(|failure| explain(&call, failure))
}

fn unknown(tool: Tool, name: &str) -> Failure {
    let more = match Verb::nearest(name) {
        Some(verb) => format!("Did you mean '{}'? \n", verb.name),
        None => format!("\n{}", verbs::usage(tool)),
    };
    Failure::new(USAGE, format!("\nCommand '{name}' not found. \n{more}"))
}

/// What the API says, in the words of the tools.
fn explain(call: &Call, failure: Failure) -> Failure {
    let node = call.node();
    match failure {
        Failure { status: None, code: UNAVAILABLE, text, .. } if text.starts_with("no broker") => {
            Failure::new(
                UNAVAILABLE,
                format!(
                    "Error: unable to perform an operation on node '{node}'. Please see \
                     diagnostics information and suggestions below.\n\n{text}\n\n \
                     * Target node is not running, or has another data directory: see --data-dir\n \
                     * Of a broker elsewhere the tools need its URL: see --url and LEPUS_URL"
                ),
            )
        }
        Failure { status: Some(_), code: NO, text, .. } => error(UNAVAILABLE, text),
        failure => failure,
    }
}
