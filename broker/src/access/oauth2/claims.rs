//! What a token claims.

use serde_json::{Map, Value};

use super::{Settings, texts};

/// Claims by name.
pub struct Claims(pub Map<String, Value>);

impl Claims {
    /// A time, seconds since 1970.
    ///
    /// # Errors
    /// There is something else in its place.
    pub fn time(&self, name: &str) -> Result<Option<u64>, String> {
        let seconds = |value: &Value| {
            let whole =
                value.as_f64().filter(|seconds| *seconds >= 0.0).map(|seconds| seconds as u64);
            whole.ok_or_else(|| format!("the claim '{name}' is no time"))
        };
        self.0.get(name).map(seconds).transpose()
    }

    /// The words of a text, or a list of texts.
    pub fn words(&self, name: &str) -> Vec<String> {
        self.0.get(name).map(texts).unwrap_or_default()
    }

    /// The user: of the claims that are preferred, then of the usual ones.
    pub fn user(&self, preferred: &[String]) -> Option<String> {
        let preferred = preferred.iter().map(String::as_str);
        let mut names = preferred.chain(["sub", "client_id"]);
        let text = |name| self.0.get(name)?.as_str().filter(|user: &&str| !user.is_empty());
        names.find_map(text).map(str::to_owned)
    }

    /// The scopes that are meant for this broker, without its prefix.
    pub fn scopes(&self, settings: &Settings) -> Vec<String> {
        let server = settings.resource_server_id.as_deref().unwrap_or_default();
        let mut all = Vec::new();
        for key in &settings.additional_scopes_keys {
            all.extend(self.0.get(key).map(|value| additional(value, server)).unwrap_or_default());
        }
        all.extend(self.keycloak());
        all.extend(self.words("scope"));
        let aliases =
            |scope: &String| settings.scope_aliases.get(scope).cloned().unwrap_or_default();
        let meant: Vec<String> = all.iter().flat_map(aliases).collect();
        all.extend(meant);
        let of_server = (!server.is_empty()).then(|| format!("{server}."));
        match settings.scope_prefix.clone().or(of_server) {
            Some(prefix) if !prefix.is_empty() => {
                let own = all.iter().filter_map(|scope| scope.strip_prefix(&prefix));
                own.map(str::to_owned).collect()
            }
            _ => all,
        }
    }

    /// Keycloak's permissions.
    fn keycloak(&self) -> Vec<String> {
        let permissions = self.0.get("authorization").and_then(|claim| claim.get("permissions"));
        let permissions = permissions.and_then(Value::as_array);
        let scopes = permissions.into_iter().flatten().filter_map(|one| one.get("scopes"));
        let list = |scopes: &Value| match scopes {
            Value::String(scope) => vec![scope.clone()],
            scopes => texts(scopes),
        };
        scopes.flat_map(list).collect()
    }
}

/// Further scopes: as usual, or by resource server and then without its name.
fn additional(value: &Value, server: &str) -> Vec<String> {
    let Value::Object(by_server) = value else { return texts(value) };
    let own = by_server.get(server).map(texts).unwrap_or_default();
    own.into_iter().map(|scope| format!("{server}.{scope}")).collect()
}
