//! Parameters, of virtual hosts and of the broker.

use serde_json::{Value, json};

use super::{Reply, Routes, done, ok, put};
use crate::admin::auth::{Caller, Tag};
use crate::admin::error::Fault;
use crate::admin::input::{Input, Path};
use crate::admin::table::get;
use crate::parameters::ParameterId;

pub(super) fn routes() -> Routes {
    let one_of_them = get(one).shows("Parameter").put(set).delete(clear);
    let global = get(one_global).shows("GlobalParameter").put(set_global).delete(clear_global);
    Routes::new()
        .route("/api/parameters", get(all).lists("Parameter"))
        .route("/api/parameters/{component}", get(of_component).lists("Parameter"))
        .route("/api/parameters/{component}/{vhost}", get(of_vhost).lists("Parameter"))
        .route("/api/parameters/{component}/{vhost}/{name}", one_of_them)
        .route("/api/global-parameters", get(all_global).lists("GlobalParameter"))
        .route("/api/global-parameters/{name}", global)
}

async fn all(caller: Caller) -> Reply {
    ok(caller.view.list(list(&caller, |_| true)?)?)
}

async fn of_component(caller: Caller, Path(component): Path<String>) -> Reply {
    ok(caller.view.list(list(&caller, |id| id.component == component)?)?)
}

async fn of_vhost(caller: Caller, Path((component, vhost)): Path<(String, String)>) -> Reply {
    caller.vhost(&vhost)?;
    let wanted = |id: &ParameterId| id.component == component && id.vhost == vhost;
    ok(caller.view.list(list(&caller, wanted)?)?)
}

async fn one(
    caller: Caller,
    Path((component, vhost, name)): Path<(String, String, String)>,
) -> Reply {
    caller.vhost(&vhost)?;
    let wanted = ParameterId::new(&component, &vhost, &name);
    let found = list(&caller, |id| *id == wanted)?.pop();
    ok(caller.view.one(found.ok_or_else(Fault::unknown)?))
}

/// Parameters of the virtual hosts that the caller may use.
fn list(caller: &Caller, wanted: impl Fn(&ParameterId) -> bool) -> Result<Vec<Value>, Fault> {
    caller.must_be(Tag::Policymaker)?;
    let vhosts = caller.vhosts();
    let is_open = |id: &ParameterId| vhosts.iter().any(|vhost| *vhost.name == *id.vhost);
    let parameters = caller.node().parameters().into_iter();
    let shown = parameters.filter(|(id, _)| wanted(id) && is_open(id)).map(|(id, value)| {
        let ParameterId { vhost, component, name } = id;
        json!({"value": value, "vhost": vhost, "component": component, "name": name})
    });
    Ok(shown.collect())
}

/// What only administrators may set by its own route is theirs by this one, too.
fn may_change(caller: &Caller, component: &str) -> Result<(), Fault> {
    caller.must_be(match component {
        "operator_policy" | "vhost-limits" => Tag::Administrator,
        _ => Tag::Policymaker,
    })
}

async fn set(
    caller: Caller,
    Path((component, vhost, name)): Path<(String, String, String)>,
    input: Input,
) -> Reply {
    may_change(&caller, &component)?;
    caller.vhost_to_change(&vhost)?;
    input.need(&["value"])?;
    let id = ParameterId::new(&component, &vhost, &name);
    let is_new = list(&caller, |known| *known == id)?.is_empty();
    let value = input.get("value").cloned().unwrap_or_default();
    caller.node().set_parameter(caller.user(), &id, value)?;
    put(is_new)
}

async fn clear(
    caller: Caller,
    Path((component, vhost, name)): Path<(String, String, String)>,
) -> Reply {
    may_change(&caller, &component)?;
    caller.vhost(&vhost)?;
    let id = ParameterId::new(&component, &vhost, &name);
    caller.node().clear_parameter(caller.user(), &id)?;
    done()
}

async fn all_global(caller: Caller) -> Reply {
    caller.must_be(Tag::Policymaker)?;
    let parameters = caller.node().global_parameters().into_iter();
    let shown = parameters.map(|(name, value)| json!({"name": name, "value": value}));
    ok(caller.view.list(shown.collect())?)
}

async fn one_global(caller: Caller, Path(name): Path<String>) -> Reply {
    caller.must_be(Tag::Policymaker)?;
    let parameters = caller.node().global_parameters().into_iter();
    let found = parameters.into_iter().find(|(known, _)| *known == name);
    let (name, value) = found.ok_or_else(Fault::unknown)?;
    ok(caller.view.one(json!({"name": name, "value": value})))
}

async fn set_global(caller: Caller, Path(name): Path<String>, input: Input) -> Reply {
    caller.must_be(Tag::Policymaker)?;
    input.need(&["value"])?;
    let is_new = !caller.node().global_parameters().iter().any(|(known, _)| *known == name);
    let value = input.get("value").cloned().unwrap_or_default();
    caller.node().set_global_parameter(caller.user(), &name, value);
    put(is_new)
}

async fn clear_global(caller: Caller, Path(name): Path<String>) -> Reply {
    caller.must_be(Tag::Policymaker)?;
    caller.node().clear_global_parameter(caller.user(), &name)?;
    done()
}
