//! Which messages something is done with, and how fast: a request does a bounded part of it and says where to
//! go on.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::deed::{Deed, Tally, check};
use super::place::{At, Cursor, Found, Standing};
use super::search::Search;
use super::{Owner, PIECE, unreadable};
use crate::admin::auth::Caller;
use crate::admin::error::Fault;
use crate::admin::input::Input;
use crate::admin::routes::Reply;
use crate::admin::routes::x::ok;

/// How long a request works before it answers with what is done.
const WORK_FOR: Duration = Duration::from_secs(3);
/// Messages that a request is about, if nothing is said.
const LIMIT: usize = 1000;
/// The most that a request may be about.
const LIMIT_MAX: usize = 100_000;
/// With a rate, how many pieces there are in a second.
const PIECES: usize = 10;

/// Which messages are meant.
enum Meant {
    /// Those at these positions.
    At(Vec<String>),
    /// Those that a text is in.
    With(Box<Search>),
    All,
}

/// What a request asks for.
pub struct Order {
    meant: Meant,
    standing: Standing,
    after: Option<Cursor>,
    limit: usize,
    /// The most in a second.
    rate: Option<usize>,
}

/// Does what a request asks for, or some of it.
pub async fn carry_out(caller: Caller, owner: Owner, deed: Deed, input: &Input) -> Reply {
    let order = Order::parse(&owner, &deed, input)?;
    check(&deed, order.standing)?;
    let mut work =
        Work { caller, owner, deed, order, tally: Tally::default(), begun: Instant::now() };
    let answer = match std::mem::replace(&mut work.order.meant, Meant::All) {
        Meant::At(positions) => work.at(positions).await?,
        Meant::With(search) => work.through(Some(*search)).await?,
        Meant::All => work.through(None).await?,
    };
    work.tell();
    ok(answer)
}

impl Order {
    fn parse(owner: &Owner, deed: &Deed, input: &Input) -> Result<Self, Fault> {
        let usual = if matches!(deed, Deed::Run) { "scheduled" } else { "" };
        let given = Some(input.text("state")?).filter(|text| !text.is_empty());
        let standing = owner.standing(given.unwrap_or(usual))?;
        let text = input.text("search")?;
        let meant = match (input.get("positions"), text, input.flag("all")?) {
            (Some(positions), "", false) => Meant::At(parse_positions(positions)?),
            (None, text, false) if !text.is_empty() => Meant::With(Box::new(Search::new(text))),
            (None, "", true) => Meant::All,
            _ => {
                let reason = "one of positions, search and all must be given";
                return Err(Fault::bad_request(reason));
            }
        };
        let after = Some(input.text("after")?).filter(|text| !text.is_empty());
        let number = |name: &str, most: usize| {
            let number = input.integer(name)?;
            let number = number.map(|given| {
                usize::try_from(given).ok().filter(|given| (1..=most).contains(given))
            });
            let wrong = || Fault::bad_request(format!("{name} is not in 1..{most}"));
            number.map(|given| given.ok_or_else(wrong)).transpose()
        };
        Ok(Self {
            meant,
            standing,
            after: after.map(|text| Cursor::parse(text, standing)).transpose()?,
            limit: number("limit", LIMIT_MAX)?.unwrap_or(LIMIT),
            rate: number("rate", LIMIT_MAX * PIECES)?,
        })
    }
}

