//! Policies, of users and of operators.

use serde_json::{Value, json};

use super::{Reply, Routes, deleted, ok, put};
use crate::admin::auth::{Caller, Tag};
use crate::admin::error::Fault;
use crate::admin::input::{Input, Path};
use crate::admin::table::get;
use crate::policy::{Kind, Policy, PolicySpec};
use crate::vhost::Vhost;

pub(super) fn routes() -> Routes {
    of_kind("/api/policies", Kind::User).merge(of_kind("/api/operator-policies", Kind::Operator))
}

fn of_kind(path: &str, kind: Kind) -> Routes {
    let list_all = get(async move |caller: Caller| all(&caller, kind));
    let of_vhost = get(async move |caller: Caller, Path(vhost): Path<String>| {
        caller.must_be(Tag::Policymaker)?;
        let policies = list(&*caller.vhost(&vhost)?, kind);
        ok(caller.view.list(policies)?)
    });
    let named = get(async move |caller: Caller, Path((vhost, name)): Path<(String, String)>| {
        one(&caller, kind, &vhost, &name)
    });
    let named = named.shows("Policy").put(
        async move |caller: Caller, Path((vhost, name)): Path<(String, String)>, input: Input| {
            set(&caller, kind, &vhost, name, &input)
        },
    );
    let named =
        named.delete(async move |caller: Caller, Path((vhost, name)): Path<(String, String)>| {
            clear(&caller, kind, &vhost, &name)
        });
    Routes::new()
        .route(path, list_all.lists("Policy"))
        .route(&format!("{path}/{{vhost}}"), of_vhost.lists("Policy"))
        .route(&format!("{path}/{{vhost}}/{{name}}"), named)
}

fn all(caller: &Caller, kind: Kind) -> Reply {
    caller.must_be(Tag::Policymaker)?;
    let policies = caller.vhosts().iter().flat_map(|vhost| list(vhost, kind)).collect();
    ok(caller.view.list(policies)?)
}

fn one(caller: &Caller, kind: Kind, vhost: &str, name: &str) -> Reply {
    caller.must_be(Tag::Policymaker)?;
    let vhost = caller.vhost(vhost)?;
    let policies = vhost.policies(kind);
    let found = policies.iter().find(|policy| policy.name == name).ok_or_else(Fault::unknown)?;
    ok(caller.view.one(show(&vhost, found)))
}

fn list(vhost: &Vhost, kind: Kind) -> Vec<Value> {
    let mut policies = vhost.policies(kind);
    policies.sort_by(|a, b| a.name.cmp(&b.name));
    policies.iter().map(|policy| show(vhost, policy)).collect()
}

fn show(vhost: &Vhost, policy: &Policy) -> Value {
    json!({
        "vhost": vhost.name.to_string(),
        "name": policy.name,
        "pattern": policy.pattern,
        "apply-to": policy.apply_to.name(),
        "definition": json!(policy.definition),
        "priority": policy.priority,
    })
}

/// Policies of operators are for administrators to change, unless nobody may.
fn changeable(caller: &Caller, kind: Kind) -> Result<(), Fault> {
    match kind {
        Kind::User => caller.must_be(Tag::Policymaker),
        Kind::Operator => {
            caller.must_be(Tag::Administrator)?;
            match caller.node().config().management.operator_policies_locked {
                true => Err(Fault::not_authorised("Operator policy changes are disabled")),
                false => Ok(()),
            }
        }
    }
}

fn set(caller: &Caller, kind: Kind, vhost: &str, name: String, input: &Input) -> Reply {
    changeable(caller, kind)?;
    let vhost = caller.vhost_to_change(vhost)?;
    input.need(&["pattern", "definition"])?;
    let spec = PolicySpec {
        name: name.clone(),
        pattern: input.text("pattern")?.to_owned(),
        apply_to: input.text("apply-to")?.to_owned(),
        priority: input.integer("priority")?.unwrap_or(0),
        definition: input.get("definition").cloned().unwrap_or_default(),
    };
    let is_new = !vhost.policies(kind).iter().any(|policy| policy.name == name);
    let set = vhost.set_policy(caller.user(), caller.node(), kind, spec);
    set.map_err(Fault::bad_request)?;
    put(is_new)
}

fn clear(caller: &Caller, kind: Kind, vhost: &str, name: &str) -> Reply {
    changeable(caller, kind)?;
    let vhost = caller.vhost(vhost)?;
    deleted(vhost.clear_policy(caller.user(), caller.node(), kind, name))
}
