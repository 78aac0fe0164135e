//! What is counted of messages, by RabbitMQ's names.

use super::counter::{Counter, Shared};

/// One number of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Messages<N> {
    /// Published by clients, or routed to the queue.
    pub publish: N,
    /// Confirmed to publishers.
    pub confirm: N,
    /// Returned to publishers, as they led to no queue.
    pub return_unroutable: N,
    /// Dropped, as they led to no queue.
    pub drop_unroutable: N,
    /// Delivered to consumers that acknowledge.
    pub deliver: N,
    /// Delivered to consumers that do not.
    pub deliver_no_ack: N,
    /// Taken by basic.get, to be acknowledged.
    pub get: N,
    /// Taken by basic.get for good.
    pub get_no_ack: N,
    /// basic.get that found nothing.
    pub get_empty: N,
    /// Those of the deliveries, of both kinds, that were not the first.
    pub redeliver: N,
    /// Acknowledged.
    pub ack: N,
}

impl<N> Messages<N> {
    /// Something of each number.
    pub fn map<M>(&self, f: impl Fn(&N) -> M) -> Messages<M> {
        Messages {
            publish: f(&self.publish),
            confirm: f(&self.confirm),
            return_unroutable: f(&self.return_unroutable),
            drop_unroutable: f(&self.drop_unroutable),
            deliver: f(&self.deliver),
            deliver_no_ack: f(&self.deliver_no_ack),
            get: f(&self.get),
            get_no_ack: f(&self.get_no_ack),
            get_empty: f(&self.get_empty),
            redeliver: f(&self.redeliver),
            ack: f(&self.ack),
        }
    }

    /// Each number with the one of the same kind.
    fn pairs<'a, M>(&'a self, other: &'a Messages<M>) -> [(&'a N, &'a M); 11] {
        [
            (&self.publish, &other.publish),
            (&self.confirm, &other.confirm),
            (&self.return_unroutable, &other.return_unroutable),
            (&self.drop_unroutable, &other.drop_unroutable),
            (&self.deliver, &other.deliver),
            (&self.deliver_no_ack, &other.deliver_no_ack),
            (&self.get, &other.get),
            (&self.get_no_ack, &other.get_no_ack),
            (&self.get_empty, &other.get_empty),
            (&self.redeliver, &other.redeliver),
            (&self.ack, &other.ack),
        ]
    }
}

impl Messages<u64> {
    /// What [`Self::values`] are, by RabbitMQ's names.
    pub const NAMES: [&'static str; 12] = [
        "publish",
        "confirm",
        "return_unroutable",
        "drop_unroutable",
        "deliver",
        "deliver_no_ack",
        "get",
        "get_no_ack",
        "get_empty",
        "redeliver",
        "ack",
        "deliver_get",
    ];

    /// All of them.
    pub fn values(&self) -> [u64; 12] {
        [
            self.publish,
            self.confirm,
            self.return_unroutable,
            self.drop_unroutable,
            self.deliver,
            self.deliver_no_ack,
            self.get,
            self.get_no_ack,
            self.get_empty,
            self.redeliver,
            self.ack,
            self.deliver_get(),
        ]
    }

    /// All that left a queue, whichever way.
    pub fn deliver_get(&self) -> u64 {
        self.deliver + self.deliver_no_ack + self.get + self.get_no_ack
    }

    /// One message goes to a consumer.
    #[inline]
    pub fn count_delivery(&mut self, no_ack: bool, redelivered: bool) {
        let kind = if no_ack { &mut self.deliver_no_ack } else { &mut self.deliver };
        *kind += 1;
        self.redeliver += u64::from(redelivered);
    }

    /// One message is taken by basic.get.
    pub fn count_get(&mut self, no_ack: bool, redelivered: bool) {
        let kind = if no_ack { &mut self.get_no_ack } else { &mut self.get };
        *kind += 1;
        self.redeliver += u64::from(redelivered);
    }
}

impl std::ops::Add for Messages<u64> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let mut sum = self;
        sum += other;
        sum
    }
}

impl std::ops::AddAssign for Messages<u64> {
    fn add_assign(&mut self, other: Self) {
        let Self { publish, confirm, return_unroutable, drop_unroutable, .. } = other;
        self.publish += publish;
        self.confirm += confirm;
        self.return_unroutable += return_unroutable;
        self.drop_unroutable += drop_unroutable;
        self.deliver += other.deliver;
        self.deliver_no_ack += other.deliver_no_ack;
        self.get += other.get;
        self.get_no_ack += other.get_no_ack;
        self.get_empty += other.get_empty;
        self.redeliver += other.redeliver;
        self.ack += other.ack;
    }
}

impl std::iter::Sum for Messages<u64> {
    fn sum<I: Iterator<Item = Self>>(numbers: I) -> Self {
        numbers.fold(Self::default(), std::ops::Add::add)
    }
}

impl Messages<Counter> {
    /// So many more of each kind.
    pub fn add(&self, more: &Messages<u64>) {
        for (counter, more) in self.pairs(more) {
            if *more > 0 {
                counter.add(*more);
            }
        }
    }

    /// As of now.
    pub fn get(&self) -> Messages<u64> {
        self.map(Counter::get)
    }
}

impl Messages<Shared> {
    /// So many more of each kind.
    pub fn add(&self, more: &Messages<u64>) {
        self.pairs(more).into_iter().for_each(|(counter, more)| counter.add(*more));
    }

    /// As of now.
    pub fn get(&self) -> Messages<u64> {
        self.map(Shared::get)
    }
}
