//! One message in one queue.

use super::super::letter::Letter;

/// A position in the order of a store's batches: after one, and not after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub after: u64,
    pub by: u64,
}

impl Window {
    pub const NEVER: Self = Self { after: u64::MAX, by: u64::MAX };

    pub fn exactly(at: u64) -> Self {
        Self { after: at - 1, by: at }
    }

    /// Whether it is among the batches up to `at`, if that is certain.
    pub fn reached(self, at: u64) -> Option<bool> {
        if self.by <= at {
            Some(true)
        } else if self.after >= at {
            Some(false)
        } else {
            None
        }
    }
}

/// Who holds a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    pub connection: u64,
    pub channel: u16,
}

/// To whom a message goes.
#[derive(Clone, Copy, Debug)]
pub enum To {
    Holder(Holder),
    /// It counts as acknowledged.
    Nobody,
}

/// What the next delivery's `redelivered` must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// Nobody has had it.
    Fresh,
    Unknown,
    /// Somebody has had it.
    Used,
}

/// Where a message stands in its queue, and whether it may have come back there unseen.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    pub place: u64,
    /// It has a priority of its own there.
    pub high: bool,
    pub may_return: bool,
}

#[derive(Clone, Debug)]
pub struct Copy {
    pub letter: Letter,
    /// The store must have it.
    pub stored: bool,
    pub published: Window,
    pub tx: Option<u64>,
    pub gone: Option<Window>,
    pub gone_tx: Option<u64>,
    /// Its position in the broker's queue, once the store was told.
    pub seq: Option<u64>,
    /// The store did not take it: it may be handed out, but does not survive.
    pub refused: bool,
    /// It may go without anybody seeing it.
    pub loose: bool,
    /// Gone like this, and seen only afterwards.
    pub unseen: bool,
    pub held: Option<Holder>,
    pub flag: Flag,
    /// The latest position when somebody first had it.
    pub seen: u64,
    /// It may have been on its way to somebody who is gone, and stand before others again.
    pub may_return: bool,
}

impl Copy {
    pub fn new(letter: Letter, stored: bool, published: Window, tx: Option<u64>) -> Self {
        Self {
            letter,
            stored,
            published,
            tx,
            gone: None,
            gone_tx: None,
            seq: None,
            refused: false,
            loose: false,
            unseen: false,
            held: None,
            flag: Flag::Fresh,
            seen: u64::MAX,
            may_return: false,
        }
    }

    pub fn is_there(&self) -> bool {
        self.gone.is_none()
    }

    pub fn is_certain(&self) -> bool {
        !self.loose && !self.refused
    }

    pub fn touch(&mut self) {
        if self.flag == Flag::Fresh {
            self.flag = Flag::Unknown;
        }
    }

    /// Somebody gets it.
    pub fn deliver(&mut self, again: bool, to: To, latest: u64) {
        let id = self.letter.id;
        let late = std::mem::take(&mut self.unseen) && matches!(to, To::Nobody);
        assert!(
            self.gone.is_none() || late,
            "message {id} came back after it was settled: {self:?}"
        );
        assert_eq!(self.held, None, "message {id} came though somebody holds it: {self:?}");
        match self.flag {
            Flag::Fresh => assert!(!again, "message {id} counts as redelivered: {self:?}"),
            Flag::Used => assert!(again, "message {id} does not count as redelivered: {self:?}"),
            Flag::Unknown => {}
        }
        self.flag = Flag::Used;
        self.seen = self.seen.min(latest);
        match to {
            To::Holder(holder) => self.held = Some(holder),
            To::Nobody if late => {}
            To::Nobody => self.gone = Some(Window { after: self.published.after, by: latest }),
        }
    }

    /// Whether nothing can be heard of it any more.
    pub fn is_over(&self, safe: u64) -> bool {
        let never = !self.stored || self.refused;
        let done = |gone: Window| never || gone.reached(safe) == Some(true);
        self.gone.is_some_and(done) && !self.unseen
    }

    /// Whether it is there after a crash that left the batches up to `at`, if that is certain.
    pub fn survives(&self, at: u64) -> Option<bool> {
        if !self.stored || self.refused {
            return Some(false);
        }
        let gone = self.gone.map_or(Some(false), |gone| gone.reached(at));
        match (self.published.reached(at), gone) {
            (Some(false), _) | (_, Some(true)) => Some(false),
            (Some(true), Some(false)) => Some(true),
            _ => None,
        }
    }

    /// The broker was started again with the batches up to `at`.
    pub fn restarted(&mut self, at: u64) {
        self.gone = None;
        self.held = None;
        self.loose = false;
        self.unseen = false;
        self.may_return = false;
        self.flag = match self.flag {
            Flag::Fresh => Flag::Fresh,
            _ if self.seen <= at => Flag::Used,
            _ => Flag::Unknown,
        };
        self.seen = if self.flag == Flag::Used { self.seen } else { u64::MAX };
    }
}
