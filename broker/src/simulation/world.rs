//! Clients, a broker and a disk: what happens, in what order, by chance.

use std::sync::atomic::Ordering;

use lepus_storage::disk::sim::{Fault, Random, SimDisk, Tearing};
use lepus_storage::{Health, MessageStore, Meta};

use super::broker::{Broker, Setup};
use super::client::Client;
use super::laws::{LAWS, LONG, Owner};
use super::ledger::incarnation;
use super::model::{Model, is_single};
use super::policies::Policies;
use super::scene::{Scene, WATERMARK};
use super::witness::{Crash, Witness};
use crate::queue::state::{Activity, ConsumerStatus};

/// Images are looked at in so many steps of the disk out of a hundred.
const LOOKS: u64 = 30;
/// No life needs as many rounds to come to rest.
const ROUNDS: usize = 20_000;

/// In one of so many lives there are so many times as many clients.
const CROWDED: u64 = 10;
const CROWD: u64 = 10;

/// So far the clock is set back, or forward, ms.
const CLOCK_SET: u64 = 2000;

/// When lives begin: ms since 1970.
const BEGIN: u64 = 1_800_000_000_000;

/// A world.
pub struct World {
    // Connections end before the broker does.
    clients: Vec<Client>,
    pub scene: Scene,
    witness: Witness,
    depth: u32,
    /// The position from which on the log's copy of what is declared is as new as the catalog.
    agreed: u64,
    /// Crashes looked at.
    pub crashes: u64,
    /// The store gets no turn for a while.
    slow: u64,
    /// There is somebody who moves and deletes messages.
    operated: bool,
    /// Memory is short now and then.
    pressed: bool,
}

/// What there was before a crash.
#[derive(Clone, Default)]
struct Past {
    model: Model,
    catalog: Meta,
    setup: Setup,
    depth: u32,
    /// The position of the last batch.
    latest: u64,
    agreed: u64,
    /// The time.
    now: u64,
}

impl World {
    /// A new broker on an empty disk.
    pub fn begin(seed: u64) -> Self {
        let disk = SimDisk::new(seed);
        let mut random = Random::new(seed);
        disk.set_tearing(if random.chance(50) { Tearing::Fresh } else { Tearing::Never });
        let setup = Setup::new(seed);
        let crash = Crash { image: disk, least: 0, seed: random.number() };
        let mut world = Self::open(crash, Past { setup, now: BEGIN, ..Past::default() });
        world.declare_laws();
        world.witness.look_in(LOOKS);
        let clients = 1 + world.scene.random.below(4);
        let clients = if seed.is_multiple_of(CROWDED) { clients * CROWD } else { clients };
        world.operated = seed.is_multiple_of(2);
        world.pressed = (seed / CROWDED).is_multiple_of(5);
        world.clients = (0..clients).map(|number| Client::new(number + 1)).collect();
        world
    }

    /// A new process finds this.
    fn open(crash: Crash, past: Past) -> Self {
        let Crash { image: disk, least, seed } = crash;
        let mut random = Random::new(seed);
        let nested = if past.depth > 0 && past.depth < 3 && random.chance(10) { 20 } else { 0 };
        let witness = Witness::of(&disk, random.number(), nested, least);
        disk.set_capacity(None);
        // Without it there is still the log's copy, once that is as new.
        let lost = random.chance(8) && least >= past.agreed;
        let catalog = if lost { Meta::default() } else { past.catalog.clone() };
        tracing::trace!(past.depth, least, past.latest, catalog.version, "a new broker");
        let (broker, found) = Broker::open(&past.setup, &disk, catalog, past.now);
        tracing::trace!(found.lsn, found.version, "{:?}", found.queues);
        let crashes = witness.taken().into_iter().map(|crash| 1 + Self::look(crash, &past)).sum();
        let Past { mut model, setup, depth, latest, now, .. } = past;
        let range = least..=latest.max(least);
        assert!(range.contains(&found.lsn), "{} survived, not {range:?}", found.lsn);
        model.restart(&found, |queue| broker.stored(queue));
        witness.look_in(0);
        witness.opened(broker.store.durable());
        let agreed = broker.store.latest();
        let scene = Scene::new(broker, model, (disk, setup), random, now);
        let (clients, slow, operated, pressed) = (Vec::new(), 0, false, false);
        let mut world =
            Self { clients, scene, witness, depth, agreed, crashes, slow, operated, pressed };
        world.scene.model.ledger.set_policies(Policies::of(&world.scene.broker.node));
        world.scene.told(None);
        let Scene { model, broker, .. } = &world.scene;
        model.ledger.check_store(found.names, |name| broker.stored_as(name));
        world
    }

    /// What has rules is there from the beginning, and survives.
    fn declare_laws(&mut self) {
        let Self { scene, .. } = self;
        scene.model.ledger.set_owners(scene.broker.declare_laws());
        while scene.broker.store.step() || scene.broker.catalog.step() {}
        self.agreed = scene.broker.store.latest();
    }

