//! The command line: verbs that ask a running broker, by the socket in its data directory and at a URL, and
//! RabbitMQ's tools. What those print and how they exit is what RabbitMQ 3.10.8's did.

mod browse;
mod connections;
mod https;
mod nouns;
mod rabbitmqctl;
mod shell;
mod socket;
mod terminal;
mod tools;
