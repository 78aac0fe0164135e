//! What is counted for the broker as a whole only.

use super::counter::{Gauge, Shared};
use super::messages::Messages;
use crate::queue::state::Reason;
use lepus_storage::{Distribution, Spread};

/// Octets of bodies: RabbitMQ's bounds.
pub const SIZES: [u64; 8] =
    [100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 50_000_000, 100_000_000];

/// ms.
const TIMES: [u64; 13] =
    [1, 5, 20, 100, 500, 2_000, 10_000, 30_000, 60_000, 300_000, 1_800_000, 7_200_000, 86_400_000];

/// What went through the broker since its start.
#[derive(Debug)]
pub struct Traffic {
    /// Messages that queues got, one for each queue.
    pub routed: Shared,
    /// Messages from channels that await confirms.
    pub received_confirm: Shared,
    /// Channels that have published.
    pub publishers: Gauge,
    /// Octets of the bodies that were published.
    pub sizes: Spread<{ SIZES.len() + 1 }>,
    /// What quorum queues have of all that was delivered and acknowledged.
    pub quorum: Messages<Shared>,
    /// How long messages had been in their queues when they were delivered, ms; a sample.
    pub waited: Spread<{ TIMES.len() + 1 }>,
    /// How long consumers held messages before they acknowledged them, ms; a sample.
    pub worked: Spread<{ TIMES.len() + 1 }>,
    /// How often publishers were not read for a while, so that their queues get rid of messages.
    pub pauses: Shared,
    /// For how many ms, all together.
    pub paused_ms: Shared,
    /// Dead letters of classic queues.
    pub dead: Dead,
    /// Dead letters of quorum queues.
    pub dead_of_quorum: Dead,
}

/// Dead letters, by why they are dead.
#[derive(Debug, Default)]
pub struct Dead([Shared; 4]);

impl Dead {
    fn count(&self, reason: Reason) -> &Shared {
        let [rejected, expired, max_length, delivery_limit] = &self.0;
        match reason {
            Reason::Rejected => rejected,
            Reason::Expired => expired,
            Reason::MaxLength => max_length,
            Reason::DeliveryLimit => delivery_limit,
        }
    }

    /// How many there were.
    pub fn get(&self, reason: Reason) -> u64 {
        self.count(reason).get()
    }
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            routed: Shared::default(),
            received_confirm: Shared::default(),
            publishers: Gauge::default(),
            sizes: Spread::new(&SIZES),
            quorum: Messages::default(),
            waited: Spread::new(&TIMES),
            worked: Spread::new(&TIMES),
            pauses: Shared::default(),
            paused_ms: Shared::default(),
            dead: Dead::default(),
            dead_of_quorum: Dead::default(),
        }
    }
}

impl Traffic {
    /// Dead letters were sent on.
    pub fn note_dead(&self, reason: Reason, of_quorum: bool, letters: usize) {
        let dead = if of_quorum { &self.dead_of_quorum } else { &self.dead };
        dead.count(reason).add(letters as u64);
    }

    /// Adds what a session has counted, which begins anew.
    pub fn add(&self, uncounted: &mut Uncounted) {
        if uncounted.is_empty() {
            return;
        }
        let Uncounted { routed, received_confirm, sizes, octets, quorum } =
            std::mem::take(uncounted);
        self.routed.add(routed);
        self.received_confirm.add(received_confirm);
        self.sizes.add(&sizes, octets);
        self.quorum.add(&quorum);
    }
}

/// What a session has not told yet.
#[derive(Debug, Default)]
pub struct Uncounted {
    /// See [`Traffic`].
    pub routed: u64,
    /// See [`Traffic`].
    pub received_confirm: u64,
    sizes: [u64; SIZES.len() + 1],
    octets: u64,
    /// See [`Traffic`].
    pub quorum: Messages<u64>,
}

impl Uncounted {
    fn is_empty(&self) -> bool {
        // What quorum queues have is counted elsewhere too: nothing else is needed to look for.
        self.sizes.iter().all(|count| *count == 0)
            && self.routed == 0
            && self.quorum == Messages::default()
    }

    /// The body of a message that was published.
    #[inline]
    pub fn body(&mut self, octets: u64) {
        if let Some(count) = self.sizes.get_mut(Distribution::place(&SIZES, octets)) {
            *count += 1;
        }
        self.octets += octets;
    }
}
