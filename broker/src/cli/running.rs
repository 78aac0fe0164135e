//! The definitions of a broker that runs, for `lepus definitions`.

use std::os::unix::net::UnixStream;

use anyhow::{Result, anyhow};
use serde_json::Value;

use super::Reach;
use super::client::{Client, Place, all_of};
use super::failure::Failure;
use crate::http::socket_in;

/// A broker that answers.
pub struct Running(Client);

impl Running {
    /// The broker at the URL, or the one that runs in the data directory; `None`: none runs there.
    pub fn find(reach: &Reach) -> Result<Option<Self>> {
        if let Place::DataDir(directory) = reach.place()
            && UnixStream::connect(socket_in(&directory)).is_err()
        {
            return Ok(None);
        }
        reach.client().map(|client| Some(Self(client))).map_err(error)
    }

    /// What it declares.
    pub fn export(&self, vhost: Option<&str>) -> Result<Value> {
        self.0.get(&definitions(vhost)).map_err(error)
    }

    /// Has it declare more.
    pub fn import(&self, vhost: Option<&str>, document: &Value) -> Result<()> {
        self.0.post(&definitions(vhost), document).map(drop).map_err(error)
    }
}

fn definitions(vhost: Option<&str>) -> String {
    all_of("definitions", vhost)
}

fn error(failure: Failure) -> anyhow::Error {
    anyhow!(failure.text)
}
