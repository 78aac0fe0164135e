//! The verbs of the command line that ask a running broker. They speak to its HTTP API, by the socket in
//! its data directory or at a URL, and to nothing else.

mod bindings;
mod browse;
mod client;
mod connections;
mod consumers;
mod doctor;
mod exchanges;
mod failure;
mod health;
mod limits;
mod logs;
mod messages;
mod passwords;
mod permissions;
mod policies;
pub(crate) mod progress;
mod queues;
pub mod rabbitmqctl;
mod reach;
pub mod running;
mod status;
mod table;
mod top;
mod unix;
mod users;
mod vhosts;

use std::process::ExitCode;

use clap::Subcommand;

use failure::Done;
pub use reach::Reach;

/// A verb or a noun.
#[derive(Subcommand)]
pub enum Verb {
    /// What the broker is, has and does.
    Status(status::StatusArgs),
    /// Ask whether all is well. Exit code 1: it is not.
    Check(health::CheckArgs),
    /// Look for what an operator should see to.
    Doctor(doctor::DoctorArgs),
    /// Watch the queues.
    Top(top::TopArgs),
    /// Queues and their messages.
    Queues(queues::QueuesArgs),
    /// Exchanges.
    Exchanges(exchanges::ExchangesArgs),
    /// Bindings.
    Bindings(bindings::BindingsArgs),
    /// Virtual hosts.
    Vhosts(vhosts::VhostsArgs),
    /// Users.
    Users(users::UsersArgs),
    /// What users may do in virtual hosts.
    Permissions(permissions::PermissionsArgs),
    /// Policies, of users and of operators.
    Policies(policies::PoliciesArgs),
    /// How much virtual hosts and users may have.
    Limits(limits::LimitsArgs),
    /// Connections.
    Connections(connections::ConnectionsArgs),
    /// Consumers.
    Consumers(consumers::ConsumersArgs),
    /// Publish a message, or take some.
    Messages(messages::MessagesArgs),
    /// What the broker logs from now on.
    Logs(logs::LogsArgs),
    /// How much the broker logs.
    LogLevel(logs::LevelArgs),
    /// Hashes of passwords, for definitions.
    Password(passwords::PasswordArgs),
}

/// Runs a verb. What it cannot do is said on standard error.
pub fn run(verb: &Verb) -> ExitCode {
    let done = match verb {
        Verb::Status(args) => status::run(args),
        Verb::Check(args) => health::run(args),
        Verb::Doctor(args) => doctor::run(args),
        Verb::Top(args) => top::run(args),
        Verb::Queues(args) => queues::run(args),
        Verb::Exchanges(args) => exchanges::run(args),
        Verb::Bindings(args) => bindings::run(args),
        Verb::Vhosts(args) => vhosts::run(args),
        Verb::Users(args) => users::run(args),
        Verb::Permissions(args) => permissions::run(args),
        Verb::Policies(args) => policies::run(args),
        Verb::Limits(args) => limits::run(args),
        Verb::Connections(args) => connections::run(args),
        Verb::Consumers(args) => consumers::run(args),
        Verb::Messages(args) => messages::run(args),
        Verb::Logs(args) => logs::run(args),
        Verb::LogLevel(args) => logs::level(args),
        Verb::Password(args) => passwords::run(args),
    };
    exit(done)
}

fn exit(done: Done) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.text.is_empty() {
                eprintln!("error: {failure}");
            }
            ExitCode::from(failure.code)
        }
    }
}
