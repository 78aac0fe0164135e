//! Queues that are paused, or deliver so many messages a second.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// A queue with rules, at times that the tests choose.
struct Timed {
    queue: Bench,
    now: u64,
    version: u64,
}

impl Timed {
    fn new(rules: Rules) -> Self {
        let mut timed = Self { queue: Bench::new(), now: 0, version: 0 };
        timed.follow(rules);
        timed
    }

    fn follow(&mut self, rules: Rules) -> usize {
        self.version += 1;
        self.delivered(Command::SetRules(Arc::new(rules), self.version))
    }

    fn apply(&mut self, command: Command) -> (Outcome, Effects) {
        let mut effects = Effects::default();
        let outcome = self.queue.state.apply(self.now, command, &mut effects);
        (outcome, effects)
    }

    fn delivered(&mut self, command: Command) -> usize {
        self.apply(command).1.deliveries.len()
    }

    /// Deliveries until nothing is due by itself before `end`.
    fn ticks(&mut self, end: u64) -> usize {
        let mut delivered = 0;
        while let Some(due) = self.queue.state.next_due().filter(|due| *due <= end) {
            assert!(due > self.now, "a timer that has come is set again");
            self.now = due;
            delivered += self.delivered(Command::Tick);
        }
        self.now = end;
        delivered
    }
}

fn rate(rate: u64) -> Rules {
    Rules { max_rate: Some(rate), ..Rules::default() }
}

fn paused() -> Rules {
    Rules { paused: true, ..Rules::default() }
}

#[test]
fn the_rate_is_kept_by_timers_alone() {
    for per_second in [1, 3, 7, 50, 1000, 9999] {
        let mut queue = Timed::new(rate(per_second));
        queue.apply(Command::Consume(ConsumerSpec { no_ack: true, ..consumer(1) }));
        let first = queue.delivered(Command::Publish(messages(0..20_000)));
        assert_eq!(first as u64, (per_second / 10).max(1), "a tenth of a second's worth");
        let second = queue.ticks(1000) as u64;
        assert!(second <= per_second && second + 1 >= per_second, "{second} of {per_second}");
    }
}

#[test]
fn nothing_is_due_while_nobody_can_take_a_message() {
    let mut queue = Timed::new(rate(10));
    queue.apply(Command::Publish(messages(0..5)));
    assert_eq!(queue.queue.state.next_due(), None);
    let limited = ConsumerSpec { prefetch: 2, ..consumer(1) };
    assert_eq!(queue.delivered(Command::Consume(limited)), 1);
    assert_eq!(queue.queue.state.next_due(), Some(100));
    assert_eq!(queue.ticks(10_000), 1);
    assert_eq!(queue.queue.state.next_due(), None);
    assert_eq!(queue.delivered(Command::Settle(range(0, 1), Verdict::Ack)), 1);
}

#[test]
fn a_pull_waits_for_the_rate() {
    let mut queue = Timed::new(rate(10));
    queue.apply(Command::Consume(ConsumerSpec { pull: true, ..consumer(1) }));
    let (_, effects) = queue.apply(Command::Publish(messages(0..3)));
    assert_eq!(effects.notices, [Notice::Wanted(key(1))]);
    let (granted, effects) = queue.apply(Command::Grant(key(1), 5));
    assert_eq!((granted, effects.deliveries.len()), (Outcome::Granted { used: 1, more: false }, 1));
    queue.now = queue.queue.state.next_due().expect("a timer");
    let (_, effects) = queue.apply(Command::Tick);
    assert_eq!(effects.notices, [Notice::Wanted(key(1))]);
    let (granted, _) = queue.apply(Command::Grant(key(1), 5));
    assert_eq!(granted, Outcome::Granted { used: 1, more: false });
}

#[test]
fn a_paused_queue_asks_nobody_and_is_not_due() {
    let mut queue = Timed::new(Rules { max_rate: Some(1), ..paused() });
    queue.apply(Command::Consume(consumer(1)));
    queue.apply(Command::Consume(ConsumerSpec { pull: true, ..consumer(2) }));
    let (_, effects) = queue.apply(Command::Publish(messages(0..3)));
    assert!(effects.is_empty());
    let (granted, _) = queue.apply(Command::Grant(key(2), 5));
    assert_eq!(granted, Outcome::Granted { used: 0, more: false });
    assert_eq!(queue.queue.state.next_due(), None);
    assert_eq!(queue.follow(Rules::default()), 3);
}

#[test]
fn older_rules_do_not_come_back() {
    let mut queue = Timed::new(paused());
    queue.apply(Command::Consume(consumer(1)));
    queue.follow(Rules::default());
    queue.apply(Command::SetRules(Arc::new(paused()), 1));
    assert_eq!(queue.delivered(Command::Publish(messages(0..1))), 1);
}

#[test]
fn a_new_expiry_counts_from_when_it_was_set() {
    let mut queue = Timed::new(Rules::default());
    queue.now = 5000;
    queue.follow(Rules { expires: Some(100), ..Rules::default() });
    assert_eq!(queue.queue.state.next_due(), Some(5100));
    queue.ticks(5099);
    assert!(!queue.queue.state.is_deleted());
    queue.ticks(5100);
    assert!(queue.queue.state.is_deleted());
}

proptest! {
    /// However commands fall: no more than the rate and one burst in any time, and as much as that in the end.
    #[test]
    fn the_rate_is_never_exceeded(per_second in 1..500u64, steps in vec((0..400u64, 0..30u32), 1..60)) {
        let mut queue = Timed::new(rate(per_second));
        queue.apply(Command::Consume(ConsumerSpec { no_ack: true, ..consumer(1) }));
        let (mut published, mut delivered) = (0, 0);
        for (wait, messages_now) in steps {
            let end = queue.now + wait;
            delivered += queue.ticks(end) as u64;
            delivered += queue.delivered(Command::Publish(messages(0..messages_now))) as u64;
            published += u64::from(messages_now);
            let burst = (per_second / 10).max(1);
            prop_assert!(delivered <= burst + queue.now * per_second / 1000 + 1);
            prop_assert!(delivered <= published);
        }
        let enough = queue.now + (published + 1) * 1000;
        delivered += queue.ticks(enough) as u64;
        prop_assert_eq!(delivered, published);
    }
}
