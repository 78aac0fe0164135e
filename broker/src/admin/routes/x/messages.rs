//! Messages looked at without a change, moved, sent back to where they died, deleted, and run before their
//! time.

mod arrived;
mod deed;
mod history;
mod order;
mod place;
mod search;
mod show;

use std::sync::Arc;
use std::time::{Duration, Instant};

use lepus_storage::StoreError;
use serde_json::json;
use tokio::task::spawn_blocking;

use super::{Reply, Routes, exchange_name, ok};
use crate::access::{Kind, Resource};
use crate::admin::auth::Caller;
use crate::admin::error::Fault;
use crate::admin::input::{Input, Path};
use crate::admin::query::View;
use crate::admin::table::{get, post};
use crate::queue::Queue;
use crate::vhost::Vhost;
use deed::Deed;
use place::{At, Cursor, Found, Standing};
use search::Search;

/// Messages that are looked at at once.
const PIECE: usize = 1000;
/// How long a request looks for messages before it answers with what there is.
const LOOK_FOR: Duration = Duration::from_secs(3);
/// Messages of a page, if nothing is said.
const PAGE: usize = 100;
/// Messages that a page may have.
const PAGE_MAX: usize = 500;
/// A page ends when its payloads have so many octets.
const PAGE_OCTETS: usize = 16 << 20;

pub(super) fn routes() -> Routes {
    const QUEUE: &str = "/api/x/queues/{vhost}/{queue}/messages";
    const EXCHANGE: &str = "/api/x/exchanges/{vhost}/{exchange}/messages";
    let routes = Routes::new()
        .route(QUEUE, get(browse_queue).shows("Messages"))
        .route(EXCHANGE, get(browse_exchange).shows("Messages"))
        .route(&format!("{QUEUE}/move"), post(move_messages).shows("Done"))
        .route(&format!("{QUEUE}/retry"), post(retry).shows("Done"));
    let deeds = [("delete", Deed::Delete), ("run", Deed::Run)];
    deeds.into_iter().fold(routes, |routes, (name, deed)| {
        let (of_queue, of_exchange) = (deed.clone(), deed);
        routes
            .route(
                &format!("{QUEUE}/{name}"),
                post(
                    async move |caller: Caller,
                                Path((vhost, queue)): Path<(String, String)>,
                                input| {
                        let owner = Owner::queue(&caller, &vhost, &queue, Kind::Read)?;
                        order::carry_out(caller, owner, of_queue, &input).await
                    },
                )
                .shows("Done"),
            )
            .route(
                &format!("{EXCHANGE}/{name}"),
                post(
                    async move |caller: Caller,
                                Path((vhost, exchange)): Path<(String, String)>,
                                input| {
                        let owner = Owner::exchange(&caller, &vhost, &exchange, Kind::Configure)?;
                        order::carry_out(caller, owner, of_exchange, &input).await
                    },
                )
                .shows("Done"),
            )
    })
}

/// Whose messages they are.
struct Owner {
    vhost: Arc<Vhost>,
    queue: Arc<Queue>,
    /// What is shown if nothing is said.
    usual: Standing,
}

impl Owner {
    fn queue(caller: &Caller, vhost: &str, name: &str, kind: Kind) -> Result<Self, Fault> {
        let vhost = caller.vhost(vhost)?;
        let queue = vhost.read(|topology| topology.queue(name, 0)).map_err(missing)?;
        caller.permit(&vhost.name, Resource::Queue(name), kind)?;
        Ok(Self { vhost, queue, usual: Standing::Ready })
    }

    /// What a delayed exchange holds back.
    fn exchange(caller: &Caller, vhost: &str, name: &str, kind: Kind) -> Result<Self, Fault> {
        let (vhost, name) = (caller.vhost(vhost)?, exchange_name(name));
        vhost.read(|topology| topology.exchange(name).map(drop)).map_err(missing)?;
        caller.permit(&vhost.name, Resource::Exchange(name), kind)?;
        let queue = vhost.read(|topology| topology.held_back(name));
        let queue =
            queue.ok_or_else(|| Fault::bad_request("the exchange holds no messages back"))?;
        Ok(Self { vhost, queue, usual: Standing::Scheduled })
    }

    fn standing(&self, given: &str) -> Result<Standing, Fault> {
        let standing = Standing::parse(given, self.usual)?;
        match (self.usual, standing) {
            (Standing::Scheduled, Standing::Ready | Standing::Unacked) => {
                Err(Fault::bad_request("the messages of an exchange are scheduled"))
            }
            _ => Ok(standing),
        }
    }
}

