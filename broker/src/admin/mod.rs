//! The HTTP API, as RabbitMQ's management plugin has it.
//!
//! It has threads of its own, so that nobody's messages wait for a long list.

mod auth;
mod error;
mod input;
mod properties_key;
mod query;
mod routes;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, VARY};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state, map_request_with_state, map_response_with_state};
use axum::response::{IntoResponse, Response};
use tokio::runtime::{Builder, Runtime};

use crate::config::Config;
use crate::node::Node;
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
    started: Instant,
}

/// Takes the port of the HTTP API.
///
/// # Errors
/// It is taken, or not this machine's.
pub fn listen(config: &Config) -> Result<TcpListener> {
    let management = &config.management;
    if management.tls_port.is_some() {
        tracing::warn!("management.ssl.*: there is no HTTP API over TLS yet");
    }
    let ip = management.ip.or(config.listeners.bind).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let address = SocketAddr::new(ip, management.port);
    let listener = TcpListener::bind(address);
    let listener = listener.with_context(|| format!("cannot listen on {address} for HTTP"))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The HTTP API at work.
pub struct Server(Runtime);

impl Server {
    /// Answers requests from now on. `ports` are all that the broker listens on.
    ///
    /// # Errors
    /// There can be no more threads.
    pub fn start(node: Arc<Node>, listener: TcpListener, ports: Vec<Port>) -> Result<Self> {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(THREADS).thread_name("lepus-http").enable_all();
        let runtime = runtime.build().context("cannot start the threads of the HTTP API")?;
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let app = app(Arc::new(Admin { node, ports, started: Instant::now() }));
        let service = app.into_make_service_with_connect_info::<SocketAddr>();
        // It ends with its runtime only.
        drop(runtime.spawn(async move { axum::serve(listener, service).await }));
        Ok(Self(runtime))
    }

    /// Answers nobody any more.
    pub fn stop(self) {
        self.0.shutdown_background();
    }
}

fn app(admin: Arc<Admin>) -> Router {
    let routes = routes::all()
        .fallback(async || Fault::unknown())
        .method_not_allowed_fallback(other_method)
        .with_state(admin.clone());
    // The path is seen to before the routes are.
    Router::new()
        .fallback_service(routes)
        .layer(map_request_with_state(admin.clone(), normalize))
        .layer(from_fn_with_state(admin.clone(), settle))
        .layer(map_response_with_state(admin, add_headers))
}

/// What has been done is told once it would survive a crash.
async fn settle(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    let changes = !request.method().is_safe();
    let response = next.run(request).await;
    if changes && !admin.node.declared().settled().await {
        return Fault::unavailable("The broker cannot write to its disk").into_response();
    }
    response
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
