//! Those who guess passwords are answered later and later.
//!
//! What counts is how often a login has failed lately, from an address and for a user. A failure is answered
//! as late as the worse of both says; a success as late as its address says, so that who guesses learns
//! nothing from a fast answer. Nobody is kept out: an answer comes within [`MAX_WAIT`], and failures from one
//! address never slow down the logins from another one. Waiting takes a timer, no thread.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;

use parking_lot::Mutex;

/// Failures that are answered at once.
const FREE: u32 = 5;

/// How long the first answer is held back after those, milliseconds; twice as long with each further failure.
const FIRST_WAIT: u64 = 100;

/// How long an answer is held back at most, milliseconds: less than a handshake may take.
const MAX_WAIT: u64 = 5_000;

/// How long a failure counts at least, milliseconds, and at most twice as long.
const WINDOW: u64 = 60_000;

/// Addresses, and users, that are counted in a window. Beyond that the window is over.
const COUNTED_MAX: usize = 10_000;

/// Counts failed logins.
#[derive(Default)]
pub struct Failures {
    hasher: RandomState,
    tables: Mutex<Tables>,
}

#[derive(Default)]
struct Tables {
    addresses: Recent,
    users: Recent,
}

impl Failures {
    /// Notes how a login has ended, by the time in ms since 1970; returns for how many ms to hold back the
    /// answer.
    pub fn note(&self, from: IpAddr, user: &str, failed: bool, now: u64) -> u64 {
        let (address, user) = (self.hasher.hash_one(network(from)), self.hasher.hash_one(user));
        let mut tables = self.tables.lock();
        let of_address = tables.addresses.note(address, failed, now);
        let of_user = tables.users.note(user, failed, now);
        match failed {
            true => wait(of_address.max(of_user)),
            // Behind an address of this machine there may be anybody, by way of a proxy.
            false if from.to_canonical().is_loopback() => 0,
            false => wait(of_address),
        }
    }
}

/// What one party has at its disposal: of an IPv6 address the upper half.
fn network(from: IpAddr) -> impl Hash {
    match from.to_canonical() {
        IpAddr::V4(address) => (4, u64::from(address.to_bits())),
        IpAddr::V6(address) => (6, (address.to_bits() >> 64) as u64),
    }
}

fn wait(failures: u32) -> u64 {
    match failures.checked_sub(FREE + 1) {
        None => 0,
        Some(doublings) => MAX_WAIT.min(FIRST_WAIT << doublings.min(10)),
    }
}

/// Failures by whom they are of, in this window and the one before.
#[derive(Default)]
struct Recent {
    since: u64,
    current: HashMap<u64, u32>,
    former: HashMap<u64, u32>,
}

impl Recent {
    fn note(&mut self, whose: u64, failed: bool, now: u64) -> u32 {
        let age = now.saturating_sub(self.since);
        if age >= WINDOW || self.current.len() >= COUNTED_MAX {
            self.former = std::mem::take(&mut self.current);
            self.since = now;
        }
        if age >= 2 * WINDOW {
            self.former.clear();
        }
        if failed {
            let count = self.current.entry(whose).or_default();
            *count = count.saturating_add(1);
        }
        let count = |table: &HashMap<u64, u32>| table.get(&whose).copied().unwrap_or_default();
        count(&self.current).saturating_add(count(&self.former))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn repeated_failures_are_answered_later_and_later_up_to_a_bound() {
        let failures = Failures::default();
        let from = address("10.0.0.1");
        let waits: Vec<u64> = (0..14).map(|_| failures.note(from, "u", true, 1000)).collect();
        let expected = [0, 0, 0, 0, 0, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000].to_vec();
        assert_eq!(waits, expected);
        // The right password from there must not be found by how fast the answer is.
        assert_eq!(failures.note(from, "u", false, 1000), 5000);
        // After a quiet time all is forgotten.
        assert_eq!(failures.note(from, "u", true, 1000 + 2 * WINDOW), 0);
    }

    #[test]
    fn logins_from_elsewhere_are_not_slowed_down() {
        let failures = Failures::default();
        for _ in 0..100 {
            failures.note(address("10.0.0.1"), "u", true, 0);
        }
        assert_eq!(failures.note(address("10.0.0.2"), "u", false, 0), 0);
        assert_eq!(failures.note(address("10.0.0.2"), "u", true, 0), MAX_WAIT);
        assert_eq!(failures.note(address("10.0.0.2"), "v", true, 0), 0);
    }

    #[test]
    fn a_network_of_ipv6_is_one_party_and_this_machine_is_not_slowed_down() {
        let failures = Failures::default();
        for host in 0..20 {
            let user = format!("u{host}");
            failures.note(address(&format!("2001:db8::{host:x}")), &user, true, 0);
            failures.note(address("127.0.0.1"), &user, true, 0);
        }
        assert_eq!(failures.note(address("2001:db8::ffff"), "other", false, 0), MAX_WAIT);
        assert_eq!(failures.note(address("2001:db8:0:1::1"), "other", false, 0), 0);
        assert_eq!(failures.note(address("::1"), "other", false, 0), 0);
        assert_eq!(failures.note(address("::ffff:127.0.0.1"), "other", false, 0), 0);
    }

    #[test]
    fn the_table_is_bounded_whoever_comes() {
        let failures = Failures::default();
        for guess in 0..3 * COUNTED_MAX as u32 {
            failures.note(IpAddr::from(guess.to_be_bytes()), &guess.to_string(), true, 0);
        }
        let tables = failures.tables.lock();
        for recent in [&tables.addresses, &tables.users] {
            assert!(recent.current.len() + recent.former.len() <= 2 * COUNTED_MAX);
        }
    }
}
