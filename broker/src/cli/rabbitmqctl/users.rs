//! Users and what they may do.

use serde_json::json;

use super::call::{Call, NO_USER, UNAVAILABLE, error, part};
use super::terms::quoted;
use crate::access::password::{Algorithm, PasswordHash, Secret};
use crate::cli::client::{Client, path};
use crate::cli::failure::{DATA, Done, Failure, SOFTWARE};
use crate::cli::passwords;

/// A word, or else what standard input says.
fn password(call: &Call, at: usize) -> Done<String> {
    call.words.get(at).cloned().map_or_else(passwords::ask, Ok)
}

pub fn add(call: &Call) -> Done {
    let (name, password) = (call.word(0), password(call, 1)?);
    call.banner(&format!("Adding user {} ...", quoted(name)))?;
    let client = call.client()?;
    if call.user(&client, name).is_ok() {
        return Err(error(SOFTWARE, format!("User \"{name}\" already exists")));
    }
    let key = if call.options.pre_hashed_password { "password_hash" } else { "password" };
    client.put(&path(&["users", name]), &json!({key: password, "tags": ""}))?;
    call.banner(
        "Done. Don't forget to grant the user permissions to some virtual hosts! See 'rabbitmqctl \
         help set_permissions' to learn more.",
    )
}

pub fn delete(call: &Call) -> Done {
    let name = call.word(0);
    call.banner(&format!("Deleting user {} ...", quoted(name)))?;
    let client = call.client()?;
    call.user(&client, name)?;
    client.delete(&path(&["users", name])).map(drop)
}

pub fn change_password(call: &Call) -> Done {
    let (name, password) = (call.word(0), password(call, 1)?);
    call.banner(&format!("Changing password for user {} ...", quoted(name)))?;
    let client = call.client()?;
    let user = call.user(&client, name)?;
    let body = json!({"password": password, "tags": user["tags"]});
    client.put(&path(&["users", name]), &body).map(drop)
}

pub fn clear_password(call: &Call) -> Done {
    let name = call.word(0);
    call.banner(&format!("Clearing password for user {} ...", quoted(name)))?;
    let client = call.client()?;
    let user = call.user(&client, name)?;
    let body = json!({"password_hash": "", "tags": user["tags"]});
    client.put(&path(&["users", name]), &body).map(drop)
}

pub fn authenticate(call: &Call) -> Done {
    let (name, password) = (call.word(0), password(call, 1)?);
    call.banner(&format!("Authenticating user {} ...", quoted(name)))?;
    match call.client()?.logs_in(name, &password)? {
        true => call.banner("Success"),
        false => Err(error(
            DATA,
            format!(
                "Error: failed to authenticate user \"{name}\"\nuser '{name}' - invalid credentials"
            ),
        )),
    }
}

pub fn set_tags(call: &Call) -> Done {
    let name = call.word(0);
    let tags = call.words.get(1..).unwrap_or_default();
    let shown = tags.join(", ");
    call.banner(&format!("Setting tags for user {} to [{shown}] ...", quoted(name)))?;
    let client = call.client()?;
    let user = call.user(&client, name)?;
    let body = json!({
        "tags": tags.join(","),
        "password_hash": user["password_hash"],
        "hashing_algorithm": user["hashing_algorithm"],
    });
    client.put(&path(&["users", name]), &body).map(drop)
}

pub fn hash_password(call: &Call) -> Done {
    let secret = Secret::from(password(call, 0)?);
    let hash = PasswordHash::new(Algorithm::default(), &secret).encode();
    call.answer(&hash, &json!({"result": "ok", "value": hash}))
}

pub fn set_permissions(call: &Call) -> Done {
    let (user, vhost) = (call.word(0), call.vhost());
    call.banner(&format!("Setting permissions for user \"{user}\" in vhost \"{vhost}\" ..."))?;
    let client = call.client()?;
    let body = json!({"configure": call.word(1), "write": call.word(2), "read": call.word(3)});
    let put = client.put(&path(&["permissions", vhost, user]), &body);
    put.map(drop).map_err(|failure| missing(call, &client, failure))
}

pub fn clear_permissions(call: &Call) -> Done {
    let (user, vhost) = (call.word(0), call.vhost());
    call.banner(&format!("Clearing permissions for user \"{user}\" in vhost \"{vhost}\" ..."))?;
    clear(call, "permissions")
}

pub fn set_topic_permissions(call: &Call) -> Done {
    let (user, exchange, vhost) = (call.word(0), call.word(1), call.vhost());
    call.banner(&format!(
        "Setting topic permissions on \"{exchange}\" for user \"{user}\" in vhost \"{vhost}\" ..."
    ))?;
    let client = call.client()?;
    let body = json!({"exchange": exchange, "write": call.word(2), "read": call.word(3)});
    let put = client.put(&path(&["topic-permissions", vhost, user]), &body);
    put.map(drop).map_err(|failure| missing(call, &client, failure))
}

pub fn clear_topic_permissions(call: &Call) -> Done {
    let (user, vhost) = (call.word(0), call.vhost());
    let on = call.words.get(1).map(|exchange| format!(" on \"{exchange}\"")).unwrap_or_default();
    call.banner(&format!(
        "Clearing topic permissions{on} for user \"{user}\" in vhost \"{vhost}\" ..."
    ))?;
    clear(call, "topic-permissions")
}

/// That there were none is no error, that there is no such user is one.
fn clear(call: &Call, kind: &str) -> Done {
    let client = call.client()?;
    let mut whole = vec![kind, call.vhost(), call.word(0)];
    whole.extend(call.words.get(1).map(String::as_str));
    match client.delete(&path(&whole)) {
        Err(failure) if failure.is_missing() => {
            client.get(&path(&["vhosts", call.vhost()])).map_err(|_| no_vhost(call.vhost()))?;
            let user = client.get(&path(&["users", call.word(0)]));
            user.map(drop).map_err(|_| no_user(call.word(0)))
        }
        done => done.map(drop),
    }
}

/// Which of the two is not there.
fn missing(call: &Call, client: &Client, failure: Failure) -> Failure {
    if failure.status.is_none() {
        return failure;
    }
    let is_there = |of: &[&str]| client.get(&path(of)).is_ok();
    match (is_there(&["vhosts", call.vhost()]), is_there(&["users", call.word(0)])) {
        (false, _) => no_vhost(call.vhost()),
        (true, false) => no_user(call.word(0)),
        (true, true) => error(UNAVAILABLE, part(&failure.body, "reason")),
    }
}

fn no_vhost(name: &str) -> Failure {
    error(UNAVAILABLE, format!("Virtual host {name} does not exist"))
}

fn no_user(name: &str) -> Failure {
    error(NO_USER, format!("User {name} does not exist"))
}
