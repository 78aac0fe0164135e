//! What declarations, bindings and deletions do to each other, and to routes.

mod declarations;
mod random;
mod restore;
mod routes;

use amq_protocol::types::AMQPValue;

use super::*;
use crate::routing::{ExchangeKind, RouteInput};

/// The connection that all but exclusive queues are used from.
const ANYONE: u64 = 7;

fn topology() -> Topology<u32> {
    Topology::new("/", Arc::default())
}

fn exchange(name: &str, kind: ExchangeKind) -> ExchangeSpec {
    ExchangeSpec {
        name: name.to_owned(),
        kind,
        durable: false,
        auto_delete: false,
        internal: false,
        arguments: FieldTable::default(),
    }
}

fn auto_delete(name: &str, kind: ExchangeKind) -> ExchangeSpec {
    ExchangeSpec { auto_delete: true, ..exchange(name, kind) }
}

fn queue(name: &str) -> QueueSpec {
    QueueSpec {
        name: name.to_owned(),
        durable: false,
        owner: None,
        auto_delete: false,
        arguments: FieldTable::default(),
    }
}

fn table(name: &str, value: AMQPValue) -> FieldTable {
    let mut table = FieldTable::default();
    table.insert(name.into(), value);
    table
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn refused<T: std::fmt::Debug>(result: Result<T, Refusal>) -> (ReplyCode, String) {
    let refusal = result.expect_err("a refusal");
    (refusal.code, refusal.text)
}

/// Short forms, with handles that the tests choose.
impl Topology<u32> {
    fn add_exchange(&mut self, spec: ExchangeSpec) {
        assert_eq!(self.declare_exchange(spec), Ok(true));
    }

    fn add_queue(&mut self, name: &str, handle: u32) -> QueueId {
        let mut id = QueueId(0);
        let declared = self.declare_queue(queue(name), |record| {
            id = record.id;
            handle
        });
        assert_eq!(declared, Ok((handle, true)));
        id
    }

    fn bound(&mut self, source: &str, target: Target<'_>, key: &str) {
        assert_eq!(self.bind_with(source, target, key, &FieldTable::default()), Ok(()));
    }

    fn bind_with(
        &mut self,
        source: &str,
        target: Target<'_>,
        key: &str,
        arguments: &FieldTable,
    ) -> Result<(), Refusal> {
        self.bind(BindingSpec { source, target, key, arguments }, ANYONE).map(drop)
    }

    fn unbound(&mut self, source: &str, target: Target<'_>, key: &str) {
        let arguments = &FieldTable::default();
        let spec = BindingSpec { source, target, key, arguments };
        assert_eq!(self.unbind(spec, ANYONE), Ok(()));
    }

    fn has_exchange(&self, name: &str) -> bool {
        self.exchange(name).is_ok()
    }

    fn to(&self, exchange: &str, key: &str) -> Vec<u32> {
        self.routed(exchange, &[key.as_bytes()]).expect("an exchange").queues
    }

    fn routed(&self, exchange: &str, keys: &[&[u8]]) -> Result<Route<u32>, Refusal> {
        self.route(exchange, &RouteInput { keys, ..RouteInput::default() })
    }

    fn stable(&self, exchange: &str) -> bool {
        self.routed(exchange, &[b"k"]).expect("an exchange").stable
    }

    /// What the topology keeps besides the bindings themselves says the same as they do.
    fn check_books(&self) {
        let mut count = 0;
        let mut sources: HashMap<Destination, BTreeSet<ExchangeId>> = HashMap::new();
        let mut headers = BTreeSet::new();
        for (id, exchange) in &self.exchange {
            if exchange.bindings.needs_headers() {
                headers.insert(*id);
            }
            for binding in exchange.bindings.iter() {
                count += 1;
                sources.entry(binding.dest).or_default().insert(*id);
                assert!(match binding.dest {
                    Destination::Queue(id) => self.queue.contains_key(&id),
                    Destination::Exchange(id) => self.exchange.contains_key(&id),
                });
            }
        }
        let mut known = self.sources.clone();
        known.retain(|_, sources| !sources.is_empty());
        assert_eq!((self.bindings, known, &self.headers_in_use), (count, sources, &headers));
        for destination in self.sources.keys() {
            assert!(match destination {
                Destination::Queue(id) => self.queue.contains_key(id),
                Destination::Exchange(id) => self.exchange.contains_key(id),
            });
        }
        let exchanges: HashMap<_, _> =
            self.exchange.iter().map(|(id, exchange)| (exchange.name.clone(), *id)).collect();
        let queues: HashMap<_, _> =
            self.queue.iter().map(|(id, entry)| (entry.record.name.clone(), *id)).collect();
        assert_eq!((&self.exchanges, &self.queues), (&exchanges, &queues));
    }
}
