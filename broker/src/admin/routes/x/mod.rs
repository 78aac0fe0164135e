//! What there is under `/api/x`: Lepus's own.

mod messages;

use super::{Reply, Routes, channels, exchange_name, messages as plain_messages, ok};

pub(super) fn routes() -> Routes {
    messages::routes()
}