/// Why a queue or an exchange cannot be used.
fn missing(refusal: crate::error::Refusal) -> Fault {
    match refusal.code {
        lepus_protocol::reply::ReplyCode::NotFound => Fault::unknown(),
        _ => super::plain_messages::closed(refusal),
    }
}

async fn browse_queue(caller: Caller, Path((vhost, queue)): Path<(String, String)>) -> Reply {
    let owner = Owner::queue(&caller, &vhost, &queue, Kind::Read)?;
    browse(caller, owner).await
}

async fn browse_exchange(caller: Caller, Path((vhost, exchange)): Path<(String, String)>) -> Reply {
    let owner = Owner::exchange(&caller, &vhost, &exchange, Kind::Read)?;
    browse(caller, owner).await
}

async fn browse(caller: Caller, owner: Owner) -> Reply {
    let wanted = Wanted::parse(&caller.view, &owner)?;
    if let Some(since) = caller.view.get("since").map(str::to_owned) {
        return arrived::since(caller, owner, &since, wanted).await;
    }
    let truncate = wanted.truncate;
    let queue = owner.queue.clone();
    let page = spawn_blocking(move || wanted.find(&queue)).await;
    let page = page.map_err(|_| Fault::unavailable("interrupted"))?;
    let (mut found, next) = page.map_err(unreadable)?;
    owner.queue.as_handed_out(found.iter_mut().filter_map(Found::ready));
    let items = show::all(&caller, found, truncate).await;
    ok(json!({"items": items, "next": next.map(|at| Cursor { at, passed: 0 }.to_string())}))
}

async fn move_messages(
    caller: Caller,
    Path((vhost, queue)): Path<(String, String)>,
    input: Input,
) -> Reply {
    let owner = Owner::queue(&caller, &vhost, &queue, Kind::Read)?;
    let deed = Deed::to_move(&caller, &owner, &input)?;
    order::carry_out(caller, owner, deed, &input).await
}

async fn retry(
    caller: Caller,
    Path((vhost, queue)): Path<(String, String)>,
    input: Input,
) -> Reply {
    let owner = Owner::queue(&caller, &vhost, &queue, Kind::Read)?;
    let deed = Deed::to_retry(&caller, &owner, &input)?;
    order::carry_out(caller, owner, deed, &input).await
}

fn unreadable(error: StoreError) -> Fault {
    Fault::unavailable(&format!("the messages cannot be read: {error}"))
}

/// What a page is to have.
struct Wanted {
    standing: Standing,
    after: Option<At>,
    size: usize,
    search: Option<Search>,
    truncate: Option<usize>,
}

impl Wanted {
    fn parse(view: &View, owner: &Owner) -> Result<Self, Fault> {
        let standing = owner.standing(view.get("state").unwrap_or_default())?;
        let after = view.get("after").map(|text| Cursor::parse(text, standing)).transpose()?;
        let number = |name: &str| {
            let number = view.get(name).map(str::parse::<usize>).transpose();
            number.map_err(|_| Fault::bad_request(format!("{name} is not a number")))
        };
        let size = number("page_size")?.unwrap_or(PAGE);
        if !(1..=PAGE_MAX).contains(&size) {
            return Err(Fault::bad_request(format!("page_size is not in 1..{PAGE_MAX}")));
        }
        let search = view.get("search").filter(|text| !text.is_empty()).map(Search::new);
        let after = after.map(|cursor| cursor.at);
        Ok(Self { standing, after, size, search, truncate: number("truncate")? })
    }

    /// Looks for them; may wait for the disk.
    fn find(&self, queue: &Queue) -> Result<(Vec<Found>, Option<At>), StoreError> {
        let (begun, mut found, mut octets) = (Instant::now(), Vec::new(), 0);
        let mut at = self.after.or_else(|| At::first(queue, self.standing));
        while let Some(here) = at {
            let max = if self.search.is_some() { PIECE } else { self.size - found.len() };
            let (piece, next) = here.look(queue, self.standing, max)?;
            let last = piece.len();
            for (one, number) in piece.into_iter().zip(1..) {
                if self.search.as_ref().is_some_and(|search| !search.finds(one.message())) {
                    continue;
                }
                let len = one.message().body_len();
                octets += self.truncate.map_or(len, |most| most.min(len));
                let behind = if number == last { next } else { Some(here.behind(&one)) };
                found.push(one);
                if found.len() >= self.size || octets >= PAGE_OCTETS {
                    return Ok((found, behind));
                }
            }
            at = next;
            if begun.elapsed() > LOOK_FOR {
                break;
            }
        }
        Ok((found, at))
    }
}
