//! What RabbitMQ has and this broker needs none of: nothing is there, or nothing is to be done.

use serde_json::{Value, json};

use super::{Reply, Routes, done, nodes, ok};
use crate::admin::auth::{Caller, Tag};
use crate::admin::error::Fault;
use crate::admin::input::{Input, Path};
use crate::admin::table::{Methods, delete, get, post, put};
use crate::node::Node;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/api/feature-flags", get(feature_flags).lists("FeatureFlag"))
        .route("/api/feature-flags/{name}/enable", put(enable))
        .route("/api/deprecated-features", nothing_for(Tag::Administrator))
        .route("/api/deprecated-features/used", nothing_for(Tag::Administrator))
        .route("/api/rebalance/queues", post(no_work))
        .route("/api/reset", delete(no_work))
        .route("/api/reset/{node}", delete(reset))
        .route("/api/queues/{vhost}/{queue}/actions", post(act))
        .route("/api/vhosts/{vhost}/start/{node}", post(start))
        .route("/api/shovels", nothing_for(Tag::Monitoring))
        .route("/api/shovels/{vhost}", nothing_of_vhost())
        .route("/api/federation-links", nothing_for(Tag::Monitoring))
        .route("/api/federation-links/{vhost}", nothing_of_vhost())
        .route("/api/top/{node}", top("processes"))
        .route("/api/top/ets/{node}", top("ets_tables"))
        .route("/api/stream/connections", nothing_for(Tag::Management))
        .route("/api/stream/connections/{vhost}", nothing_of_vhost())
        .route("/api/stream/consumers", nothing_for(Tag::Management))
        .route("/api/stream/consumers/{vhost}", nothing_of_vhost())
        .route("/api/stream/publishers", nothing_for(Tag::Management))
        .route("/api/stream/publishers/{vhost}", nothing_of_vhost())
}

fn nothing_for(tag: Tag) -> Methods {
    get(async move |caller: Caller| -> Reply {
        caller.must_be(tag)?;
        ok(caller.view.list(Vec::<Value>::new())?)
    })
}

fn nothing_of_vhost() -> Methods {
    get(async |caller: Caller, Path(vhost): Path<String>| -> Reply {
        caller.vhost(&vhost)?;
        ok(caller.view.list(Vec::<Value>::new())?)
    })
}

/// What Erlang's runtime has and takes, of which there is none.
fn top(kind: &'static str) -> Methods {
    get(async move |caller: Caller, Path(node): Path<String>| -> Reply {
        caller.must_be(Tag::Monitoring)?;
        nodes::must_be_here(&node)?;
        ok(json!({"node": Node::NAME, "row_count": 20, kind: []}))
    })
}

/// What tools may look for before they use it, and what it is.
const FLAGS: [(&str, &str); 12] = [
    ("classic_mirrored_queue_version", "Support setting version for classic mirrored queues"),
    ("direct_exchange_routing_v2", "v2 direct exchange routing implementation"),
    ("drop_unroutable_metric", "Count unroutable publishes to be dropped in stats"),
    ("empty_basic_get_metric", "Count AMQP `basic.get` on empty queues in stats"),
    ("feature_flags_v2", "Feature flags subsystem V2"),
    ("implicit_default_bindings", "Default bindings are now implicit"),
    ("listener_records_in_ets", "Store listener records in ETS instead of Mnesia"),
    ("maintenance_mode_status", "Maintenance mode status"),
    ("quorum_queue", "Support queues of type `quorum`"),
    ("tracking_records_in_ets", "Store tracking records in ETS instead of Mnesia"),
    ("user_limits", "Configure connection and channel limits for a user"),
    ("virtual_host_metadata", "Virtual host metadata (description, tags, etc)"),
];

async fn feature_flags(caller: Caller) -> Reply {
    caller.must_be(Tag::Administrator)?;
    let flags = FLAGS.map(|(name, description)| {
        json!({
            "name": name, "desc": description, "doc_url": "", "state": "enabled",
            "stability": "stable", "provided_by": "rabbit",
        })
    });
    ok(caller.view.list(flags.to_vec())?)
}

/// All of them are.
async fn enable(caller: Caller, Path(name): Path<String>) -> Reply {
    caller.must_be(Tag::Administrator)?;
    match FLAGS.iter().any(|(known, _)| *known == name) {
        true => done(),
        false => Err(Fault::bad_request("unsupported")),
    }
}

async fn no_work(caller: Caller) -> Reply {
    caller.must_be(Tag::Administrator)?;
    done()
}

async fn reset(caller: Caller, Path(node): Path<String>) -> Reply {
    caller.must_be(Tag::Administrator)?;
    nodes::must_be_here(&node)?;
    done()
}

/// There are no mirrors to synchronise.
async fn act(caller: Caller, Path((vhost, queue)): Path<(String, String)>, input: Input) -> Reply {
    caller.must_be(Tag::Administrator)?;
    let vhost = caller.vhost(&vhost)?;
    if !vhost.read(|topology| topology.has_queue(&queue)) {
        return Err(Fault::unknown());
    }
    input.need(&["action"])?;
    match input.text("action")? {
        "sync" | "cancel_sync" => done(),
        other => Err(Fault::bad_request(json!(["unknown", other]))),
    }
}

/// Virtual hosts never stop.
async fn start(caller: Caller, Path((vhost, node)): Path<(String, String)>) -> Reply {
    caller.must_be(Tag::Administrator)?;
    let why = match (caller.node().vhost(&vhost), node == Node::NAME) {
        (_, false) => "nodedown".to_owned(),
        (None, true) => format!("{{no_such_vhost,<<\"{vhost}\">>}}"),
        (Some(_), true) => return done(),
    };
    Err(Fault::bad_request(format!("Request to node {node} failed with {why}")))
}
