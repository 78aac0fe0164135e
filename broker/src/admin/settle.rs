//! What a request has changed is told once it would survive a crash, or what is known of it by then.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use super::Admin;
use super::error::Fault;
use crate::declared::Declared;

/// How long the disk may take. Well below the minute or so that clients and proxies wait.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The change stays while the broker runs.
const FAILED: &str =
    "The change is made, but the broker cannot write to its disk any more: it is lost at a restart";

/// The change stays while the broker runs, and the disk may still get it.
const LATE: &str = "The change is made, but the disk takes longer than usual: whether it outlives a crash is not known yet";

/// Answers when what has been done would survive a crash. A request that was refused has done nothing.
pub(super) async fn settle(
    State(admin): State<Arc<Admin>>,
    request: Request,
    next: Next,
) -> Response {
    let changes = !request.method().is_safe();
    let response = next.run(request).await;
    if !changes || !response.status().is_success() {
        return response;
    }
    match settled(admin.node.declared(), PATIENCE).await {
        Ok(()) => response,
        Err(fault) => fault.into_response(),
    }
}

async fn settled(declared: &Declared, patience: Duration) -> Result<(), Fault> {
    match timeout(patience, declared.settled()).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Fault::unavailable(FAILED)),
        Err(_) => Err(Fault::unavailable(LATE)),
    }
}

#[cfg(test)]
mod tests {
    use lepus_storage::{Catalog, CatalogSteps, MemoryStore, Meta, StoreConfig};

    use super::*;

    fn changed() -> (Declared, CatalogSteps) {
        let (catalog, steps) = Catalog::stepped(Meta::default(), None);
        let declared = Declared::new(catalog, 0, Arc::default());
        let store = MemoryStore::new(&StoreConfig::new(""));
        declared.change(&store, vec![("key".into(), Some("value".into()))]);
        (declared, steps)
    }

    #[tokio::test]
    async fn a_change_is_told_as_what_it_is() {
        let patience = Duration::from_millis(1);
        let (declared, mut steps) = changed();
        assert_eq!(settled(&declared, patience).await, Err(Fault::unavailable(LATE)));
        assert!(steps.step());
        assert_eq!(settled(&declared, patience).await, Ok(()));
        let (declared, mut steps) = changed();
        steps.fail();
        assert_eq!(settled(&declared, PATIENCE).await, Err(Fault::unavailable(FAILED)));
    }
}