    fn past(&self) -> Past {
        let Self { scene, depth, agreed, .. } = self;
        Past {
            model: scene.model.clone(),
            catalog: scene.broker.catalog.durable().clone(),
            setup: scene.setup.clone(),
            depth: *depth,
            latest: scene.broker.store.latest(),
            agreed: *agreed,
            now: scene.now,
        }
    }

    /// Looks at what a new process makes of it. Returns how often it crashed in turn.
    fn look(crash: Crash, past: &Past) -> u64 {
        let mut world = Self::open(crash, Past { depth: past.depth + 1, ..past.clone() });
        world.drain();
        world.crashes
    }

    /// This process ends, and a new one begins.
    pub fn restart(&mut self) {
        let crash = self.witness.crash(&self.scene.disk);
        self.go_on_after(crash);
    }

    fn go_on_after(&mut self, crash: Crash) {
        let mut past = self.past();
        past.now += self.scene.random.below(400);
        if self.scene.random.chance(10) {
            // The system's clock was set between two processes.
            past.now = self.scene.latest + self.scene.random.below(2 * CLOCK_SET) - CLOCK_SET;
        }
        let mut next = Self::open(crash, past);
        next.scene.follow(&self.scene);
        next.witness.look_in(LOOKS);
        next.crashes += self.crashes + 1;
        (next.operated, next.pressed) = (self.operated, self.pressed);
        std::mem::swap(self, &mut next);
        // The clients have lost their connections.
        self.clients = (1..).zip(&next.clients).map(|(number, _)| Client::new(number)).collect();
    }

    /// One thing happens.
    pub fn step(&mut self) {
        let Self { clients, scene, slow, .. } = self;
        let chosen = scene.random.index(clients.len());
        let Some(client) = clients.get_mut(chosen) else { return };
        match scene.random.below(1000) {
            0..250 => client.act(scene),
            250..480 => drop(client.send(scene, false)),
            480..600 => drop(client.mail(scene)),
            600..740 => drop(client.receive(scene, false)),
            740..880 if *slow > 0 => *slow -= 1,
            740..880 => drop(scene.broker.store.step()),
            880..910 => drop(scene.broker.node.loader().step()),
            910..940 => drop(scene.broker.catalog.step()),
            940..960 => scene.watch(),
            960..975 => {
                let ms = scene.random.below(200);
                scene.pass(ms);
                client.tick(scene);
            }
            975..978 => client.disconnect(scene),
            978..981 => scene.broker.store.fail_read.store(true, Ordering::Relaxed),
            981..983 => {
                let hot_max = 500 << scene.random.below(8);
                scene.broker.node.set_hot_max(hot_max);
            }
            983..985 => *slow = scene.random.below(60),
            985 => self.restart(),
            987 if !scene.troubled => scene.change_policies(),
            988..991 if self.operated && !scene.troubled => scene.operate(),
            986 if !self.scene.troubled && self.scene.random.chance(30) => self.come_to_rest(),
            991..994 if self.pressed => {
                self.scene.allocated = self.scene.random.below(2 * WATERMARK)
            }
            _ => self.scene.timers(),
        }
        self.scene.told(None);
        self.look_at_crashes();
    }

    fn look_at_crashes(&mut self) {
        let taken = self.witness.taken();
        if taken.is_empty() {
            return;
        }
        let past = self.past();
        for crash in taken {
            // Now and then life goes on there.
            if self.scene.random.chance(2) {
                return self.go_on_after(crash);
            }
            self.crashes += 1 + Self::look(crash, &past);
        }
        self.scene.model.prune(self.scene.broker.store.safe());
    }

    /// Nobody begins anything new: all that was begun comes to an end, as there is memory again.
    pub fn rest(&mut self) {
        self.scene.allocated = 0;
        self.come_to_rest();
    }

    /// The same but for publishers, if memory is short: consumers go on.
    fn come_to_rest(&mut self) {
        let looks = self.witness.look_in(0);
        let Self { clients, scene, .. } = self;
        scene.broker.store.fail_read.store(false, Ordering::Relaxed);
        let mut rounds = 0;
        loop {
            let mut moved = false;
            scene.watch();
            scene.timers();
            for client in clients.iter_mut() {
                moved |= client.send(scene, true);
                moved |= client.mail(scene);
                moved |= client.receive(scene, true);
            }
            while scene.broker.store.step() {
                moved = true;
            }
            moved |= scene.broker.node.loader().step();
            moved |= scene.broker.catalog.step();
            scene.told(None);
            // The last step of the store may have found that there is room again.
            let alarmed = scene.broker.node.alarms().any();
            scene.watch();
            moved |= scene.broker.node.alarms().any() != alarmed;
            if !moved {
                break;
            }
            rounds += 1;
            assert!(rounds < ROUNDS, "the broker never comes to rest");
        }
        self.check_at_rest();
        self.check_laws();
        self.witness.look_in(looks);
    }

