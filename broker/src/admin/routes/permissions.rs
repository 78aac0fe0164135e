//! What users may do in virtual hosts.

use serde_json::{Value, json};

use super::{Reply, Routes, deleted, ok, put};
use crate::access::{Permission, SetError, TopicPermission};
use crate::admin::auth::{Caller, Tag};
use crate::admin::error::Fault;
use crate::admin::input::{Input, Path};
use crate::admin::table::{delete, get};

pub(super) fn routes() -> Routes {
    let one_of_them = get(one).shows("Permission").put(set).delete(clear);
    let topic = get(one_topic).lists("TopicPermission").put(set_topic).delete(clear_topics);
    Routes::new()
        .route("/api/permissions", get(all).lists("Permission"))
        .route("/api/permissions/{vhost}/{user}", one_of_them)
        .route("/api/users/{user}/permissions", get(of_user).lists("Permission"))
        .route("/api/vhosts/{vhost}/permissions", get(of_vhost).lists("Permission"))
        .route("/api/topic-permissions", get(all_topics).lists("TopicPermission"))
        .route("/api/topic-permissions/{vhost}/{user}", topic)
        .route("/api/topic-permissions/{vhost}/{user}/{exchange}", delete(clear_topic))
        .route("/api/users/{user}/topic-permissions", get(topics_of_user).lists("TopicPermission"))
        .route(
            "/api/vhosts/{vhost}/topic-permissions",
            get(topics_of_vhost).lists("TopicPermission"),
        )
}

async fn all(caller: Caller) -> Reply {
    ok(caller.view.list(permissions(&caller, |_| true)?)?)
}

async fn of_user(caller: Caller, Path(user): Path<String>) -> Reply {
    check_user(&caller, &user)?;
    ok(caller.view.list(permissions(&caller, |permission| permission.user == user)?)?)
}

async fn of_vhost(caller: Caller, Path(vhost): Path<String>) -> Reply {
    check_vhost(&caller, &vhost)?;
    ok(caller.view.list(permissions(&caller, |permission| permission.vhost == vhost)?)?)
}

async fn one(caller: Caller, Path((vhost, user)): Path<(String, String)>) -> Reply {
    let wanted = |found: &Permission| found.vhost == vhost && found.user == user;
    let found = permissions(&caller, wanted)?.pop();
    ok(caller.view.one(found.ok_or_else(Fault::unknown)?))
}

fn permissions(caller: &Caller, wanted: impl Fn(&Permission) -> bool) -> Result<Vec<Value>, Fault> {
    caller.must_be(Tag::Administrator)?;
    let permissions = caller.node().access().permissions().into_iter();
    Ok(permissions.filter(wanted).map(|permission| json!(permission)).collect())
}

fn check_user(caller: &Caller, user: &str) -> Result<(), Fault> {
    caller.must_be(Tag::Administrator)?;
    caller.node().access().user(user).map(drop).ok_or_else(Fault::unknown)
}

fn check_vhost(caller: &Caller, vhost: &str) -> Result<(), Fault> {
    caller.must_be(Tag::Administrator)?;
    caller.node().vhost(vhost).map(drop).ok_or_else(Fault::unknown)
}

async fn set(caller: Caller, Path((vhost, user)): Path<(String, String)>, input: Input) -> Reply {
    caller.must_be(Tag::Administrator)?;
    input.need(&["configure", "write", "read"])?;
    let text = |key| input.text(key).map(str::to_owned);
    let (configure, write, read) = (text("configure")?, text("write")?, text("read")?);
    let (node, access) = (caller.node(), caller.node().access());
    let known = access.permissions();
    let is_new = !known.iter().any(|known| known.vhost == vhost && known.user == user);
    let permission = Permission { user, vhost, configure, write, read };
    access.set_permission(caller.user(), node, permission)?;
    put(is_new)
}

async fn clear(caller: Caller, Path((vhost, user)): Path<(String, String)>) -> Reply {
    caller.must_be(Tag::Administrator)?;
    let access = caller.node().access();
    deleted(access.clear_permission(caller.user(), caller.node(), &user, &vhost))
}

async fn all_topics(caller: Caller) -> Reply {
    ok(caller.view.list(topics(&caller, |_| true)?)?)
}

async fn topics_of_user(caller: Caller, Path(user): Path<String>) -> Reply {
    check_user(&caller, &user)?;
    ok(caller.view.list(topics(&caller, |topic| topic.user == user)?)?)
}

async fn topics_of_vhost(caller: Caller, Path(vhost): Path<String>) -> Reply {
    check_vhost(&caller, &vhost)?;
    ok(caller.view.list(topics(&caller, |topic| topic.vhost == vhost)?)?)
}

/// A list, as there may be one for each exchange.
async fn one_topic(caller: Caller, Path((vhost, user)): Path<(String, String)>) -> Reply {
    let found = topics(&caller, |topic| topic.vhost == vhost && topic.user == user)?;
    if found.is_empty() {
        return Err(Fault::unknown());
    }
    ok(caller.view.list(found)?)
}

fn topics(caller: &Caller, wanted: impl Fn(&TopicPermission) -> bool) -> Result<Vec<Value>, Fault> {
    caller.must_be(Tag::Administrator)?;
    let topics = caller.node().access().topic_permissions().into_iter();
    Ok(topics.filter(wanted).map(|topic| json!(topic)).collect())
}

async fn set_topic(
    caller: Caller,
    Path((vhost, user)): Path<(String, String)>,
    input: Input,
) -> Reply {
    caller.must_be(Tag::Administrator)?;
    input.need(&["exchange", "write", "read"])?;
    let text = |key| input.text(key).map(str::to_owned);
    let (exchange, write, read) = (text("exchange")?, text("write")?, text("read")?);
    let (node, access) = (caller.node(), caller.node().access());
    let known = access.topic_permissions();
    let is_new = !known.iter().any(|known| known.vhost == vhost && known.user == user);
    let topic = TopicPermission { user, vhost, exchange, write, read };
    access.set_topic_permission(caller.user(), node, topic)?;
    put(is_new)
}

async fn clear_topics(caller: Caller, Path((vhost, user)): Path<(String, String)>) -> Reply {
    clear_of(&caller, &vhost, &user, None)
}

async fn clear_topic(
    caller: Caller,
    Path((vhost, user, exchange)): Path<(String, String, String)>,
) -> Reply {
    clear_of(&caller, &vhost, &user, Some(&exchange))
}

fn clear_of(caller: &Caller, vhost: &str, user: &str, exchange: Option<&str>) -> Reply {
    caller.must_be(Tag::Administrator)?;
    let (node, access) = (caller.node(), caller.node().access());
    deleted(access.clear_topic_permissions(caller.user(), node, (user, vhost), exchange))
}

impl From<SetError> for Fault {
    fn from(error: SetError) -> Self {
        match error {
            SetError::NoSuchUser(_) | SetError::NoSuchVhost(_) => {
                Self::bad_request("vhost_or_user_not_found")
            }
            SetError::Password(why) => Self::bad_request(why),
            SetError::InvalidPattern(pattern, why) => {
                Self::bad_request(json!(["invalid_regexp", pattern, why]))
            }
        }
    }
}
