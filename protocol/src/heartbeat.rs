//! Heartbeats (0-9-1 §4.2.7) as a state machine: it is told of traffic and of the time.

/// When to send a heartbeat and when to give a peer up. Times are milliseconds of one monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct Heartbeat {
    interval: u64,
    last_in: u64,
    last_out: u64,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing before this time.
    Nothing {
        /// When to ask again; `None`: never.
        until: Option<u64>,
    },
    /// Nothing was sent for half an interval: send a heartbeat.
    Send,
    /// Nothing arrived for two intervals: the peer is gone.
    PeerGone,
}

impl Heartbeat {
    /// `seconds`: the negotiated interval, 0 turns heartbeats off.
    pub fn new(seconds: u16, now: u64) -> Self {
        Self { interval: u64::from(seconds) * 1000, last_in: now, last_out: now }
    }

    /// Any octet from the peer counts as a sign of life.
    pub fn received(&mut self, now: u64) {
        self.last_in = now;
    }

    /// Any octet sent makes a heartbeat unnecessary for a while.
    pub fn sent(&mut self, now: u64) {
        self.last_out = now;
    }

    /// What is due at `now`.
    pub fn due(&self, now: u64) -> Due {
        if self.interval == 0 {
            return Due::Nothing { until: None };
        }
        let gone_at = self.last_in + 2 * self.interval;
        let send_at = self.last_out + self.interval / 2;
        if now >= gone_at {
            Due::PeerGone
        } else if now >= send_at {
            Due::Send
        } else {
            Due::Nothing { until: Some(gone_at.min(send_at)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_side_sends_and_a_silent_peer_is_gone() {
        let mut heartbeat = Heartbeat::new(10, 0);
        assert_eq!(heartbeat.due(0), Due::Nothing { until: Some(5_000) });
        assert_eq!(heartbeat.due(5_000), Due::Send);
        heartbeat.sent(5_000);
        assert_eq!(heartbeat.due(5_000), Due::Nothing { until: Some(10_000) });
        heartbeat.sent(19_999);
        assert_eq!(heartbeat.due(19_999), Due::Nothing { until: Some(20_000) });
        assert_eq!(heartbeat.due(20_000), Due::PeerGone);
        heartbeat.received(20_000);
        assert_eq!(heartbeat.due(20_000), Due::Nothing { until: Some(24_999) });
    }

    #[test]
    fn zero_turns_them_off() {
        assert_eq!(Heartbeat::new(0, 0).due(u64::MAX), Due::Nothing { until: None });
    }
}