    fn check_at_rest(&self) {
        for client in &self.clients {
            client.check_at_rest(&self.scene);
        }
        let waits = self.scene.broker.store.status().pending_bytes;
        assert!(waits == 0 || self.scene.failed(), "{waits} octets wait for the disk at rest");
        for queue in self.scene.model.queues() {
            let number = queue.number;
            let Some(found) = self.scene.broker.queue(number) else { continue };
            let wanted = match is_single(number) {
                true => wants_as_the_active_one(number, &found.consumers()),
                false => self.clients.iter().any(|client| client.wants(queue.incarnation)),
            };
            let ready = found.counts().ready;
            assert!(!wanted || ready == 0, "queue {number}: {ready} messages and who wants them");
        }
    }

    /// Who wants messages of a queue with rules has them, unless the first is dead and can't be stored elsewhere
    /// yet.
    fn check_laws(&self) {
        let Scene { model, now, troubled, .. } = &self.scene;
        for law in &LAWS {
            if *troubled && model.ledger.has_over(law.queue, *now) {
                continue;
            }
            let ready = self.scene.broker.queue(law.queue).map_or(0, |queue| queue.counts().ready);
            let wanted = self.clients.iter().any(|client| client.wants(incarnation(law.queue)));
            assert!(!wanted || ready == 0, "queue {}: {ready} messages are wanted", law.queue);
        }
    }

    /// Nobody does anything for so long that all that waits comes to its end.
    fn wait_out(&mut self) {
        for _ in 0..4 {
            self.scene.pass((LONG + CLOCK_SET) / 4);
            self.rest();
        }
        self.scene.model.ledger.check_after_rest(self.scene.now);
    }

    /// A client takes all that there is, and finds what there must be.
    pub fn drain(&mut self) {
        for client in &mut self.clients {
            client.disconnect(&mut self.scene);
        }
        self.wait_out();
        let mut client = Client::new(1000 + u64::from(self.depth));
        client.connect(&mut self.scene);
        self.clients = vec![client];
        self.rest();
        let get = self.scene.random.chance(30);
        self.with_client(Client::open_channels);
        self.rest();
        self.with_client(Client::look_at_queues);
        self.rest();
        // What stood behind others may have died when these went, and be somewhere else by now.
        for _ in 0..if get { 3 } else { 1 } {
            self.with_client(|client, scene| client.take_all(scene, get));
            self.rest();
            while self.with_client(Client::take_more) {
                self.rest();
            }
            self.with_client(Client::settle_all);
            self.rest();
        }
        for queue in self.scene.model.queues() {
            let counts = self.scene.broker.queue(queue.number).map(|queue| queue.counts());
            let left = counts.map(|counts| counts.ready + counts.unacked);
            assert_eq!((queue.bounds().0, left), (0, Some(0)), "queue {}", queue.number);
        }
        self.scene.model.ledger.check_empty();
        for law in &LAWS {
            let left = self.scene.broker.counts(Owner::Queue(law.queue));
            assert_eq!(left, (0, 0), "queue {}", law.queue);
        }
    }

    fn with_client<R>(&mut self, act: impl FnOnce(&mut Client, &mut Scene) -> R) -> R {
        let client = self.clients.first_mut().expect("the client that takes all");
        act(client, &mut self.scene)
    }

    /// The disk is full for a while.
    pub fn fill_disk(&mut self) {
        self.scene.troubled = true;
        let room = self.scene.random.below(60_000);
        self.scene.disk.set_capacity(Some(self.scene.disk.used_bytes() + room));
    }

    /// There is room again: all goes on.
    pub fn free_disk(&mut self) {
        self.scene.disk.set_capacity(None);
        self.rest();
        assert_eq!(self.scene.broker.store.status().health, Health::Ready);
        assert!(!self.scene.broker.node.alarms().any(), "there is room again");
    }

    /// The disk of the catalog fails.
    pub fn fail_catalog(&mut self) {
        self.scene.troubled = true;
        self.scene.broker.catalog.fail();
    }

    /// An operation of the disk fails some time.
    pub fn fail_disk(&mut self) {
        self.scene.troubled = true;
        self.witness.no_kills();
        let nth = 1 + self.scene.random.below(30);
        match self.scene.random.below(3) {
            0 => self.scene.disk.fail_write(nth, Fault::Io),
            1 => self.scene.disk.fail_sync(nth, Fault::Io),
            _ => self.scene.disk.fail_name(nth, Fault::Io),
        }
    }
}

/// Of several consumers one is active; whether it can take more.
fn wants_as_the_active_one(queue: u8, consumers: &[ConsumerStatus]) -> bool {
    let active = |of: &&ConsumerStatus| of.activity == Activity::SingleActive;
    let active: Vec<_> = consumers.iter().filter(active).collect();
    assert_eq!(active.len(), consumers.len().min(1), "queue {queue}: {consumers:?}");
    let has_room = |of: &&ConsumerStatus| {
        of.spec.no_ack || of.spec.prefetch == 0 || of.unacked < of.spec.prefetch
    };
    active.into_iter().any(|of| has_room(&of))
}
