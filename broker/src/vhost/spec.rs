//! What is said of a virtual host, and how much it may have.

/// What is said of a virtual host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VhostSpec {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What kind of virtual host it is.
    pub tags: Vec<String>,
    /// The type of the queues that are declared without one: `classic` or `quorum`.
    pub default_queue_type: Option<String>,
    /// It cannot be deleted.
    pub protected: bool,
}

impl VhostSpec {
    /// One of which nothing is said.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// The one that every broker begins with, in RabbitMQ's words.
    pub fn first(name: &str) -> Self {
        Self { description: "Default virtual host".to_owned(), ..Self::new(name) }
    }
}

/// How much a virtual host may have; `None`: any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VhostLimits {
    /// Connections at a time.
    pub max_connections: Option<u64>,
    /// Queues at a time.
    pub max_queues: Option<u64>,
}
