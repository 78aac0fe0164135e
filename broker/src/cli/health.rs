//! `lepus check`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::client::{Client, path};
use super::failure::{Done, Failure, NO};
use super::reach::Reach;
use super::table::{find, text, write};

/// Arguments of `lepus check`.
#[derive(Args)]
pub struct CheckArgs {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    check: Option<Check>,
}

#[derive(Subcommand)]
enum Check {
    /// The broker serves, its virtual hosts are there, and there are no alarms (also without a word).
    All,
    /// No alarm of memory or disk holds publishers back.
    Alarms,
    /// It takes connections.
    Ready,
    /// Its virtual hosts are there.
    Vhosts,
    /// It listens on a port.
    Port {
        /// The port.
        port: u16,
    },
    /// It speaks a protocol: amqp, amqp/ssl, http, …
    Protocol {
        /// The protocol.
        protocol: String,
    },
    /// No certificate ends within a time.
    Certificates {
        /// So many units.
        within: u32,
        /// days, weeks, months or years.
        #[arg(default_value = "days")]
        unit: String,
    },
}

/// Runs `lepus check`.
pub fn run(CheckArgs { reach, check }: &CheckArgs) -> Done {
    let session = reach.session()?;
    let (port, within);
    let checks: &[&[&str]] = match check {
        None | Some(Check::All) => &[&["ready-to-serve-clients"], &["virtual-hosts"], &["alarms"]],
        Some(Check::Alarms) => &[&["alarms"]],
        Some(Check::Ready) => &[&["ready-to-serve-clients"]],
        Some(Check::Vhosts) => &[&["virtual-hosts"]],
        Some(Check::Port { port: number }) => {
            port = number.to_string();
            &[&["port-listener", &port]]
        }
        Some(Check::Protocol { protocol }) => &[&["protocol-listener", protocol]],
        Some(Check::Certificates { within: count, unit }) => {
            within = count.to_string();
            &[&["certificate-expiration", &within, unit]]
        }
    };
    let mut failed = Vec::new();
    let mut shown = Vec::new();
    for check in checks {
        let answer = ask(&session.client, check)?;
        let name = check.join(" ");
        shown.push(json!({"check": name, "reason": answer, "ok": answer.is_none()}));
        let line = match answer {
            None => format!("ok      {name}"),
            Some(why) => {
                failed.push(name.clone());
                format!("failed  {name}: {why}")
            }
        };
        if !session.json {
            write(&line)?;
        }
    }
    if session.json {
        session.show(&shown.into())?;
    }
    if failed.is_empty() { Ok(()) } else { Err(Failure::new(NO, "")) }
}

/// Asks for a health check; what is wrong, if it is not passed.
pub fn ask(client: &Client, check: &[&str]) -> Done<Option<String>> {
    let mut whole = vec!["health", "checks"];
    whole.extend(check);
    match client.get(&path(&whole)) {
        Ok(_) => Ok(None),
        Err(failure) if failure.status == Some(503) => {
            let alarms = find(&failure.body, "alarms").as_array().cloned().unwrap_or_default();
            let alarms = alarms.iter().map(|alarm| text(find(alarm, "resource")));
            let alarms: Vec<String> = alarms.collect();
            let of =
                if alarms.is_empty() { String::new() } else { format!(": {}", alarms.join(", ")) };
            Ok(Some(format!("{}{of}", failure.text)))
        }
        Err(failure) => Err(failure),
    }
}
