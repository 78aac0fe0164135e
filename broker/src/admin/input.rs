//! What a request's body says.

use std::sync::Arc;

use axum::body::{Bytes, to_bytes};
use axum::extract::{self, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tower_http::timeout::TimeoutError;

use super::Admin;
use super::error::Fault;

/// What stands in a path in place of names.
pub(super) struct Path<T>(pub T);

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let found = extract::Path::from_request_parts(parts, state).await;
        let extract::Path(found) = found.map_err(|why| Fault::bad_request(why.body_text()))?;
        Ok(Self(found))
    }
}

/// A body as it came.
pub(super) struct Raw(pub Bytes);

impl FromRequest<Arc<Admin>> for Raw {
    type Rejection = Fault;

    async fn from_request(request: Request, admin: &Arc<Admin>) -> Result<Self, Fault> {
        let most = admin.node.config().management.max_body_size;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let body = to_bytes(request.into_body(), most).await;
        Ok(Self(body.map_err(|error| unread(&error))?))
    }
}

/// A body that cannot be read to its end.
fn unread(error: &(dyn std::error::Error + 'static)) -> Fault {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    match causes.any(|error| error.is::<TimeoutError>()) {
        true => Fault::too_slow("The body of the request does not come"),
        false => Fault::bad_request("Exceeded HTTP request body size limit"),
    }
}

/// A body that is an object. None at all is an empty one.
pub(super) struct Input(Map<String, Value>);

impl FromRequest<Arc<Admin>> for Input {
    type Rejection = Fault;

    async fn from_request(request: Request, admin: &Arc<Admin>) -> Result<Self, Fault> {
        Self::parse(&Raw::from_request(request, admin).await?.0)
    }
}

impl Input {
    fn parse(body: &[u8]) -> Result<Self, Fault> {
        if matches!(body.trim_ascii(), b"" | b"null" | b"undefined") {
            return Ok(Self(Map::new()));
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(Value::String(_)) => Err(Fault::bad_request(
                "invalid payload: the request body JSON-decoded to a string. Is the input \
                 doubly-JSON-encoded?",
            )),
            _ => Err(Fault::bad_request("not_json")),
        }
    }

    /// The value of a key; `null` counts as one that is not there.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// Refuses bodies without these keys.
    pub fn need(&self, keys: &[&str]) -> Result<(), Fault> {
        let missing = keys.iter().filter(|key| !self.0.contains_key(**key));
        let missing: Vec<_> = missing.map(|key| format!("{{key_missing,{key}}}")).collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(Fault::bad_request(format!("[{}]", missing.join(",")))),
        }
    }

    /// A text; "" if it is not there.
    pub fn text(&self, key: &str) -> Result<&str, Fault> {
        match self.get(key) {
            None => Ok(""),
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(Fault::bad_request(json!(["not_a_string", key, other]))),
        }
    }

    /// A truth value, which may be a text; `false` if it is not there.
    pub fn flag(&self, key: &str) -> Result<bool, Fault> {
        match self.get(key) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) if text == "true" => Ok(true),
            Some(Value::String(text)) if text == "false" => Ok(false),
            Some(other) => Err(Fault::bad_request(json!(["not_boolean", other]))),
        }
    }

    /// An integer, which may be a text.
    pub fn integer(&self, key: &str) -> Result<Option<i64>, Fault> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let integer = value.as_i64().or_else(|| value.as_str()?.parse().ok());
        integer.map(Some).ok_or_else(|| Fault::bad_request(json!(["not_integer", value])))
    }

    /// An object; an empty one if it is not there. RabbitMQ takes `[]` for one, too.
    pub fn object(&self, key: &str) -> Result<Map<String, Value>, Fault> {
        match self.get(key) {
            None => Ok(Map::new()),
            Some(Value::Object(fields)) => Ok(fields.clone()),
            Some(Value::Array(values)) if values.is_empty() => Ok(Map::new()),
            Some(other) => Err(Fault::bad_request(json!(["not_an_object", key, other]))),
        }
    }

    /// A list of texts, or one text with commas between them; `None` if it is not there.
    pub fn list(&self, key: &str) -> Result<Option<Vec<String>>, Fault> {
        let trimmed = |text: &str| text.trim().to_owned();
        let mut texts: Vec<String> = match self.get(key) {
            None => return Ok(None),
            Some(Value::String(text)) => text.split(',').map(trimmed).collect(),
            Some(Value::Array(values)) => {
                let texts = values.iter().map(|value| value.as_str().map(trimmed));
                let texts = texts.collect::<Option<Vec<_>>>();
                texts.ok_or_else(|| Fault::bad_request(json!(["not_a_list_of_strings", key])))?
            }
            Some(_) => return Err(Fault::bad_request(json!(["not_a_list_of_strings", key]))),
        };
        texts.retain(|text| !text.is_empty());
        Ok(Some(texts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Input {
        Input::parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn nothing_is_an_empty_object_and_what_is_none_is_refused() {
        for body in ["", " ", "null", "undefined", "{}"] {
            assert!(parse(body).0.is_empty());
        }
        for body in ["[]", "1", "{", "notjson", "\"{}\""] {
            assert!(Input::parse(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn values_may_be_written_in_more_than_one_way() {
        let input = parse(r#"{"t":"true","f":false,"n":"5","s":"a, b","l":["a","b"],"e":[]}"#);
        assert_eq!(
            (input.flag("t"), input.flag("f"), input.flag("x")),
            (Ok(true), Ok(false), Ok(false))
        );
        assert_eq!((input.integer("n"), input.integer("x")), (Ok(Some(5)), Ok(None)));
        assert_eq!(input.list("s"), input.list("l"));
        assert_eq!(input.object("e"), Ok(Map::new()));
        assert!(
            input.flag("n").is_err() && input.integer("s").is_err() && input.text("l").is_err()
        );
    }

    #[test]
    fn keys_that_are_missing_are_told_together() {
        let fault = parse(r#"{"configure":""}"#).need(&["configure", "write", "read"]);
        let told = "[{key_missing,write},{key_missing,read}]";
        assert_eq!(fault, Err(Fault::bad_request(told)));
    }
}
