//! Exchanges that send each message to any one of their bindings, all alike: `x-modulus-hash` by a
//! hash of the routing key, `x-random` by a number drawn for the message.

use twox_hash::XxHash64;

use super::Destination;

/// The destinations, sorted, each as often as it is bound with different keys.
#[derive(Debug, Default)]
pub(super) struct Pool {
    bound: Vec<Destination>,
}

impl Pool {
    pub(super) fn add(&mut self, dest: Destination) {
        let at = self.bound.partition_point(|other| *other <= dest);
        self.bound.insert(at, dest);
    }

    pub(super) fn remove(&mut self, dest: Destination) {
        if let Ok(at) = self.bound.binary_search(&dest) {
            self.bound.remove(at);
        }
    }

    /// The same key leads to the same destination until a binding comes or goes.
    pub(super) fn route_by_key(&self, key: &[u8], out: &mut Vec<Destination>) {
        let rest = XxHash64::oneshot(0, key).checked_rem(self.bound.len() as u64);
        out.extend(rest.and_then(|rest| self.bound.get(rest as usize)));
    }

    /// Scales a draw from all of 64 bits down to a place.
    pub(super) fn route_by_draw(&self, draw: u64, out: &mut Vec<Destination>) {
        let place = (u128::from(draw) * self.bound.len() as u128) >> u64::BITS;
        out.extend(self.bound.get(place as usize));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::{ExchangeId, QueueId};

    const A: Destination = Destination::Queue(QueueId(1));
    const B: Destination = Destination::Exchange(ExchangeId(1));

    fn drawn(pool: &Pool, draw: u64) -> Vec<Destination> {
        let mut out = Vec::new();
        pool.route_by_draw(draw, &mut out);
        out
    }

    fn hashed(pool: &Pool, key: u64) -> Vec<Destination> {
        let mut out = Vec::new();
        pool.route_by_key(&key.to_be_bytes(), &mut out);
        out
    }

    #[test]
    fn draws_reach_every_binding_evenly() {
        let mut pool = Pool::default();
        assert!(drawn(&pool, 7).is_empty() && hashed(&pool, 7).is_empty());
        for dest in [B, A, A] {
            pool.add(dest);
        }
        let third = u64::MAX / 3;
        assert_eq!([0, third, third + 1].map(|draw| drawn(&pool, draw)), [[A], [A], [A]]);
        assert_eq!([2 * third + 1, u64::MAX].map(|draw| drawn(&pool, draw)), [[B], [B]]);
        pool.remove(A);
        assert_eq!([0, u64::MAX].map(|draw| drawn(&pool, draw)), [[A], [B]]);
        pool.remove(A);
        pool.remove(A);
        assert_eq!(drawn(&pool, 0), [B]);
    }

    #[test]
    fn keys_are_spread_evenly_whatever_the_order_of_binding() {
        let (mut pool, mut other) = (Pool::default(), Pool::default());
        for id in 0..10 {
            pool.add(Destination::Queue(QueueId(id)));
            other.add(Destination::Queue(QueueId(9 - id)));
        }
        let mut counts = [0; 10];
        for key in 0..10_000 {
            let routed = hashed(&pool, key);
            assert_eq!(routed, hashed(&other, key));
            let [Destination::Queue(QueueId(id))] = routed[..] else { panic!("{routed:?}") };
            counts[id as usize] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
