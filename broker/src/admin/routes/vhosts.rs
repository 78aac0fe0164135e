//! Virtual hosts.

use serde_json::{Value, json};

use super::{Reply, Routes, done, ok, put, stats};
use crate::admin::auth::{Caller, Tag};
use crate::admin::error::Fault;
use crate::admin::input::{Input, Path};
use crate::admin::table::{get, post};
use crate::node::Node;
use crate::vhost::{Vhost, VhostSpec};

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/api/vhosts", get(all).lists("Vhost"))
        .route("/api/vhosts/{vhost}", get(one).shows("Vhost").put(create).delete(delete_one))
        .route("/api/vhosts/{vhost}/deletion/protection", post(protect).delete(unprotect))
}

/// Who may see what happens sees all of them.
async fn all(caller: Caller) -> Reply {
    let vhosts = stats::vhosts(&caller);
    ok(caller.view.list(vhosts.iter().map(|vhost| show(&caller, vhost)).collect())?)
}

async fn one(caller: Caller, Path(name): Path<String>) -> Reply {
    let vhost = match caller.is(Tag::Monitoring) {
        true => caller.node().vhost(&name).ok_or_else(Fault::unknown)?,
        false => caller.vhost(&name)?,
    };
    ok(caller.view.one(show(&caller, &vhost)))
}

fn show(caller: &Caller, vhost: &Vhost) -> Value {
    let spec = vhost.spec();
    let queue_type = spec.default_queue_type.as_deref().unwrap_or("undefined");
    let mut metadata = json!({"description": spec.description, "tags": spec.tags});
    if let Some(kind) = &spec.default_queue_type {
        metadata["default_queue_type"] = kind.clone().into();
    }
    let mut shown = json!({
        "name": spec.name,
        "description": spec.description,
        "tags": spec.tags,
        "default_queue_type": queue_type,
        "protected_from_deletion": spec.protected,
        "metadata": metadata,
        "tracing": vhost.is_traced(),
        "cluster_state": {Node::NAME: "running"},
    });
    if let (false, Value::Object(shown)) = (caller.leaves_out_stats(), &mut shown) {
        let seen = stats::of_vhost(caller, vhost);
        stats::put_lengths(&seen, shown);
        stats::put_octets(&seen, shown);
        shown.insert("message_stats".to_owned(), stats::message_stats(&seen));
    }
    shown
}

async fn create(caller: Caller, Path(name): Path<String>, input: Input) -> Reply {
    caller.must_be(Tag::Administrator)?;
    let node = caller.node();
    let existing = node.vhost(&name);
    let is_new = existing.is_none();
    // What is not said stays as it is.
    let mut spec = existing.map_or_else(|| VhostSpec::new(&name), |vhost| (*vhost.spec()).clone());
    if input.get("description").is_some() {
        input.text("description")?.clone_into(&mut spec.description);
    }
    if let Some(tags) = input.list("tags")? {
        spec.tags = tags;
    }
    match input.text("default_queue_type")? {
        "" | "undefined" => {}
        kind => spec.default_queue_type = Some(kind.to_owned()),
    }
    if input.get("protected_from_deletion").is_some() {
        spec.protected = input.flag("protected_from_deletion")?;
    }
    let tracing = input.get("tracing").map(|_| input.flag("tracing")).transpose()?;
    node.create_vhost(caller.user(), spec)?;
    if let (Some(on), Some(vhost)) = (tracing, node.vhost(&name)) {
        vhost.set_tracing(node, on)?;
    }
    put(is_new)
}

async fn delete_one(caller: Caller, Path(name): Path<String>) -> Reply {
    caller.must_be(Tag::Administrator)?;
    caller.node().delete_vhost(caller.user(), &name)?;
    done()
}

async fn protect(caller: Caller, Path(name): Path<String>) -> Reply {
    set_protected(&caller, &name, true)
}

async fn unprotect(caller: Caller, Path(name): Path<String>) -> Reply {
    set_protected(&caller, &name, false)
}

fn set_protected(caller: &Caller, name: &str, protected: bool) -> Reply {
    caller.must_be(Tag::Administrator)?;
    let vhost = caller.node().vhost(name).ok_or_else(Fault::unknown)?;
    let spec = VhostSpec { protected, ..(*vhost.spec()).clone() };
    caller.node().create_vhost(caller.user(), spec)?;
    done()
}
