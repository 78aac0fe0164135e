//! A store on a simulated disk, beside the model of what it should hold.

use std::sync::Arc;

use super::engine::Stepped;
use super::script::{Event, Script};
use super::witness::Witness;
use crate::conformance::model::Model;
use crate::disk::sim::SimDisk;
use crate::{Batch, Health, Lsn, ReadMax, Recovered, Seq, StoreError, Stored};

pub(super) struct Life<S: Stepped> {
    pub disk: SimDisk,
    /// Nothing only while it is being opened again.
    store: Option<S>,
    pub model: Model,
    pub script: Script,
    pub setup: S::Setup,
    pub witness: Witness,
    /// How often segments were compacted, but for the store that is open.
    compacted: u64,
}

impl<S: Stepped> Life<S> {
    /// Opens what is on a disk. `least` is what must be there of the model's history; what is not
    /// is forgotten by the model.
    ///
    /// # Errors
    /// What the store says.
    pub fn open(
        disk: SimDisk,
        setup: S::Setup,
        (model, script): (Model, Script),
        witness: Witness,
        least: Lsn,
    ) -> Result<Self, StoreError> {
        let compacted = 0;
        let mut life = Self { disk, store: None, model, script, setup, witness, compacted };
        life.reopen(least)?;
        Ok(life)
    }

    fn reopen(&mut self, least: Lsn) -> Result<(), StoreError> {
        self.compacted = self.compacted();
        self.store = None;
        self.witness.closed(least);
        let (store, recovered) = S::open_on(&self.setup, Arc::new(self.disk.clone()))?;
        let (found, latest) = (recovered.lsn, self.model.latest());
        assert!(least <= found, "{least:?} was durable, {found:?} is there");
        assert!(found <= latest, "{found:?} is there, {latest:?} is the latest");
        self.model.crash(found);
        let expected = Recovered { notes: recovered.notes.clone(), ..self.model.recovered() };
        assert_eq!(recovered, expected);
        assert_eq!(*store.durable().borrow(), found, "what is found is durable");
        self.witness.opened(store.durable());
        self.store = Some(store);
        self.script.reopened();
        self.compare();
        Ok(())
    }

    pub fn store(&self) -> &S {
        self.store.as_ref().unwrap()
    }

    /// How often segments were compacted.
    pub fn compacted(&self) -> u64 {
        self.compacted + self.store.as_ref().map_or(0, |store| store.status().compactions)
    }

    pub fn durable(&self) -> Lsn {
        *self.store().durable().borrow()
    }

    /// One random event.
    pub fn go_on(&mut self) -> Result<(), StoreError> {
        let event = self.script.event(&self.model);
        self.perform(event)
    }

    pub fn perform(&mut self, event: Event) -> Result<(), StoreError> {
        match event {
            Event::Append(batch) => self.append(batch)?,
            Event::Work(steps) => {
                for _ in 0..steps {
                    self.store().step();
                }
            }
            Event::Checkpoint => {
                assert_eq!(self.store().checkpoint()?, self.model.latest());
                assert_eq!(self.durable(), self.model.latest());
            }
            Event::Close => {
                self.store().close()?;
                assert_eq!(self.durable(), self.model.latest());
                self.reopen(self.model.latest())?;
            }
            Event::Drop => self.reopen(self.durable())?,
            Event::Read => self.compare(),
        }
        Ok(())
    }

    /// Appends to both. What is refused for want of room has changed nothing.
    fn append(&mut self, batch: Batch) -> Result<(), StoreError> {
        let lsn = match self.store().append(batch.clone()) {
            Err(StoreError::Full { .. }) if batch.has_publishes() => {
                self.script.refused(&batch);
                return Ok(());
            }
            other => other?,
        };
        assert!(self.model.append(&batch), "the script makes valid batches only");
        assert_eq!(lsn, self.model.latest());
        Ok(())
    }

    /// Works until there is nothing to do, when all must be durable.
    pub fn rest(&mut self) {
        let mut steps = 0;
        while self.store().step() {
            steps += 1;
            assert!(steps < 10_000, "there is always something to do");
        }
        if self.store().status().health == Health::Ready {
            assert_eq!(self.durable(), self.model.latest(), "there is nothing more to do");
        }
    }

    /// Ends it. What is left is what the model says.
    pub fn close(mut self) -> Result<Model, StoreError> {
        self.store().close()?;
        self.store = None;
        let latest = self.model.latest();
        self.model.crash(latest);
        Ok(std::mem::take(&mut self.model))
    }

    /// What the store holds is what the model holds.
    pub fn compare(&mut self) {
        for queue in Model::queues() {
            assert_eq!(self.store().stats(queue), self.model.now.stats(queue), "{queue:?}");
            let (expected, mut found) = (self.model.now.stored(queue), Vec::new());
            let mut from = Seq(0);
            loop {
                let messages = 1 + self.script.random.index(40);
                let bytes = self.script.random.index(20_000);
                let before = found.len();
                let max = ReadMax { messages, bytes };
                from = self.store().read(queue, from, max, &mut found).unwrap();
                if found.len() == before {
                    break;
                }
                check_max(&found[before..], max);
            }
            assert!(found == expected, "{queue:?}: {}", difference(&found, &expected));
        }
    }
}

impl<S: Stepped> Drop for Life<S> {
    /// Who looks at a disk has it, and the other way round: without this, neither would ever go.
    fn drop(&mut self) {
        self.disk.on_step(None);
    }
}

fn check_max(read: &[Stored], max: ReadMax) {
    let bytes: usize = read.iter().map(|message| message.payload.len()).sum();
    assert!(read.len() <= max.messages, "{} messages, {max:?}", read.len());
    // The first is given in any case, and empty ones take no more.
    let rest = read.iter().skip(1).any(|message| !message.payload.is_empty());
    assert!(bytes <= max.bytes || !rest, "{bytes} bytes, {max:?}");
}

/// The first message that is not the same.
fn difference(found: &[Stored], expected: &[Stored]) -> String {
    let brief = |message: Option<&Stored>| match message {
        Some(Stored { seq, payload, returns }) => {
            let head = &payload[..payload.len().min(8)];
            format!("{seq:?}, {} bytes {head:?}, {returns} returns", payload.len())
        }
        None => "nothing".to_owned(),
    };
    let same = found.iter().zip(expected).take_while(|(a, b)| a == b).count();
    let (found, expected) = (brief(found.get(same)), brief(expected.get(same)));
    format!("message {same}: found {found}, expected {expected}")
}
