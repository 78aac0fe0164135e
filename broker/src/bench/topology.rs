//! The queues and the exchange of one run: named, shared out, and deleted at the end.

use amq_protocol::types::FieldTable;
use anyhow::Result;

use super::args::BenchArgs;
use super::client::{Client, QueueKind};
use super::url::Target;

/// What a run declares on the broker.
#[derive(Debug)]
pub(super) struct Topology {
    pub queues: Vec<String>,
    /// The fanout exchange; empty = the default exchange.
    pub exchange: String,
    kind: QueueKind,
    arguments: FieldTable,
}

impl Topology {
    /// Names that no other run uses.
    pub fn new(args: &BenchArgs) -> Self {
        let base = format!("{}-{}", args.prefix, std::process::id());
        Self {
            // One length for all names, so that all publish frames have one length too.
            queues: (0..args.queue_count()).map(|n| format!("{base}-{n:05}")).collect(),
            exchange: if args.fanout > 0 { base } else { String::new() },
            kind: if args.persistent { QueueKind::Durable } else { QueueKind::Transient },
            arguments: args.queue_table(),
        }
    }

    pub fn declare(&self, client: &mut Client) -> Result<()> {
        if !self.exchange.is_empty() {
            client.declare_fanout(&self.exchange)?;
        }
        for queue in &self.queues {
            client.declare_queue(queue, self.kind, &self.arguments)?;
            if !self.exchange.is_empty() {
                client.bind(queue, &self.exchange)?;
            }
        }
        Ok(())
    }

    /// Deletes everything over a connection of its own, because the first may have idled too long.
    pub fn delete(&self, target: &Target) -> Result<()> {
        let mut client = Client::connect(target)?;
        for queue in &self.queues {
            client.delete_queue(queue)?;
        }
        if !self.exchange.is_empty() {
            client.delete_exchange(&self.exchange)?;
        }
        client.close()
    }

    /// The routing keys of producer `index` of `of`.
    pub fn routing_keys(&self, index: u32, of: u32) -> Vec<String> {
        match self.exchange.is_empty() {
            true => share(&self.queues, index, of),
            false => vec![String::new()],
        }
    }

    /// The queues of consumer `index` of `of`.
    pub fn consumed_by(&self, index: u32, of: u32) -> Vec<String> {
        share(&self.queues, index, of)
    }
}

/// Every queue has a client and every client has a queue.
fn share(queues: &[String], index: u32, of: u32) -> Vec<String> {
    let (index, of) = (index as usize, of.max(1) as usize);
    if of >= queues.len() {
        return queues.get(index % queues.len().max(1)).into_iter().cloned().collect();
    }
    queues.iter().skip(index).step_by(of).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_out() {
        let queues: Vec<String> = ["a", "b", "c"].map(String::from).to_vec();
        assert_eq!(share(&queues, 0, 2), ["a", "c"]);
        assert_eq!(share(&queues, 1, 2), ["b"]);
        assert_eq!(share(&queues, 4, 5), ["b"]);
    }
}
