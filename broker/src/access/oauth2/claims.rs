//! What a token claims.

use serde_json::{Map, Value};

use super::servers::Server;
use super::{details, scopes, texts};
use crate::config::oauth2::ScopeSyntax;

/// Where Keycloak has its permissions.
const KEYCLOAK: &str = "authorization.permissions.scopes";

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
    pub fn scopes(&self, server: &Server) -> Vec<String> {
        let mut all = Vec::new();
        for key in server.additional_scopes_keys.iter().map(String::as_str).chain([KEYCLOAK]) {
            let found = self.at(key);
            all.extend(found.into_iter().flat_map(|value| additional(value, &server.id)));
        }
        all.extend(self.words("scope"));
        let aliases = |scope: &String| server.scope_aliases.get(scope).cloned().unwrap_or_default();
        let meant: Vec<String> = all.iter().flat_map(aliases).collect();
        all.extend(meant);
        let requests = self.0.get("authorization_details");
        all.extend(requests.into_iter().flat_map(|claim| details::scopes(claim, server)));
        let own = all.iter().filter_map(|scope| scope.strip_prefix(&server.scope_prefix));
        own.map(|scope| self.filled(scope, server.scope_syntax)).collect()
    }

    /// The values of a claim, or within claims: those of `a.b` are the `b` of `a`, or of each of its
    /// elements.
    fn at(&self, path: &str) -> Vec<&Value> {
        if let Some(value) = self.0.get(path) {
            return vec![value];
        }
        let Some((name, rest)) = path.split_once('.') else { return Vec::new() };
        let mut found: Vec<&Value> = self.0.get(name).into_iter().collect();
        for name in rest.split('.') {
            let elements = found.into_iter().flat_map(|value| match value {
                Value::Array(values) => values.as_slice(),
                value => std::slice::from_ref(value),
            });
            found = elements.filter_map(|value| value.get(name)).collect();
        }
        found
    }

    /// A scope with what its variables stand for, but for the virtual host's: `{sub}` is the claim of
    /// that name, or its own name if there is none. Nothing in a claim is special there.
    fn filled(&self, scope: &str, syntax: ScopeSyntax) -> String {
        scopes::fill(scope, syntax, |name| match (self.0.get(name), syntax) {
            _ if name == scopes::VHOST => None,
            (Some(Value::String(claim)), _) => Some(claim),
            (_, ScopeSyntax::Wildcard) => Some(name),
            // It may say how often something comes.
            (_, ScopeSyntax::Regex) => None,
        })
    }
}

/// Further scopes: as usual, or by resource server and then without its name.
fn additional(value: &Value, server: &str) -> Vec<String> {
    let Value::Object(by_server) = value else { return texts(value) };
    let own = by_server.get(server).map(texts).unwrap_or_default();
    own.into_iter().map(|scope| format!("{server}.{scope}")).collect()
}
