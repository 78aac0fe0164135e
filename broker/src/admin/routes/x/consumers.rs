//! One consumer is sent away; its channel stays, and with it what the consumer holds.

use crate::admin::auth::Caller;
use crate::admin::error::Fault;
use crate::admin::input::Path;
use crate::admin::routes::{Reply, Routes, connections, done};
use crate::admin::table::delete;
use crate::queue::state::Command;

pub(super) fn routes() -> Routes {
    let path = "/api/x/consumers/{vhost}/{connection}/{channel}/{consumer_tag}";
    Routes::new().route(path, delete(cancel))
}

async fn cancel(
    caller: Caller,
    Path((vhost, connection, channel, tag)): Path<(String, String, u16, String)>,
) -> Reply {
    let open = connections::find(&caller, &connection)?;
    if *open.vhost.name != *vhost {
        return Err(Fault::unknown());
    }
    let channels = open.ask().channels().await.ok_or_else(Fault::unknown)?;
    let channel = channels.iter().find(|seen| seen.number == channel).ok_or_else(Fault::unknown)?;
    let consumer = channel.consumers.iter().find(|consumer| consumer.tag == tag);
    let consumer = consumer.ok_or_else(Fault::unknown)?;
    consumer.queue.apply(Command::Dismiss(consumer.key));
    done()
}
