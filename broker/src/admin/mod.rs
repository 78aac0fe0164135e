//! The HTTP API, as RabbitMQ's management plugin has it.

mod access_log;
mod asked;
mod auth;
mod changes;
mod cors;
mod error;
mod input;
mod openapi;
mod properties_key;
mod query;
mod routes;
mod samples;
mod settle;
mod table;
mod told;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, VARY};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{
    from_fn, from_fn_with_state, map_request_with_state, map_response_with_state,
};
use axum::response::{IntoResponse, Response};

use crate::config::Config;
use crate::config::management::{API, RatesMode};
use crate::http::{Listener, Local, Server};
use crate::node::Node;
use crate::reload::Running;
use crate::stats::sampler;
use access_log::AccessLog;
pub(crate) use auth::must_monitor;
use error::Fault;

/// Threads for all requests.
const THREADS: usize = 2;

/// What RabbitMQ says of scripts in its pages.
const SCRIPTS: &str = "script-src 'self' 'unsafe-eval' 'unsafe-inline'; object-src 'self'";

/// A port that the broker listens on.
#[derive(Clone, Debug)]
pub struct Port {
    /// RabbitMQ's name of the protocol.
    pub protocol: &'static str,
    /// Where it is.
    pub address: SocketAddr,
}

/// What requests are answered from.
struct Admin {
    node: Arc<Node>,
    ports: Vec<Port>,
    running: Arc<Running>,
    started: Instant,
}

/// Takes the ports of the HTTP API.
///
/// # Errors
/// One is taken, or not this machine's, or a certificate is not in order.
pub fn listen(config: &Config) -> Result<Vec<Listener>> {
    Listener::open_all(config, &API)
}

/// Answers requests from now on, of those who come by the `local` socket, too. `ports` are all that the
/// broker listens on.
///
/// # Errors
/// There can be no more threads, or requests cannot be written down.
pub fn start(
    node: Arc<Node>,
    (listeners, local): (Vec<Listener>, Option<&Local>),
    ports: Vec<Port>,
    running: Arc<Running>,
) -> Result<Server> {
    if node.config().management.rates_mode == RatesMode::Detailed {
        tracing::warn!("management.rates_mode: `detailed` counts as `basic` here");
    }
    let mut app =
        app(Arc::new(Admin { node: node.clone(), ports, running, started: Instant::now() }));
    if let Some(directory) = &node.config().management.http_log_dir {
        let log = Arc::new(AccessLog::open(directory)?);
        app = app.layer(from_fn_with_state(log, access_log::note));
    }
    let server = Server::start(("lepus-http", THREADS), &API, listeners, app, &node)?;
    if let Some(local) = local {
        server.add_local(local)?;
    }
    if node.config().management.rates_mode != RatesMode::None {
        server.spawn(sampler::sample(node));
    }
    Ok(server)
}

/// What answers requests, without a port.
pub fn in_process(node: Arc<Node>) -> Router {
    let settings = crate::config::load::Settings::default();
    let running = Arc::new(Running::new(settings, crate::logging::Log::default()));
    app(Arc::new(Admin { node, ports: Vec::new(), running, started: Instant::now() }))
}

fn app(admin: Arc<Admin>) -> Router {
    let routes = routes::all()
        .route_layer(from_fn(changes::note))
        .fallback(async || Fault::unknown())
        .method_not_allowed_fallback(other_method)
        .with_state(admin.clone());
    // The path is seen to before the routes are.
    Router::new()
        .fallback_service(routes)
        .layer(map_request_with_state(admin.clone(), normalize))
        .layer(from_fn_with_state(admin.clone(), cors::tell))
        .layer(from_fn_with_state(admin.clone(), settle::settle))
        .layer(map_response_with_state(admin, add_headers))
}

async fn other_method(method: Method) -> StatusCode {
    if method == Method::OPTIONS { StatusCode::OK } else { StatusCode::METHOD_NOT_ALLOWED }
}

/// Paths count without `management.path_prefix` and without a slash at their end.
async fn normalize(
    State(admin): State<Arc<Admin>>,
    mut request: Request,
) -> Result<Request, Response> {
    let config = admin.node.config();
    let prefix = config.management.path_prefix.trim_end_matches('/');
    let path = request.uri().path();
    let Some(path) = path.strip_prefix(prefix) else {
        return Err(Fault::unknown().into_response());
    };
    let path = match path.trim_end_matches('/') {
        "" => "/",
        path => path,
    };
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let uri = format!("{path}{query}").parse::<Uri>();
    *request.uri_mut() = uri.map_err(|_| Fault::unknown().into_response())?;
    Ok(request)
}

async fn add_headers(State(admin): State<Arc<Admin>>, mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding, origin"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(SCRIPTS));
    for (name, value) in &admin.node.config().management.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    response
}
