//! Where requests are answered: connections from their beginning to their end, as many at a time as there
//! may be.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tower_http::timeout::TimeoutBody;

use super::incoming::{Peer, Stream};
use crate::config::management::{Patience, Service};
use crate::limits::{HTTP_CONNECTIONS_MAX, HTTP_HEAD_MAX};
use crate::node::Node;

/// Where connections come from.
pub(super) trait Accept: Send + 'static {
    /// The next one.
    fn accept(&mut self) -> impl Future<Output = (Box<dyn Stream>, Peer)> + Send;
}

/// What answers the requests of a service.
#[derive(Clone)]
pub(super) struct Desk {
    node: Arc<Node>,
    service: &'static Service,
    router: Router,
    /// Connections that there may be beside those that there are.
    places: Arc<Semaphore>,
}

impl Desk {
    pub fn new(node: Arc<Node>, service: &'static Service, router: Router) -> Self {
        let places = Arc::new(Semaphore::new(HTTP_CONNECTIONS_MAX));
        Self { node, service, router, places }
    }

    /// The same with as many connections more.
    pub fn with_places_of_its_own(&self) -> Self {
        Self::new(self.node.clone(), self.service, self.router.clone())
    }

    /// Serves those who come. While there are too many, others wait until one goes.
    pub async fn serve(self, mut from: impl Accept) {
        loop {
            let Some(place) = self.place().await else { return };
            let (stream, peer) = from.accept().await;
            let patience = (self.service.patience)(&self.node.config());
            let router = self.router.clone();
            tokio::spawn(async move {
                answer(stream, peer, router, patience).await;
                drop(place);
            });
        }
    }

    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        if self.places.available_permits() == 0 {
            let [protocol, _] = self.service.protocols;
            tracing::warn!(
                "{HTTP_CONNECTIONS_MAX} connections for {protocol} are open: others wait until some end"
            );
        }
        self.places.clone().acquire_owned().await.ok()
    }
}

/// Answers the requests of one connection, one after another.
async fn answer(stream: Box<dyn Stream>, peer: Peer, router: Router, patience: Patience) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(patience.pause));
    let service = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(|body| Body::new(TimeoutBody::new(patience.pause, body)));
        request.extensions_mut().insert(ConnectInfo(peer));
        service.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.request)
        .max_buf_size(HTTP_HEAD_MAX)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    // A connection that breaks is nobody's fault here.
    let _ = connection.await;
}
