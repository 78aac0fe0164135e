//! What RabbitMQ's API has no routes for, under `/api/x`.

mod consumers;
mod live;
mod queues;

use super::Routes;

pub(super) fn routes() -> Routes {
    Routes::new().merge(queues::routes()).merge(consumers::routes()).merge(live::routes())
}
