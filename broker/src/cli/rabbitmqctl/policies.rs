//! Policies, parameters and limits.

use serde_json::{Value, json};

use super::call::{Call, Formatter, UNAVAILABLE, error, part};
use super::listings;
use super::terms::quoted;
use crate::cli::client::path;
use crate::cli::failure::{DATA, Done, Failure};
use crate::cli::table::{find, rows};

/// JSON of a word.
fn document(text: &str) -> Done<Value> {
    serde_json::from_str(text)
        .map_err(|why| error(UNAVAILABLE, format!("JSON decoding error. Reason: {why}")))
}

pub fn set(call: &Call) -> Done {
    put(call, "policies", "policy")
}

pub fn set_operator(call: &Call) -> Done {
    put(call, "operator-policies", "operator policy override")
}

fn put(call: &Call, kind: &str, what: &str) -> Done {
    let (name, pattern, definition, vhost) =
        (call.word(0), call.word(1), call.word(2), call.vhost());
    let priority = call.options.priority.as_deref().unwrap_or("0");
    call.banner(&format!(
        "Setting {what} \"{name}\" for pattern \"{pattern}\" to \"{definition}\" with priority \
         \"{priority}\" for vhost \"{vhost}\" ..."
    ))?;
    let number: i64 = priority
        .parse()
        .map_err(|_| error(UNAVAILABLE, format!("the priority {priority} is no number")))?;
    let body = json!({
        "pattern": pattern, "definition": document(definition)?, "priority": number,
        "apply-to": call.options.apply_to.as_deref().unwrap_or("all"),
    });
    let put = call.client()?.put(&path(&[kind, vhost, name]), &body);
    put.map(drop).map_err(|failure| no_vhost(call, failure))
}

fn no_vhost(call: &Call, failure: Failure) -> Failure {
    match failure.is_missing() {
        true => Failure::new(DATA, format!("Virtual host '{}' does not exist", call.vhost())),
        false => failure,
    }
}

pub fn clear(call: &Call) -> Done {
    let (name, vhost) = (call.word(0), call.vhost());
    call.banner(&format!("Clearing policy \"{name}\" on vhost \"{vhost}\" ..."))?;
    remove(call, &["policies", vhost, name])
}

pub fn clear_operator(call: &Call) -> Done {
    let (name, vhost) = (call.word(0), call.vhost());
    call.banner(&format!("Clearing operator policy \"{name}\" on vhost \"{vhost}\" ..."))?;
    remove(call, &["operator-policies", vhost, name])
}

fn remove(call: &Call, of: &[&str]) -> Done {
    match call.client()?.delete(&path(of)) {
        Err(failure) if failure.is_missing() => Err(error(UNAVAILABLE, "Parameter does not exist")),
        done => done.map(drop),
    }
}

pub fn set_parameter(call: &Call) -> Done {
    let (component, name, value, vhost) = (call.word(0), call.word(1), call.word(2), call.vhost());
    call.banner(&format!(
        "Setting runtime parameter \"{name}\" for component \"{component}\" to \"{value}\" in vhost \
         \"{vhost}\" ..."
    ))?;
    let body = json!({"value": document(value)?});
    call.client()?.put(&path(&["parameters", component, vhost, name]), &body).map(drop)
}

pub fn clear_parameter(call: &Call) -> Done {
    let (component, name, vhost) = (call.word(0), call.word(1), call.vhost());
    call.banner(&format!(
        "Clearing runtime parameter \"{name}\" for component \"{component}\" on vhost \"{vhost}\" ..."
    ))?;
    remove(call, &["parameters", component, vhost, name])
}

pub fn set_global(call: &Call) -> Done {
    let (name, value) = (call.word(0), call.word(1));
    call.banner(&format!("Setting global runtime parameter \"{name}\" to \"{value}\" ..."))?;
    let body = json!({"value": document(value)?});
    call.client()?.put(&path(&["global-parameters", name]), &body).map(drop)
}

pub fn clear_global(call: &Call) -> Done {
    let name = call.word(0);
    call.banner(&format!("Clearing global runtime parameter \"{name}\" ..."))?;
    remove(call, &["global-parameters", name])
}

