//! How often somebody has tried to log in.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a login was for, by RabbitMQ's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A connection.
    Amqp,
    /// A request of the HTTP API.
    Http,
}

/// Counts logins since the start, or since they were last forgotten.
#[derive(Debug, Default)]
pub struct Attempts {
    amqp: Outcomes,
    http: Outcomes,
}

#[derive(Debug, Default)]
struct Outcomes {
    succeeded: AtomicU64,
    failed: AtomicU64,
}

/// How often logins for something have ended how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempted {
    /// What for.
    pub protocol: &'static str,
    /// Those that have succeeded.
    pub succeeded: u64,
    /// Those that have not.
    pub failed: u64,
}

impl Attempts {
    /// One more.
    pub fn note(&self, protocol: Protocol, failed: bool) {
        let outcomes = match protocol {
            Protocol::Amqp => &self.amqp,
            Protocol::Http => &self.http,
        };
        let counter = if failed { &outcomes.failed } else { &outcomes.succeeded };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// What was tried of one kind.
    pub fn of(&self, protocol: Protocol) -> Attempted {
        let (protocol, outcomes) = match protocol {
            Protocol::Amqp => ("amqp091", &self.amqp),
            Protocol::Http => ("http", &self.http),
        };
        let succeeded = outcomes.succeeded.load(Ordering::Relaxed);
        Attempted { protocol, succeeded, failed: outcomes.failed.load(Ordering::Relaxed) }
    }

    /// What was tried at all.
    pub fn list(&self) -> Vec<Attempted> {
        let all = [Protocol::Http, Protocol::Amqp].map(|protocol| self.of(protocol));
        all.into_iter().filter(|tried| tried.succeeded + tried.failed > 0).collect()
    }

    /// Counts from 0 again.
    pub fn forget(&self) {
        for outcomes in [&self.amqp, &self.http] {
            outcomes.succeeded.store(0, Ordering::Relaxed);
            outcomes.failed.store(0, Ordering::Relaxed);
        }
    }
}