/// Texts; numbers are as good.
fn parse_positions(given: &Value) -> Result<Vec<String>, Fault> {
    let positions = given.as_array().and_then(|given| {
        let text = |one: &Value| match one {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        given.iter().map(text).collect()
    });
    positions.ok_or_else(|| Fault::bad_request("positions is not a list of positions"))
}

/// A request at work.
struct Work {
    caller: Caller,
    owner: Owner,
    deed: Deed,
    order: Order,
    tally: Tally,
    begun: Instant,
}

impl Work {
    /// Those at these positions.
    async fn at(&mut self, positions: Vec<String>) -> Result<Value, Fault> {
        let mut positions = positions.into_iter();
        while self.goes_on() {
            let some: Vec<String> = positions.by_ref().take(self.piece()).collect();
            if some.is_empty() {
                break;
            }
            let (queue, standing, asked) =
                (self.owner.queue.clone(), self.order.standing, some.len());
            let found = blocking(move || {
                let found = some.iter().map(|one| Found::at(&queue, one, standing));
                found.filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()
            });
            let found = found.await?.map_err(unreadable)?;
            self.tally.gone += asked - found.len();
            self.perform(found).await?;
        }
        Ok(self.answer(positions.len(), None))
    }

    /// Those of all that are meant.
    async fn through(&mut self, search: Option<Search>) -> Result<Value, Fault> {
        let standing = self.order.standing;
        let mut search = search;
        let (mut at, mut passed) = match self.order.after {
            Some(Cursor { at, passed }) => (Some(at), passed),
            None => (At::first(&self.owner.queue, standing), 0),
        };
        while let Some(here) = at.filter(|_| self.goes_on()) {
            let (queue, max) = (self.owner.queue.clone(), self.piece());
            let looked = blocking(move || look(&queue, here, standing, search, max));
            let Piece { found, looked, next, search: back } = looked.await?.map_err(unreadable)?;
            search = back;
            let done = self.perform(found).await?;
            passed += looked.saturating_sub(done) as u64;
            at = next;
        }
        let counts = self.owner.queue.counts();
        let there = if standing == Standing::Scheduled { counts.scheduled } else { counts.ready };
        let left = there.saturating_sub(usize::try_from(passed).unwrap_or(usize::MAX));
        let left = if at.is_some() { left.max(1) } else { 0 };
        Ok(self.answer(left, at.map(|at| Cursor { at, passed })))
    }

    /// Whether there is time, and more is wanted.
    fn goes_on(&self) -> bool {
        self.tally.done < self.order.limit && self.begun.elapsed() < WORK_FOR
    }

    /// The most messages of the next piece.
    fn piece(&self) -> usize {
        let left = self.order.limit.saturating_sub(self.tally.done).min(PIECE);
        self.order.rate.map_or(left, |rate| left.min(rate.div_ceil(PIECES)))
    }

    /// Does it with some, not too fast: how many.
    async fn perform(&mut self, found: Vec<Found>) -> Result<usize, Fault> {
        if found.is_empty() {
            return Ok(0);
        }
        let Tally { done, gone, unroutable, never_died } =
            self.deed.perform(&self.caller, &self.owner, found).await?;
        self.tally.done += done;
        self.tally.gone += gone;
        self.tally.unroutable += unroutable;
        self.tally.never_died += never_died;
        if let Some(rate) = self.order.rate {
            let due = Duration::from_secs_f64(self.tally.done as f64 / rate as f64);
            sleep(due.saturating_sub(self.begun.elapsed())).await;
        }
        Ok(done)
    }

    fn answer(&self, left: usize, next: Option<Cursor>) -> Value {
        let Tally { done, gone, unroutable, never_died } = self.tally;
        json!({
            "done": done,
            "skipped": {"gone": gone, "unroutable": unroutable, "never_died": never_died},
            "left": left,
            "next": next.map(|next| next.to_string()),
        })
    }

    fn tell(&self) {
        if self.tally.done > 0 {
            tracing::info!(
                user = self.caller.user(),
                vhost = &*self.owner.vhost.name,
                queue = self.owner.queue.name(),
                messages = self.tally.done,
                "messages were {}",
                self.deed.past()
            );
        }
    }
}

/// Some of the messages that are meant.
struct Piece {
    found: Vec<Found>,
    /// How many were looked at for that.
    looked: usize,
    next: Option<At>,
    search: Option<Search>,
}

/// Looks at some messages until as many as wanted are found; may wait for the disk.
fn look(
    queue: &crate::queue::Queue,
    here: At,
    standing: Standing,
    search: Option<Search>,
    max: usize,
) -> Result<Piece, lepus_storage::StoreError> {
    let at_once = if search.is_some() { PIECE } else { max };
    let (piece, next) = here.look(queue, standing, at_once)?;
    let all = piece.len();
    let mut found = Vec::new();
    for (one, looked) in piece.into_iter().zip(1..) {
        if search.as_ref().is_some_and(|search| !search.finds(one.message())) {
            continue;
        }
        let behind = here.behind(&one);
        found.push(one);
        if found.len() >= max && looked < all {
            return Ok(Piece { found, looked, next: Some(behind), search });
        }
    }
    Ok(Piece { found, looked: all, next, search })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    spawn_blocking(work).await.map_err(|_| Fault::unavailable("interrupted"))
}
