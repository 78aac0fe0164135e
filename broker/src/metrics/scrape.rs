//! What is answered to whom asks for metrics.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, RawQuery, Request, State};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::{StreamExt, stream};
use tokio::task::{block_in_place, yield_now};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;

use super::node::PARTS;
use super::pace::Pace;
use super::page::Page;
use super::rows::{Column, Pieces, rows};
use super::{Metrics, aside, connections, exchanges, global, node, own, process, queues};
use crate::admin::must_monitor;
use crate::http::Peer;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

type Metric = State<Arc<Metrics>>;

pub(super) fn routes(metrics: &Arc<Metrics>) -> Router<Arc<Metrics>> {
    let config = metrics.node.config();
    let path = format!("/{}", config.prometheus.path.trim_matches('/'));
    let at = |name: &str| format!("{}/{name}", path.trim_end_matches('/'));
    let compress = CompressionLayer::new().quality(CompressionLevel::Fastest);
    let long = Router::new()
        .route(&at("per-object"), get(per_object))
        .route(&at("detailed"), get(detailed));
    let (long, short) = match config.prometheus.per_object {
        true => (long.route(&path, get(per_object)), Router::new()),
        false => (long, Router::new().route(&path, get(aggregated))),
    };
    // They are compressed there, too.
    let long =
        long.layer(compress.clone()).layer(from_fn_with_state(metrics.clone(), aside::answer));
    short.layer(compress).merge(long).layer(from_fn_with_state(metrics.clone(), let_in))
}

/// Anybody may ask, unless `prometheus.authentication.enabled` says otherwise.
async fn let_in(
    State(metrics): Metric,
    ConnectInfo(Peer { address: peer, .. }): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let asks = metrics.node.config().prometheus.authentication;
    let login = request.headers().get(AUTHORIZATION);
    if asks && let Err(refused) = must_monitor(&metrics.node, login, peer.ip()).await {
        return refused;
    }
    next.run(request).await
}

/// Sums.
async fn aggregated(State(metrics): Metric) -> Response {
    let mut page = own_page(&metrics, "aggregated");
    let together = queues::all_together(&metrics.node);
    for column in queues::COLUMNS.iter().filter(|column| queues::is_summed(column.group)) {
        let value = (column.of)(&together);
        if !value.is_nan() {
            page.gauge(column.name, column.help, value);
        }
    }
    global::channels(&mut page, &metrics);
    global::octets(&mut page, &metrics);
    (([(CONTENT_TYPE, TEXT)]), page.finish()).into_response()
}

/// Everything that is not about one object.
fn own_page(metrics: &Metrics, endpoint: &str) -> Page {
    let mut page = Page::new("");
    process::start_time(&mut page, metrics);
    node::alarms(&mut page, metrics);
    node::identity(&mut page, metrics, endpoint);
    page.set_prefix("rabbitmq_");
    for (_, write) in PARTS {
        write(&mut page, metrics);
    }
    own::persister(&mut page, metrics);
    node::objects(&mut page, metrics);
    global::write(&mut page, metrics);
    page.set_prefix("lepus_");
    own::write(&mut page, metrics);
    page.set_prefix("rabbitmq_");
    page
}

/// Rows instead of sums.
async fn per_object(State(metrics): Metric, headers: HeaderMap) -> Response {
    let pace = Pace::new(&metrics.broker, &headers);
    let page = own_page(&metrics, "per-object");
    let all = &|_: &str| true;
    let rows = all_rows(&metrics, "rabbitmq_", all, all).await;
    streamed(page.finish(), rows, pace)
}

/// The groups of families, and of the virtual hosts, that are asked for.
async fn detailed(
    State(metrics): Metric,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let pace = Pace::new(&metrics.broker, &headers);
    let query = query.unwrap_or_default();
    let asked = |key: &str| -> BTreeSet<String> {
        let pairs = form_urlencoded::parse(query.as_bytes());
        pairs.filter(|(name, _)| name == key).map(|(_, value)| value.into_owned()).collect()
    };
    let (families, vhosts) = (asked("family"), asked("vhost"));
    let mut page = Page::new("rabbitmq_detailed_");
    for (_, write) in PARTS.iter().filter(|(name, _)| families.contains(*name)) {
        write(&mut page, &metrics);
    }
    if families.contains("node_persister_metrics") {
        own::persister(&mut page, &metrics);
    }
    page.set_prefix("rabbitmq_cluster_");
    if families.contains("vhost_status") {
        node::vhosts(&mut page, &metrics);
    }
    let of_vhost = |name: &str| vhosts.is_empty() || vhosts.contains(name);
    let of_family = |name: &str| families.contains(name);
    let rows = all_rows(&metrics, "rabbitmq_detailed_", &of_family, &of_vhost).await;
    streamed(page.finish(), rows, pace)
}

/// The rows of all objects: of these groups of families, and these virtual hosts.
async fn all_rows(
    metrics: &Metrics,
    prefix: &'static str,
    of_family: &(dyn Fn(&str) -> bool + Sync),
    of_vhost: &(dyn Fn(&str) -> bool + Sync),
) -> Vec<Pieces> {
    let node = &metrics.node;
    let mut all = Vec::new();
    let wanted = chosen(&queues::COLUMNS, of_family);
    if !wanted.is_empty() {
        let mut vhosts = node.vhosts();
        vhosts.retain(|vhost| of_vhost(&vhost.name));
        // Declarations wait for it, so it is not for a thread that lets others go first.
        let found = metrics.broker.spawn(async move { block_in_place(|| queues::of(&vhosts)) });
        all.push(rows(prefix, wanted, found.await.unwrap_or_default()));
    }
    let wanted = chosen(&exchanges::COLUMNS, of_family);
    if !wanted.is_empty() {
        all.push(rows(prefix, wanted, exchanges::of(node, of_vhost)));
    }
    let connections = connections::of(node, of_vhost);
    let wanted = chosen(&connections::CHANNELS, of_family);
    if !wanted.is_empty() {
        let channels = connections::channels(node, &connections).await;
        all.push(rows(prefix, wanted, channels));
    }
    all.push(rows(prefix, chosen(&connections::CONNECTIONS, of_family), connections));
    all
}

fn chosen<N>(
    columns: &'static [Column<N>],
    of_family: &dyn Fn(&str) -> bool,
) -> Vec<&'static Column<N>> {
    columns.iter().filter(|column| of_family(column.group)).collect()
}

/// An answer that is made while it is sent.
fn streamed(first: String, rows: Vec<Pieces>, pace: Pace) -> Response {
    let all: usize = rows.iter().map(|pieces| pieces.size_hint().0).sum();
    let pieces = std::iter::once(first).chain(rows.into_iter().flatten());
    let pieces = pieces.enumerate().map(move |(at, piece)| (at as f64 / all.max(1) as f64, piece));
    let body = stream::unfold((pieces, pace), async |(mut pieces, mut pace)| {
        loop {
            // Others' turn.
            yield_now().await;
            let (done, piece) = pace.work(|| pieces.next())?;
            pace.keep(done).await;
            if !piece.is_empty() {
                return Some((Ok::<_, Infallible>(piece), (pieces, pace)));
            }
        }
    });
    // What compresses it may ask again at its end.
    ([(CONTENT_TYPE, TEXT)], Body::from_stream(body.fuse())).into_response()
}
