//! What RabbitMQ's API has no routes for, under `/api/x`.

mod consumers;
mod live;
mod messages;
mod queues;

use super::{Reply, Routes, channels, exchange_name, messages as plain_messages, ok};

pub(super) fn routes() -> Routes {
    Routes::new()
        .merge(queues::routes())
        .merge(messages::routes())
        .merge(consumers::routes())
        .merge(live::routes())
}
