//! The HTTP API: who may ask, what is answered, and how it is refused. Statuses and bodies are those
//! that RabbitMQ 3.10.8 gave to the same requests.

mod access;
mod broker;
mod browse;
mod connections;
mod document;
mod live;
mod messages;
mod patience;
mod stats;
mod tools;
mod topology;
mod users;
