//! What happens, as it happens: server-sent events.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tracing::Level;

use crate::admin::auth::{Caller, Tag};
use crate::admin::error::Fault;
use crate::admin::routes::{Reply, Routes};
use crate::admin::table::get;
use crate::events::Event as Happened;
use crate::json_table::to_json;
use crate::logging::live::{self, Line};

pub(super) fn routes() -> Routes {
    Routes::new().route("/api/x/events", get(events)).route("/api/x/logs", get(logs))
}

/// What the exchange `amq.rabbitmq.event` would be told; the name of an event is its routing key.
async fn events(caller: Caller) -> Reply {
    caller.must_be(Tag::Monitoring)?;
    let wanted = |name: &str| caller.view.get(name).map(str::to_owned);
    let (vhost, key) = (wanted("vhost"), wanted("event"));
    let told =
        follow(caller.node().events().listen()).filter_map(move |told: Next<Arc<Happened>>| {
            let event = match told {
                Next::Lost(count) => Some(lost(count)),
                Next::Is(told) => {
                    let headers = to_json(told.headers());
                    let is_wanted = vhost
                        .as_ref()
                        .is_none_or(|vhost| headers.get("vhost").is_some_and(|of| *of == **vhost))
                        && key.as_ref().is_none_or(|key| told.key().starts_with(key.as_str()));
                    let data = || json!(headers).to_string();
                    is_wanted.then(|| Event::default().event(told.key()).data(data()))
                }
            };
            ready(event)
        });
    Ok(answer(told))
}

/// Lines of the log.
async fn logs(caller: Caller) -> Reply {
    caller.must_be(Tag::Administrator)?;
    let most = match caller.view.get("level") {
        None | Some("info") => Level::INFO,
        Some("warning") => Level::WARN,
        Some("error") => Level::ERROR,
        Some(_) => return Err(Fault::bad_request("level is error, warning or info")),
    };
    let lines = follow(live::listen()).filter_map(move |line: Next<Arc<Line>>| {
        let event = match line {
            Next::Lost(count) => Some(lost(count)),
            Next::Is(line) => (line.level <= most)
                .then(|| Event::default().event("line").data(line.json.to_string())),
        };
        ready(event)
    });
    Ok(answer(lines))
}

/// What comes next: something, or the number of things that were too many for who listens.
enum Next<T> {
    Is(T),
    Lost(u64),
}

fn follow<T: Clone>(receiver: Receiver<T>) -> impl Stream<Item = Next<T>> {
    stream::unfold(receiver, async |mut receiver| match receiver.recv().await {
        Ok(value) => Some((Next::Is(value), receiver)),
        Err(RecvError::Lagged(count)) => Some((Next::Lost(count), receiver)),
        Err(RecvError::Closed) => None,
    })
}

fn lost(count: u64) -> Event {
    Event::default().event("lost").data(json!({"count": count}).to_string())
}

fn answer(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    Sse::new(events.map(Ok::<_, Infallible>)).keep_alive(KeepAlive::default()).into_response()
}
