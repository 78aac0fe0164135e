//! `lepus password`, and asking for one.

use std::io::{IsTerminal, Write, stderr, stdin};

use clap::{Args, Subcommand};
use ratatui::crossterm::event::{Event, KeyCode, KeyModifiers, read};
use ratatui::crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use serde_json::json;

use super::failure::{Done, Failure};
use super::table::write;
use crate::access::password::{Algorithm, PasswordHash, Secret};

/// Arguments of `lepus password`.
#[derive(Args)]
pub struct PasswordArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Print the hash of a password, as `password_hash` of definitions.
    Hash {
        /// The password [default: read from standard input].
        password: Option<String>,
        /// rabbit_password_hashing_sha256, rabbit_password_hashing_sha512 or argon2id.
        #[arg(long, default_value = "rabbit_password_hashing_sha256")]
        algorithm: String,
        /// Print JSON, as it stands in definitions.
        #[arg(long)]
        json: bool,
    },
}

/// Runs `lepus password`.
pub fn run(PasswordArgs { verb: Verb::Hash { password, algorithm, json } }: &PasswordArgs) -> Done {
    let algorithm = Algorithm::parse(algorithm)
        .ok_or_else(|| Failure::data(format!("{algorithm}: is no algorithm")))?;
    let password = password.clone().map_or_else(ask, Ok)?;
    let hash = PasswordHash::new(algorithm, &Secret::from(password)).encode();
    match json {
        true => {
            let shown = json!({"password_hash": hash, "hashing_algorithm": algorithm.name()});
            write(&shown.to_string())
        }
        false => write(&hash),
    }
}

/// A password from standard input. On a terminal it is not seen.
pub fn ask() -> Done<String> {
    if !stdin().is_terminal() {
        let mut line = String::new();
        stdin().read_line(&mut line)?;
        return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
    }
    // Nothing that is typed is shown from here on.
    enable_raw_mode()?;
    // Standard output is for whoever takes the hash.
    eprint!("Password: ");
    let typed = stderr().flush().map_err(Failure::from).and_then(|()| type_in());
    disable_raw_mode()?;
    eprintln!();
    typed
}

fn type_in() -> Done<String> {
    let mut typed = String::new();
    loop {
        let Event::Key(key) = read()? else { continue };
        match key.code {
            KeyCode::Enter => return Ok(typed),
            KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                return Err(Failure::no("no password"));
            }
            KeyCode::Char(c) => typed.push(c),
            KeyCode::Backspace => drop(typed.pop()),
            _ => {}
        }
    }
}
