//! Which broker a command is about, and how its answer is shown.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::client::{Client, Place, all_of, with_query};
use super::failure::{Done, Failure, SOFTWARE};
use super::table::{self, Column};
use crate::config::cli::Flags;
use crate::config::load::load;
use crate::config::tls::TlsOptions;

/// The variable that says where the broker is.
const URL: &str = "LEPUS_URL";

/// What all commands that ask a broker have in common.
#[derive(Args, Clone, Debug, Default)]
pub struct Reach {
    /// The broker's HTTP API, `http://user:password@host:15672` [default: `LEPUS_URL`, or the socket in
    /// the data directory].
    #[arg(long, global = true, value_name = "URL")]
    pub url: Option<String>,
    /// The data directory of the broker on this machine [default: where its environment and its file say,
    /// or ./lepus-data].
    // Not `data_dir`, which is the broker's flag: names of global arguments hold for all commands.
    #[arg(
        id = "directory",
        long = "data-dir",
        global = true,
        value_name = "PATH",
        conflicts_with = "url"
    )]
    pub data_dir: Option<PathBuf>,
    /// The virtual host [default: / to change something, all to list].
    #[arg(long, short = 'p', global = true, value_name = "NAME")]
    pub vhost: Option<String>,
    /// Show what the API answers.
    #[arg(long, global = true)]
    pub json: bool,
    /// How long to wait for an answer.
    #[arg(long, short = 't', global = true, value_name = "SECONDS", default_value_t = 60)]
    pub timeout: u64,
    /// Certificates of authorities, PEM, for https.
    #[arg(long, global = true, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Take any certificate.
    #[arg(long, global = true)]
    pub insecure: bool,
}

impl Reach {
    /// Where the broker is.
    pub fn place(&self) -> Place {
        let variable = || std::env::var(URL).ok().filter(|url| !url.is_empty());
        match (&self.url, &self.data_dir) {
            (Some(url), _) => Place::Url(url.clone()),
            (None, Some(directory)) => Place::DataDir(directory.clone()),
            (None, None) => variable().map_or_else(|| Place::DataDir(configured()), Place::Url),
        }
    }

    /// The data directory, of a broker that does not run.
    pub fn directory(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(configured)
    }

    /// How the broker is asked.
    pub fn client(&self) -> Done<Client> {
        let tls = TlsOptions {
            cacertfile: self.ca.clone(),
            verify_peer: Some(!self.insecure),
            ..TlsOptions::default()
        };
        Client::new(&self.place(), Duration::from_secs(self.timeout.max(1)), &tls)
    }

    /// What a command works with.
    pub fn session(&self) -> Done<Session> {
        Ok(Session { client: self.client()?, vhost: self.vhost.clone(), json: self.json })
    }
}

/// The data directory that a broker would have with this process' environment.
fn configured() -> PathBuf {
    let loaded = load(&Flags::default().sources()).ok();
    let directory = loaded.and_then(|loaded| loaded.config.data_dir);
    directory.unwrap_or_else(|| PathBuf::from("./lepus-data"))
}

/// A broker to ask, and how to show what it answers.
pub struct Session {
    /// The broker.
    pub client: Client,
    /// The virtual host, if it was said.
    pub vhost: Option<String>,
    /// Whether answers are shown as they come.
    pub json: bool,
}

impl Session {
    /// The virtual host of something that is in one.
    pub fn vhost(&self) -> &str {
        self.vhost.as_deref().unwrap_or("/")
    }

    /// Where all of a kind are listed: those of the virtual host, if it was said.
    pub fn all_of(&self, kind: &str) -> String {
        all_of(kind, self.vhost.as_deref())
    }

    /// Asks for a list, for no more of it than is shown, and shows it.
    pub fn list_at(&self, path: &str, columns: &[Column]) -> Done {
        let wanted = table::wanted(columns);
        let query: &[_] = if self.json { &[] } else { &[("columns", wanted.as_str())] };
        self.list(&self.client.get(&with_query(path, query))?, columns)
    }

    /// Shows a list.
    pub fn list(&self, items: &Value, columns: &[Column]) -> Done {
        match self.json {
            true => self.show(items),
            false => table::print(&table::rows(items), columns),
        }
    }

    /// Shows an object, as the names of its parts and what they are.
    pub fn object(&self, object: &Value, columns: &[Column]) -> Done {
        match self.json {
            true => self.show(object),
            false => table::print_object(object, columns),
        }
    }

    /// Shows an answer as it is.
    pub fn show(&self, answer: &Value) -> Done {
        let text = serde_json::to_string_pretty(answer);
        let text = text.map_err(|error| Failure::new(SOFTWARE, error.to_string()))?;
        table::write(&text)
    }

    /// Says what was done, to who reads it.
    pub fn say(&self, text: &str) -> Done {
        if self.json { Ok(()) } else { table::write(text) }
    }
}
