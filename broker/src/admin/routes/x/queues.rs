//! Queues: how old what they have is, who holds it, and whether they give anything out.

use axum::body::Bytes;
use serde_json::{Value, json};

use crate::access::{Kind, Resource};
use crate::admin::auth::Caller;
use crate::admin::error::Fault;
use crate::admin::input::Path;
use crate::admin::routes::{Reply, Routes, consumers, done, ok, queues};
use crate::admin::table::{get, post};
use crate::policy::Flow;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/api/x/queues/{vhost}/{queue}", get(one).shows("QueueInside"))
        .route("/api/x/queues/{vhost}/{queue}/pause", post(pause))
        .route("/api/x/queues/{vhost}/{queue}/resume", post(resume))
}

async fn one(caller: Caller, Path((vhost, name)): Path<(String, String)>) -> Reply {
    let vhost = caller.vhost(&vhost)?;
    let queue = queues::of_name(&vhost, &name)?;
    let flow = vhost.flow(&name)?;
    let (counts, held) = (queue.counts(), queue.held_since());
    let now = caller.node().now_ms();
    let mut consumers = consumers::of_queue(caller.node(), &queue).await;
    for (status, shown) in &mut consumers {
        let oldest = held.by_consumer.get(&status.spec.key);
        shown["messages_unacknowledged"] = status.unacked.into();
        shown["oldest_unacknowledged_age"] = oldest.map(|since| now.saturating_sub(*since)).into();
        shown["last_delivery"] = status.last_delivery.into();
        shown["last_ack"] = status.last_ack.into();
        shown["priority"] = status.spec.priority.into();
    }
    let consumers: Vec<Value> = consumers.into_iter().map(|(_, shown)| shown).collect();
    ok(caller.view.one(json!({
        "name": name,
        "vhost": *vhost.name,
        "paused": flow.paused,
        "max_rate": flow.max_rate,
        "messages_ready": counts.ready,
        "messages_unacknowledged": counts.unacked,
        "messages_scheduled": counts.scheduled,
        "oldest_ready_age": queue.oldest(),
        "oldest_unacknowledged_age": held.all.map(|since| now.saturating_sub(since)),
        "consumers": consumers,
    })))
}

// What comes as a body is read, since a connection with something unread ends.

async fn pause(caller: Caller, Path(place): Path<(String, String)>, _: Bytes) -> Reply {
    set_paused(&caller, &place, true)
}

async fn resume(caller: Caller, Path(place): Path<(String, String)>, _: Bytes) -> Reply {
    set_paused(&caller, &place, false)
}

fn set_paused(caller: &Caller, (vhost, name): &(String, String), paused: bool) -> Reply {
    let vhost = caller.vhost(vhost)?;
    queues::of_name(&vhost, name)?;
    caller.permit(&vhost.name, Resource::Queue(name), Kind::Configure)?;
    let flow = Flow { paused, ..vhost.flow(name)? };
    vhost.set_flow(caller.node(), name, flow).map_err(Fault::from)?;
    done()
}
