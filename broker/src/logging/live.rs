//! The log for whoever looks on while it is written.

use std::sync::{Arc, LazyLock};

use serde_json::Value;
use tokio::sync::broadcast::{Receiver, Sender};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::json;

/// Lines that wait for a listener who is slow; older ones are lost.
const BACKLOG: usize = 1024;

/// The log is the whole process's, and so are those who listen.
static LISTENERS: LazyLock<Sender<Arc<Line>>> = LazyLock::new(|| Sender::new(BACKLOG));

/// A line of the log.
#[derive(Debug)]
pub struct Line {
    /// How much it matters.
    pub level: Level,
    /// As the log has it in JSON.
    pub json: Value,
}

/// Tells of each line from now on.
pub fn listen() -> Receiver<Arc<Line>> {
    LISTENERS.subscribe()
}

/// Tells listeners of what is logged.
pub(super) struct Live;

impl<S: Subscriber> Layer<S> for Live {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if LISTENERS.receiver_count() > 0 {
            let line = Line { level: *event.metadata().level(), json: json::line(event) };
            // The last one may just have gone.
            let _ = LISTENERS.send(Arc::new(line));
        }
    }
}
