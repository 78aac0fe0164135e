//! Definitions: all that is declared, as one JSON document in RabbitMQ's form.

mod boot;
mod difference;
mod export;
mod import;
mod model;
mod read;
#[cfg(test)]
mod tests;

pub use boot::{bring, load};
pub use difference::{Change, difference};
pub use export::{RABBITMQ_VERSION, document, export, export_vhost, vhost_document};
pub use import::import;
pub use model::{
    Binding, Definitions, Exchange, GlobalParameter, Parameter, Permission, Policy, Queue,
    TopicPermission, User, Vhost,
};
pub use read::{Fault, read, read_vhost};
