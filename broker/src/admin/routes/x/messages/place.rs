//! Where messages are, as texts that mean nothing to others: positions and cursors. They do not fit a number
//! of JSON.

use std::fmt;

use lepus_storage::{QueueId, StoreError};

use crate::admin::error::Fault;
use crate::message::Message;
use crate::queue::Queue;
use crate::queue::state::schedule::{Bucket, Moved};
use crate::queue::state::{ConsumerKey, Entry, Spot};
use crate::queue::waiting::Place;

/// How messages stand in their queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// They wait for a consumer.
    Ready,
    /// A consumer has them.
    Unacked,
    /// They wait for a time.
    Scheduled,
}

impl Standing {
    /// "" is the usual one.
    pub fn parse(text: &str, usual: Self) -> Result<Self, Fault> {
        match text {
            "" => Ok(usual),
            "ready" => Ok(Self::Ready),
            "unacked" => Ok(Self::Unacked),
            "scheduled" => Ok(Self::Scheduled),
            _ => Err(Fault::bad_request("state is not ready, unacked or scheduled")),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Unacked => "unacked",
            Self::Scheduled => "scheduled",
        }
    }
}

/// A message that was found.
#[derive(Debug)]
pub enum Found {
    /// One that is ready.
    Ready(Entry),
    /// One that a consumer has; without one it was taken by basic.get.
    Unacked(Entry, Option<ConsumerKey>),
    /// One that waits for a time.
    Scheduled(Moved),
}

impl Found {
    pub fn message(&self) -> &Message {
        match self {
            Self::Ready(entry) | Self::Unacked(entry, _) => &entry.message,
            Self::Scheduled(moved) => &moved.message,
        }
    }

    /// One that is ready.
    pub fn ready(&mut self) -> Option<&mut Entry> {
        match self {
            Self::Ready(entry) => Some(entry),
            _ => None,
        }
    }

    /// Its position.
    pub fn position(&self) -> String {
        match self {
            Self::Ready(entry) | Self::Unacked(entry, _) => entry.seq.to_string(),
            Self::Scheduled(Moved { pair, .. }) => waiting(&(pair.bucket(), pair.seq)),
        }
    }

    /// Finds the message of a position.
    pub fn at(
        queue: &Queue,
        position: &str,
        standing: Standing,
    ) -> Result<Option<Self>, StoreError> {
        match standing {
            Standing::Scheduled => {
                let Some(place) = parse_waiting(position) else { return Ok(None) };
                Ok(queue.waiting_at(place)?.map(Self::Scheduled))
            }
            _ => {
                let Ok(seq) = position.parse() else { return Ok(None) };
                Ok(queue.ready_at(seq)?.map(Self::Ready))
            }
        }
    }
}

fn waiting((bucket, seq): &Place) -> String {
    let bucket = bucket.map_or(0, |bucket| bucket.stored_as(QueueId(0)).0);
    format!("{bucket}.{seq}")
}

fn parse_waiting(text: &str) -> Option<Place> {
    let (bucket, seq) = text.split_once('.')?;
    let bucket = match bucket.parse().ok()? {
        0 => None,
        id => Some(Bucket::parse(QueueId(id))?.1),
    };
    Some((bucket, seq.parse().ok()?))
}

/// Where somebody is who looks through messages.
#[derive(Clone, Copy, Debug)]
pub enum At {
    /// Among those that are ready, or that consumers have.
    Spot(Spot),
    /// Among those that wait; `None`: at the beginning.
    Waiting(Option<Place>),
}

impl At {
    /// The beginning; `None` if there never was a message.
    pub fn first(queue: &Queue, standing: Standing) -> Option<Self> {
        match standing {
            Standing::Scheduled => Some(Self::Waiting(None)),
            _ => queue.first_spot().map(Self::Spot),
        }
    }

    /// Some messages, at most so many, and where to go on; may wait for the disk.
    pub fn look(
        self,
        queue: &Queue,
        standing: Standing,
        max: usize,
    ) -> Result<(Vec<Found>, Option<Self>), StoreError> {
        match self {
            Self::Waiting(place) => {
                let (found, next) = queue.waiting(place, max)?;
                let next = next.map(|next| Self::Waiting(Some(next)));
                Ok((found.into_iter().map(Found::Scheduled).collect(), next))
            }
            Self::Spot(spot) if standing == Standing::Unacked => {
                let (found, next) = queue.handed_out(spot, max);
                let found = found.into_iter().map(|(entry, by)| Found::Unacked(entry, by));
                Ok((found.collect(), next.map(Self::Spot)))
            }
            Self::Spot(spot) => {
                let (found, next) = queue.look(spot, max)?;
                Ok((found.into_iter().map(Found::Ready).collect(), next.map(Self::Spot)))
            }
        }
    }

    /// Where to go on behind a message that was found from here on.
    pub fn behind(self, found: &Found) -> Self {
        match (self, found) {
            (Self::Spot(spot), Found::Ready(entry) | Found::Unacked(entry, _)) => {
                Self::Spot(Spot { next: entry.seq + 1, ..spot })
            }
            (_, Found::Scheduled(Moved { pair, .. })) => {
                Self::Waiting(Some((pair.bucket(), pair.seq + 1)))
            }
            (here, _) => here,
        }
    }
}

/// Where to go on, for whoever has a page.
#[derive(Clone, Copy, Debug)]
pub struct Cursor {
    pub at: At,
    /// Messages before it that were looked at and left where they are.
    pub passed: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let passed = self.passed;
        match &self.at {
            At::Spot(Spot { next, until }) => write!(f, "{passed}-{next}.{until}"),
            At::Waiting(Some(place)) => write!(f, "{passed}-{}", waiting(place)),
            At::Waiting(None) => write!(f, "{passed}-"),
        }
    }
}

impl Cursor {
    pub fn parse(text: &str, standing: Standing) -> Result<Self, Fault> {
        let found = text.split_once('-').and_then(|(passed, at)| {
            let at = match standing {
                Standing::Scheduled if at.is_empty() => At::Waiting(None),
                Standing::Scheduled => At::Waiting(Some(parse_waiting(at)?)),
                _ => {
                    let (next, until) = at.split_once('.')?;
                    At::Spot(Spot { next: next.parse().ok()?, until: until.parse().ok()? })
                }
            };
            Some(Self { at, passed: passed.parse().ok()? })
        });
        found.ok_or_else(|| Fault::bad_request("after is not what a page has as next"))
    }
}
