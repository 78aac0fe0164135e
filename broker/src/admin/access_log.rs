//! Requests as RabbitMQ writes them down with `management.http_log_dir`: a file an hour, a line for each,
//! in the usual form.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, REFERER, USER_AGENT};
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::Response;
use chrono::Utc;
use std::io::Write;
use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_appender::rolling::{RollingFileAppender, Rotation};

use super::auth;
use crate::http::Peer;

/// What the names of the files begin with; the hour follows.
const NAME: &str = "access.log";

/// Files that are kept: a week.
const FILES: usize = 7 * 24;

/// Where requests are written down.
pub(super) struct AccessLog {
    /// Lines that the disk is too slow for are dropped.
    file: NonBlocking,
    _writer: WorkerGuard,
}

impl AccessLog {
    /// Writes to this directory.
    ///
    /// # Errors
    /// It cannot be made, or written to.
    pub fn open(directory: &Path) -> Result<Self> {
        let files = RollingFileAppender::builder().rotation(Rotation::HOURLY);
        let files = files.filename_prefix(NAME).max_log_files(FILES).build(directory);
        let files = files.with_context(|| format!("cannot write to {}", directory.display()))?;
        let (file, writer) = tracing_appender::non_blocking(files);
        Ok(Self { file, _writer: writer })
    }
}

/// Writes a request down when it is answered.
pub(super) async fn note(
    State(log): State<Arc<AccessLog>>,
    ConnectInfo(Peer { address, .. }): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let login = headers.get(AUTHORIZATION).and_then(|login| auth::attempt(login.as_bytes()));
    let user = login.map(|attempt| attempt.user).filter(|user| !user.is_empty());
    let user = user.unwrap_or_else(|| "-".to_owned());
    let [referer, agent] = [REFERER, USER_AGENT].map(|name| text(headers, &name));
    let asked = format!("{} {} {:?}", request.method(), request.uri(), request.version());
    let response = next.run(request).await;
    let (time, status) = (Utc::now().format("%d/%b/%Y:%H:%M:%S %z"), response.status().as_u16());
    let octets = text(response.headers(), &CONTENT_LENGTH);
    let line = format!(
        "{} - {} [{time}] {} {status} {octets} {} {}\n",
        address.ip().to_canonical(),
        user.escape_default(),
        quoted(&asked),
        quoted(&referer),
        quoted(&agent),
    );
    // Nobody is told if it cannot be written.
    let _ = log.file.clone().write_all(line.as_bytes());
    response
}

fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    let value =
        headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    value.unwrap_or_else(|| "-".to_owned())
}

/// A line stays one.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.escape_debug())
}
