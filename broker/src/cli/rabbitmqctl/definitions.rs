//! Definitions, to and from files.

use std::fs;
use std::io::{Read, stdin};

use super::call::Call;
use super::verbs::Verb;
use crate::cli::client::all_of;
use crate::cli::failure::{DATA, Done, Failure};

pub fn export(call: &Call) -> Done {
    let file = call.word(0);
    if file != "-" {
        call.banner(&format!("Exporting definitions in JSON to a file at \"{file}\" ..."))?;
    }
    let from = all_of("definitions", call.options.vhost.as_deref());
    let document = call.client()?.get(&from)?;
    match file {
        "-" => call.print(&document.to_string()),
        file => fs::write(file, document.to_string())
            .map_err(|why| Failure::new(DATA, format!("Error: cannot write {file}: {why}"))),
    }
}

pub fn import(call: &Call) -> Done {
    let file = call.words.first().map_or("-", String::as_str);
    let mut text = Vec::new();
    match file {
        "-" => {
            call.banner("Importing definitions in JSON from standard input ...")?;
            stdin().read_to_end(&mut text)?;
        }
        file => {
            let missing = format!("Bad argument: File {file} does not exist");
            text = fs::read(file).map_err(|_| match Verb::find(&call.verb) {
                Some(verb) => Failure { code: DATA, ..call.wrong(verb, &missing) },
                None => Failure::new(DATA, missing),
            })?;
            call.banner(&format!("Importing definitions in JSON from a file at \"{file}\" ..."))?;
        }
    }
    let document = serde_json::from_slice(&text).map_err(|why| {
        Failure::new(DATA, format!("Error:\nthe definitions are not JSON: {why}"))
    })?;
    let to = all_of("definitions", call.options.vhost.as_deref());
    call.client()?.post(&to, &document)?;
    // RabbitMQ has only begun it by then.
    call.banner("Successfully started definition import. It is done.")
}
