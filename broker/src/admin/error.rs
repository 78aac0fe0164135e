//! Why a request is not done: a status, and a body in RabbitMQ's form.

use axum::Json;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use lepus_protocol::reply::ReplyCode;
use serde_json::{Value, json};

use crate::error::Refusal;
use crate::node::VhostError;
use crate::parameters::ParameterError;

/// Who is asked for a password is told what it is for.
const REALM: &str = "Basic realm=\"RabbitMQ Management\"";

/// Why a request is not done.
#[derive(Debug, PartialEq)]
pub(super) struct Fault {
    status: StatusCode,
    /// `None`: without a body.
    body: Option<(&'static str, Value)>,
    /// The password may be another one.
    challenge: bool,
}

impl Fault {
    fn new(status: StatusCode, error: &'static str, reason: impl Into<Value>) -> Self {
        Self { status, body: Some((error, reason.into())), challenge: false }
    }

    /// 404: there is no such route or object.
    pub fn unknown() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Object Not Found", "Not Found")
    }

    /// 404: something that the request names is not there.
    pub fn not_found(reason: impl Into<Value>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", reason)
    }

    /// 400.
    pub fn bad_request(reason: impl Into<Value>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", reason)
    }

    /// 400, with an error of its own.
    pub fn invalid(error: &'static str, reason: impl Into<Value>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, reason)
    }

    /// 408: it takes too long to come.
    pub fn too_slow(reason: &str) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", reason)
    }

    /// 503: it cannot be done now.
    pub fn unavailable(reason: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable", reason)
    }

    /// 401: the user must not.
    pub fn not_authorised(reason: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "not_authorised", reason)
    }

    /// 401: the login failed.
    pub fn login_failed() -> Self {
        let failed = Self::new(StatusCode::UNAUTHORIZED, "not_authorized", "Login failed");
        Self { challenge: true, ..failed }
    }

    /// 401: nobody has said who it is.
    pub fn no_login() -> Self {
        Self { status: StatusCode::UNAUTHORIZED, body: None, challenge: true }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let Self { status, body, challenge } = self;
        let body = body.map(|(error, reason)| Json(json!({"error": error, "reason": reason})));
        let mut response = match body {
            Some(body) => (status, body).into_response(),
            None => status.into_response(),
        };
        if challenge {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(REALM));
        }
        response
    }
}

/// What AMQP would close a channel for.
impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        match refusal.code {
            ReplyCode::NotFound => Self::not_found(refusal.text),
            ReplyCode::AccessRefused | ReplyCode::NotAllowed => {
                Self::not_authorised("Access refused.")
            }
            _ => Self::bad_request(refusal.text),
        }
    }
}

impl From<VhostError> for Fault {
    fn from(error: VhostError) -> Self {
        match error {
            VhostError::Missing(_) => Self::unknown(),
            VhostError::Protected(_) => {
                let status = StatusCode::PRECONDITION_FAILED;
                Self::new(status, "precondition_failed", error.to_string())
            }
            other => Self::bad_request(other.to_string()),
        }
    }
}

impl From<ParameterError> for Fault {
    fn from(error: ParameterError) -> Self {
        match error {
            ParameterError::NoVhost(_) | ParameterError::Missing => Self::unknown(),
            ParameterError::Invalid(why) => Self::bad_request(why),
        }
    }
}
