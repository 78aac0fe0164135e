//! Users.

use serde_json::{Value, json};

use super::{Reply, Routes, deleted, done, ok, put};
use crate::access::User;
use crate::access::password::{Algorithm, PasswordHash, Secret};
use crate::admin::auth::{Caller, Tag};
use crate::admin::error::Fault;
use crate::admin::input::{Input, Path};
use crate::admin::table::{get, post};
use crate::names;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/api/users", get(all).lists("User"))
        .route("/api/users/without-permissions", get(without_permissions).lists("User"))
        .route("/api/users/bulk-delete", post(delete_many))
        .route("/api/users/{user}", get(one).shows("User").put(set).delete(delete_one))
}

async fn all(caller: Caller) -> Reply {
    caller.must_be(Tag::Administrator)?;
    let users = caller.node().access().users();
    ok(caller.view.list(users.iter().map(|user| show(user)).collect())?)
}

async fn without_permissions(caller: Caller) -> Reply {
    caller.must_be(Tag::Administrator)?;
    let access = caller.node().access();
    let permissions = access.permissions();
    let mut users = access.users();
    users.retain(|user| !permissions.iter().any(|permission| permission.user == user.name));
    ok(caller.view.list(users.iter().map(|user| show(user)).collect())?)
}

async fn one(caller: Caller, Path(name): Path<String>) -> Reply {
    // Everybody may look at oneself.
    if name != caller.user() {
        caller.must_be(Tag::Administrator)?;
    }
    let user = caller.node().access().user(&name).ok_or_else(Fault::unknown)?;
    ok(caller.view.one(show(&user)))
}

fn show(user: &User) -> Value {
    let password = user.password.as_ref();
    json!({
        "name": user.name,
        "password_hash": password.map(PasswordHash::encode).unwrap_or_default(),
        "hashing_algorithm": password.map(|hash| hash.algorithm).unwrap_or_default().name(),
        "tags": user.tags,
        "limits": json!(user.limits),
    })
}

async fn set(caller: Caller, Path(name): Path<String>, input: Input) -> Reply {
    caller.must_be(Tag::Administrator)?;
    let tags = input.list("tags")?.ok_or_else(|| Fault::bad_request("tags_not_present"))?;
    names::check("user", &name).map_err(Fault::bad_request)?;
    let password = password(&caller, &input)?;
    let access = caller.node().access();
    let former = access.user(&name);
    let limits = former.as_ref().map(|user| user.limits).unwrap_or_default();
    let is_new = former.is_none();
    access.put_user(caller.user(), caller.node(), User { name, password, tags, limits });
    put(is_new)
}

/// The password that a body gives a user: none, if it says nothing of one.
fn password(caller: &Caller, input: &Input) -> Result<Option<PasswordHash>, Fault> {
    let (password, hash) = (input.get("password"), input.get("password_hash"));
    match (password, hash) {
        (Some(_), Some(_)) => {
            Err(Fault::bad_request("both_password_and_password_hash_are_provided"))
        }
        (Some(_), None) => {
            let password = input.text("password")?;
            let hashing = caller.node().config().password_hashing;
            let secret = validated(caller, password)?;
            Ok((!password.is_empty()).then(|| PasswordHash::new(hashing, &secret)))
        }
        (None, Some(_)) => match input.text("password_hash")? {
            "" => Ok(None),
            hash => decode(hash, input.text("hashing_algorithm")?).map(Some),
        },
        (None, None) => validated(caller, "").map(|_| None),
    }
}

/// A password that `credential_validator` allows. None at all counts as an empty one, as in RabbitMQ.
fn validated(caller: &Caller, password: &str) -> Result<Secret, Fault> {
    let password = Secret::from(password);
    let checked = caller.node().config().auth.validator.check(&password);
    checked.map(|()| password).map_err(|why| {
        tracing::warn!("Credential validation failed: {why}");
        Fault::bad_request("credential_validation_failed")
    })
}

fn decode(hash: &str, algorithm: &str) -> Result<PasswordHash, Fault> {
    let algorithm = match algorithm {
        "" => Algorithm::default(),
        name => Algorithm::parse(name)
            .ok_or_else(|| Fault::bad_request(json!(["unknown_hashing_algorithm", name])))?,
    };
    PasswordHash::decode(algorithm, hash)
        .map_err(|_| Fault::bad_request(json!(["not_base64", hash])))
}

async fn delete_one(caller: Caller, Path(name): Path<String>) -> Reply {
    caller.must_be(Tag::Administrator)?;
    deleted(caller.node().access().delete_user(caller.user(), caller.node(), &name))
}

/// All of them or none.
async fn delete_many(caller: Caller, input: Input) -> Reply {
    caller.must_be(Tag::Administrator)?;
    input.need(&["users"])?;
    let names = input.list("users")?.unwrap_or_default();
    let access = caller.node().access();
    if let Some(name) = names.iter().find(|name| access.user(name).is_none()) {
        return Err(Fault::bad_request(json!(["no_such_user", name])));
    }
    for name in &names {
        access.delete_user(caller.user(), caller.node(), name);
    }
    done()
}
