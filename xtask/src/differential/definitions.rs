//! What Lepus exports, RabbitMQ imports; what that exports again is the same to Lepus.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::bench::{rabbitmq, scratch::Scratch};
use crate::tools;

/// An export of RabbitMQ 3.10.8, which has everything that such an export can have.
const BEGINNING: &str = "broker/src/definitions/fixtures/rabbitmq-3.10.8.json";

/// RabbitMQ's definitions through Lepus, RabbitMQ and Lepus.
pub(super) fn round_trip(lepus: &Path) -> Result<()> {
    let scratch = Scratch::new("definitions")?;
    let file = |name: &str| scratch.path().join(name);
    let beginning = file("beginning.json");
    std::fs::write(&beginning, what_comes_back()?)?;
    let (ours, theirs, again) = (file("ours.json"), file("theirs.json"), file("again.json"));
    through_lepus(lepus, &file("first"), &beginning, &ours)?;
    through_rabbitmq(&ours, &theirs)?;
    through_lepus(lepus, &file("second"), &theirs, &again)?;
    tools::run(Command::new(lepus).args(["definitions", "diff"]).args([&ours, &again]))
        .context("what RabbitMQ has made of the definitions is not what Lepus exported")?;
    println!("definitions: the same after Lepus, RabbitMQ and Lepus");
    Ok(())
}

/// The beginning without what the command of RabbitMQ 3.10 does not bring back as it was: its own
/// cluster's id, and objects in global parameters, which it turns into lists.
fn what_comes_back() -> Result<Vec<u8>> {
    let text = std::fs::read(tools::root()?.join(BEGINNING))?;
    let mut document: serde_json::Value = serde_json::from_slice(&text)?;
    if let Some(parameters) = document["global_parameters"].as_array_mut() {
        parameters.retain(|parameter| parameter["name"] == "cluster_name");
    }
    Ok(serde_json::to_vec(&document)?)
}

fn through_lepus(lepus: &Path, directory: &Path, from: &Path, to: &Path) -> Result<()> {
    let command = |what: &str, file: &Path| {
        let mut command = Command::new(lepus);
        command.args(["definitions", what, "--data-dir"]).args([directory, file]);
        command
    };
    tools::run(&mut command("import", from))?;
    tools::run(&mut command("export", to))
}

fn through_rabbitmq(from: &Path, to: &Path) -> Result<()> {
    let peer = rabbitmq::start()?;
    let ctl = |what: &str, file: &Path| -> Result<()> {
        tools::run(rabbitmq::ctl(peer.directory())?.args(["--quiet", what]).arg(file))
    };
    ctl("import_definitions", from)?;
    ctl("export_definitions", to)
}
