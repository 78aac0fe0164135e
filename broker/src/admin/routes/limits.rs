//! How much virtual hosts and users may have.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Reply, Routes, done, ok};
use crate::access::{User, UserLimits};
use crate::admin::auth::{Caller, Tag};
use crate::admin::error::Fault;
use crate::admin::input::{Input, Path};
use crate::admin::table::{get, put};
use crate::parameters::ParameterId;
use crate::vhost::Vhost;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/api/vhost-limits", get(of_vhosts).lists("Limits"))
        .route("/api/vhost-limits/{vhost}", get(of_vhost).lists("Limits"))
        .route("/api/vhost-limits/{vhost}/{limit}", put(limit_vhost).delete(free_vhost))
        .route("/api/user-limits", get(of_users).lists("Limits"))
        .route("/api/user-limits/{user}", get(of_user).lists("Limits"))
        .route("/api/user-limits/{user}/{limit}", put(limit_user).delete(free_user))
}

async fn of_vhosts(caller: Caller) -> Reply {
    ok(caller.view.list(list(&caller, &caller.vhosts()))?)
}

async fn of_vhost(caller: Caller, Path(vhost): Path<String>) -> Reply {
    let vhost = caller.vhost(&vhost)?;
    ok(caller.view.list(list(&caller, &[vhost]))?)
}

fn list(caller: &Caller, vhosts: &[Arc<Vhost>]) -> Vec<Value> {
    let shown = vhosts.iter().filter_map(|vhost| {
        let limits = caller.node().vhost_limits(&vhost.name)?;
        (!limits.is_empty())
            .then(|| json!({"vhost": vhost.name.to_string(), "value": Value::Object(limits)}))
    });
    shown.collect()
}

async fn limit_vhost(
    caller: Caller,
    Path((vhost, limit)): Path<(String, String)>,
    input: Input,
) -> Reply {
    let value = wanted(&caller, &input)?;
    change_vhost(&caller, &vhost, |limits| drop(limits.insert(limit, value.into())))
}

async fn free_vhost(caller: Caller, Path((vhost, limit)): Path<(String, String)>) -> Reply {
    caller.must_be(Tag::Administrator)?;
    change_vhost(&caller, &vhost, |limits| drop(limits.remove(&limit)))
}

fn change_vhost(
    caller: &Caller,
    vhost: &str,
    change: impl FnOnce(&mut Map<String, Value>),
) -> Reply {
    let node = caller.node();
    let mut limits = node.vhost_limits(vhost).unwrap_or_default();
    change(&mut limits);
    let id = ParameterId::limits(vhost);
    node.set_parameter(caller.user(), &id, Value::Object(limits))?;
    done()
}

/// The limit that an administrator wants.
fn wanted(caller: &Caller, input: &Input) -> Result<i64, Fault> {
    caller.must_be(Tag::Administrator)?;
    input.need(&["value"])?;
    let value = input.integer("value")?;
    value.ok_or_else(|| Fault::bad_request("[{key_missing,value}]"))
}

async fn of_users(caller: Caller) -> Reply {
    caller.must_be(Tag::Administrator)?;
    let users = caller.node().access().users();
    ok(caller.view.list(users.iter().filter_map(|user| limits_of(user)).collect())?)
}

async fn of_user(caller: Caller, Path(name): Path<String>) -> Reply {
    caller.must_be(Tag::Administrator)?;
    let user = caller.node().access().user(&name).ok_or_else(Fault::unknown)?;
    ok(caller.view.list(limits_of(&user).into_iter().collect())?)
}

fn limits_of(user: &User) -> Option<Value> {
    (user.limits != UserLimits::default())
        .then(|| json!({"user": user.name, "value": json!(user.limits)}))
}

async fn limit_user(
    caller: Caller,
    Path((user, limit)): Path<(String, String)>,
    input: Input,
) -> Reply {
    let value = wanted(&caller, &input)?;
    // Negative: any number.
    change_user(&caller, &user, &limit, u64::try_from(value).ok())
}

async fn free_user(caller: Caller, Path((user, limit)): Path<(String, String)>) -> Reply {
    caller.must_be(Tag::Administrator)?;
    change_user(&caller, &user, &limit, None)
}

fn change_user(caller: &Caller, name: &str, limit: &str, value: Option<u64>) -> Reply {
    let (node, access) = (caller.node(), caller.node().access());
    let mut user = (*access.user(name).ok_or_else(Fault::unknown)?).clone();
    match limit {
        "max-connections" => user.limits.max_connections = value,
        "max-channels" => user.limits.max_channels = value,
        _ => return Err(Fault::bad_request(format!("Unknown limit '{limit}'"))),
    }
    access.put_user(caller.user(), node, user);
    done()
}