pub fn set_vhost_limits(call: &Call) -> Done {
    let (definition, vhost) = (call.word(0), call.vhost());
    call.banner(&format!("Setting vhost limits to \"{definition}\" for vhost \"{vhost}\" ..."))?;
    let body = json!({"value": document(definition)?});
    let limits = path(&["parameters", "vhost-limits", vhost, "limits"]);
    let put = call.client()?.put(&limits, &body);
    put.map(drop).map_err(|failure| no_vhost(call, failure))
}

pub fn clear_vhost_limits(call: &Call) -> Done {
    let vhost = call.vhost();
    call.banner(&format!("Clearing vhost \"{vhost}\" limits ..."))?;
    remove(call, &["parameters", "vhost-limits", vhost, "limits"])
}

pub fn list_vhost_limits(call: &Call) -> Done {
    let client = call.client()?;
    if call.options.global {
        call.banner("Listing limits for all vhosts ...")?;
        let all = rows(&client.get(&path(&["vhost-limits"]))?);
        let row =
            |of: &Value| vec![find(of, "vhost").clone(), find(of, "value").to_string().into()];
        return listings::write(
            call,
            &["vhost", "limits"],
            &all.iter().map(row).collect::<Vec<_>>(),
        );
    }
    call.banner(&format!("Listing limits for vhost \"{}\" ...", call.vhost()))?;
    let all = rows(&client.get(&path(&["vhost-limits", call.vhost()]))?);
    one(call, &all, "")
}

pub fn set_user_limits(call: &Call) -> Done {
    let (user, definition) = (call.word(0), call.word(1));
    call.banner(&format!("Setting user limits to \"{definition}\" for user \"{user}\" ..."))?;
    let client = call.client()?;
    client.get(&path(&["users", user])).map_err(|failure| no_user(failure, user))?;
    let limits = document(definition)?;
    let limits = limits.as_object().cloned().unwrap_or_default();
    limits.into_iter().try_for_each(|(limit, value)| {
        client.put(&path(&["user-limits", user, &limit]), &json!({"value": value})).map(drop)
    })
}

pub fn clear_user_limits(call: &Call) -> Done {
    let (user, limit) = (call.word(0), call.word(1));
    let banner = match limit {
        "all" => format!("Clearing all limits for user \"{user}\" ..."),
        limit => format!("Clearing \"{limit}\" limit for user \"{user}\" ..."),
    };
    call.banner(&banner)?;
    let client = call.client()?;
    client.get(&path(&["users", user])).map_err(|failure| no_user(failure, user))?;
    let limits = match limit {
        "all" => vec!["max-connections", "max-channels"],
        limit => vec![limit],
    };
    limits
        .into_iter()
        .try_for_each(|limit| client.delete(&path(&["user-limits", user, limit])).map(drop))
}

pub fn list_user_limits(call: &Call) -> Done {
    let client = call.client()?;
    if call.options.global {
        call.banner("Listing limits for all users ...")?;
        let all = rows(&client.get(&path(&["user-limits"]))?);
        let row = |of: &Value| vec![find(of, "user").clone(), find(of, "value").to_string().into()];
        return listings::write(
            call,
            &["user", "limits"],
            &all.iter().map(row).collect::<Vec<_>>(),
        );
    }
    let user = call.options.user.as_deref().unwrap_or("guest");
    call.banner(&format!("Listing limits for user \"{user}\" ..."))?;
    let all =
        client.get(&path(&["user-limits", user])).map_err(|failure| no_user(failure, user))?;
    one(call, &rows(&all), "{}")
}

fn no_user(failure: Failure, user: &str) -> Failure {
    match failure.is_missing() {
        true => error(UNAVAILABLE, format!("{{:no_such_user, {}}}", quoted(user))),
        false => failure,
    }
}

/// The limits of one, or what stands for none.
fn one(call: &Call, all: &[Value], none: &str) -> Done {
    let limits = all.first().map(|of| part(of, "value"));
    match (limits, call.formatter) {
        (Some(limits), _) => call.print(&limits),
        (None, Formatter::Json) => call.print("{}"),
        (None, _) => call.print(none),
    }
}
