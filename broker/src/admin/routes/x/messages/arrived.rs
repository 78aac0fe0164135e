//! Messages that have come since somebody looked.

use serde_json::json;
use tokio::task::spawn_blocking;

use super::place::{Found, Standing};
use super::{Owner, Wanted, show, unreadable};
use crate::admin::auth::Caller;
use crate::admin::error::Fault;
use crate::admin::routes::Reply;
use crate::admin::routes::x::ok;
use crate::queue::Queue;
use crate::queue::state::Seq;

/// What somebody says who has not looked yet.
const NOW: &str = "now";

/// Shows what has come since the end of an answer before, and where that is now.
pub(super) async fn since(caller: Caller, owner: Owner, text: &str, wanted: Wanted) -> Reply {
    if wanted.standing != Standing::Ready || wanted.after.is_some() {
        return Err(Fault::bad_request("since is for ready messages, and without after"));
    }
    let (seen, queue, truncate) =
        (parse(text, &owner.queue)?, owner.queue.clone(), wanted.truncate);
    let looked =
        spawn_blocking(move || queue.came_after(&seen, wanted.size).map(|it| (it, wanted)));
    let looked = looked.await.map_err(|_| Fault::unavailable("interrupted"))?;
    let ((entries, end), wanted) = looked.map_err(unreadable)?;
    let mut found: Vec<Found> = entries.into_iter().map(Found::Ready).collect();
    found.retain(|one| wanted.search.as_ref().is_none_or(|search| search.finds(one.message())));
    owner.queue.as_handed_out(found.iter_mut().filter_map(Found::ready));
    let items = show::all(&caller, found, truncate).await;
    ok(json!({"items": items, "end": written(&end)}))
}

/// Where somebody stands: a position of each priority.
fn parse(text: &str, queue: &Queue) -> Result<Vec<Seq>, Fault> {
    if text == NOW {
        return Ok(queue.ends());
    }
    let wrong = |_| Fault::bad_request("since is neither `now` nor the end of an answer");
    text.split('.').map(|position| position.parse().map_err(wrong)).collect()
}

fn written(end: &[Seq]) -> String {
    if end.is_empty() {
        // Nothing has ever come.
        return "0".to_owned();
    }
    end.iter().map(ToString::to_string).collect::<Vec<_>>().join(".")
}
