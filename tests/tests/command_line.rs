//! The command line: verbs that ask a running broker, by the socket in its data directory and at a URL, and
//! RabbitMQ's tools. What those print and how they exit is what RabbitMQ 3.10.8's did.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "command_line/browse.rs"]
mod browse;
#[path = "command_line/connections.rs"]
mod connections;
#[path = "command_line/https.rs"]
mod https;
#[path = "command_line/nouns.rs"]
mod nouns;
#[path = "command_line/rabbitmqctl.rs"]
mod rabbitmqctl;
#[path = "command_line/shell.rs"]
mod shell;
#[path = "command_line/socket.rs"]
mod socket;
#[path = "command_line/terminal.rs"]
mod terminal;
#[path = "command_line/tools.rs"]
mod tools;
