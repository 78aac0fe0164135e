//! Which pages of other sites may ask, as far as browsers heed it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ALLOW,
    ORIGIN,
};
use axum::http::{HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;

use super::Admin;

/// Tells the browser what it may show to a page, and which methods there are.
pub(super) async fn tell(
    State(admin): State<Arc<Admin>>,
    request: Request,
    next: Next,
) -> Response {
    let origin = request.headers().get(ORIGIN).filter(|origin| is_allowed(&admin, origin)).cloned();
    let asks_for = request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let asks_first = request.method() == Method::OPTIONS;
    let mut response = next.run(request).await;
    let Some(origin) = origin else { return response };
    let methods = response.headers().get(ALLOW).cloned();
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    if asks_first {
        let max_age = admin.node.config().management.cors_max_age;
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(max_age));
        headers.extend(methods.map(|methods| (ACCESS_CONTROL_ALLOW_METHODS, methods)));
        headers.extend(asks_for.map(|names| (ACCESS_CONTROL_ALLOW_HEADERS, names)));
    }
    response
}

fn is_allowed(admin: &Admin, origin: &HeaderValue) -> bool {
    let config = admin.node.config();
    let allowed = &config.management.cors_origins;
    allowed.iter().any(|allowed| allowed == "*" || origin == allowed.as_str())
}
