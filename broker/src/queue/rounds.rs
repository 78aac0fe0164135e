//! What a queue tells the store goes in rounds, one after another.

use std::sync::Arc;

use super::Transaction;

/// The rounds of a queue's writes.
#[derive(Default)]
pub struct Rounds {
    /// The one that is gathered.
    gathered: u64,
    /// The first one that is not carried out.
    carried: u64,
    /// Transactions that brought something and may not be whole yet, with the rounds of their parts.
    open: Vec<(u64, Arc<Transaction>)>,
}

impl Rounds {
    /// The one that is gathered.
    pub fn gathered(&self) -> u64 {
        self.gathered
    }

    /// The first one of which somebody may still lose what it brings.
    pub fn sure(&mut self) -> u64 {
        self.forget_whole();
        self.open.first().map_or(self.carried, |(round, _)| self.carried.min(*round))
    }

    /// Transactions that brought something and may not be whole yet.
    pub fn open(&self) -> impl Iterator<Item = &Arc<Transaction>> {
        self.open.iter().map(|(_, tx)| tx)
    }

    /// What is gathered has a part of a transaction.
    pub fn bring(&mut self, tx: &Arc<Transaction>) {
        self.forget_whole();
        self.open.push((self.gathered, tx.clone()));
    }

    /// What was gathered is carried out from now on, by one thread at a time.
    pub fn begin(&mut self) {
        self.gathered += 1;
    }

    /// All that was gathered before it began is carried out.
    pub fn end(&mut self) {
        self.carried = self.gathered;
    }

    fn forget_whole(&mut self) {
        self.open.retain(|(_, tx)| !tx.is_done());
    }
}
