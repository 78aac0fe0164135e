//! Long answers, which take what others leave of the machine: whoever asks for a short one meanwhile, or
//! whether the broker lives, does not wait for them.

use std::io;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use super::Metrics;

/// By how much messages, and short answers, go before them.
const NICE: i32 = 13;

/// Pieces of an answer that wait to be sent.
const PIECES: usize = 1;

/// A thread of its own for them.
pub(super) fn start() -> Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).thread_name("lepus-rows").enable_all();
    // On Linux it is about the thread that asks for it. Where it is refused all goes on as before.
    builder.on_thread_start(|| _ = rustix::process::nice(NICE));
    builder.build().context("cannot start the thread for long metrics")
}

/// Has a request answered there.
pub(super) async fn answer(
    State(metrics): State<Arc<Metrics>>,
    request: Request,
    next: Next,
) -> Response {
    let Ok(answer) = metrics.aside.spawn(next.run(request)).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let (parts, body) = answer.into_parts();
    let (sender, receiver) = mpsc::channel(PIECES);
    drop(metrics.aside.spawn(async move {
        let mut pieces = body.into_data_stream();
        while let Some(piece) = pieces.next().await {
            // Who has asked may be gone.
            if sender.send(piece.map_err(io::Error::other)).await.is_err() {
                return;
            }
        }
    }));
    let pieces = stream::unfold(receiver, async |mut receiver| {
        receiver.recv().await.map(|piece| (piece, receiver))
    });
    Response::from_parts(parts, Body::from_stream(pieces))
}
