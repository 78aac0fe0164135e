//! Damage anywhere, and what a repair makes of it: what is missing afterwards is what was reported.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::engine::{Stepped, directory};
use super::life::Life;
use super::log::Setup;
use super::run::{Place, begin};
use crate::conformance::model::Model;
use crate::disk::Disk;
use crate::disk::sim::{Random, SimDisk};
use crate::log::inspect::Examined;
use crate::log::salvage::{Fault, Findings, Lost};
use crate::{LogStore, MessageStore, QueueId, ReadMax, Recovered, Seq, StoreError, Stored};

const ALL: [QueueId; 3] = [QueueId(0), QueueId(1), QueueId(2)];
const EVERYTHING: ReadMax = ReadMax { messages: usize::MAX, bytes: usize::MAX };

/// What damage has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// It did not matter, or was taken for a torn write.
    Sound,
    /// All messages are there.
    Lossless,
    /// Some are not.
    Lossy,
}

/// What was told of damage, by a repair that was interrupted too.
#[derive(Debug, Default)]
struct Told {
    faults: Vec<Fault>,
    lost: Vec<Lost>,
}

impl Told {
    fn add(&mut self, findings: &Findings) {
        self.faults.extend(findings.faults.iter().cloned());
        self.lost.extend(findings.lost.iter().cloned());
    }
}

/// A life, damage, a repair; and the repair once more on a machine that crashes in it.
pub(super) fn repaired(seed: u64) -> Outcome {
    let _place = Place(format!("repair, seed {seed}"));
    let mut random = Random::new(seed ^ 0x4e9a);
    let mut life = begin::<LogStore>(seed, LogStore::setup(seed), 0);
    life.script.transactional = false;
    for _ in 0..20 + random.below(100) {
        life.go_on().unwrap();
    }
    let (disk, setup, model) = ended(life, &mut random);
    let path = damage(&disk, &mut random);
    let _place = Place(path.display().to_string());
    let other = disk.image_after_kill(seed);
    let outcome = repair_and_compare(&disk, &setup, model.clone(), &path, &mut Told::default());
    let steps = disk.steps();
    if steps > 0 && random.chance(50) {
        other.crash_after(1 + random.below(steps));
        let mut told = Told::default();
        if let Ok(mut examined) = examine(&other, &model) {
            examined.verify().unwrap();
            told.add(&examined.findings);
            let _ = examined.repair(&directory());
        }
        let image = other.image_after_crash(random.number());
        let again = repair_and_compare(&image, &setup, model, &path, &mut told);
        assert!(again == outcome, "{again:?} after {outcome:?}");
    }
    outcome
}

/// Stopped, or killed when all was written.
fn ended(mut life: Life<LogStore>, random: &mut Random) -> (SimDisk, Setup, Model) {
    let (disk, setup) = (life.disk.clone(), life.setup.clone());
    if random.chance(50) {
        let model = life.close().unwrap();
        return (disk, setup, model);
    }
    life.rest();
    (disk.image_after_kill(random.number()), setup, life.model.clone())
}

/// Damages a file that the store needs to open.
fn damage(disk: &SimDisk, random: &mut Random) -> PathBuf {
    let mut paths = disk.paths();
    paths.retain(|path| path.extension().is_none_or(|extension| extension != "free"));
    let path = paths[random.index(paths.len())].clone();
    let len = disk.contents(&path).unwrap().len() as u64;
    match random.below(10) {
        0 => disk.lose(&path).unwrap(),
        1 => disk.cut(&path, random.below(len + 1)).unwrap(),
        2 if len > 512 => {
            // A real disk can read what was written anew; this one cannot, so headers are spared.
            let at = (512 + random.below(len - 512)) / 512 * 512;
            disk.fail_reads(&path, at..(at + 512)).unwrap();
        }
        _ if len > 0 => {
            for _ in 0..1 + random.below(3) {
                disk.flip_byte(&path, random.below(len)).unwrap();
            }
        }
        _ => {}
    }
    path
}

fn examine(disk: &SimDisk, model: &Model) -> Result<Examined, StoreError> {
    let declared = || Ok(Some(model.recovered().meta));
    Examined::open(&directory(), Arc::new(disk.clone()), declared, false)
}

fn repair_and_compare(
    disk: &SimDisk,
    setup: &Setup,
    mut model: Model,
    path: &Path,
    told: &mut Told,
) -> Outcome {
    // Only the lock's file is made.
    drop(disk.lock(&directory().join("lock")).unwrap());
    let steps = disk.steps();
    let mut examined = match examine(disk, &model) {
        // Damage that looks like another version.
        Err(StoreError::Format { .. }) => return Outcome::Sound,
        examined => examined.unwrap(),
    };
    examined.verify().unwrap();
    assert_eq!(disk.steps(), steps, "looking changes nothing");
    told.add(&examined.findings);
    if told.faults.is_empty() && examined.recovered.lsn < model.latest() {
        // What is missing at the end cannot be told from what was never written.
        model.crash(examined.recovered.lsn);
    }
    let _place = Place(format!(
        "{:?} found, {:?} the latest, {:?}",
        examined.recovered.lsn,
        model.latest(),
        examined.findings.faults
    ));
    let sound = examined.findings.faults.is_empty() && examined.findings.lost.is_empty();
    let aside = examined.repair(&directory()).unwrap();
    assert_eq!(aside.is_none(), sound);
    drop(examined);
    if !sound {
        let again = examine(disk, &model).map(|mut again| {
            again.verify().unwrap();
            again.findings
        });
        let again = again.unwrap();
        assert!(again.faults.is_empty() && again.lost.is_empty(), "{again:?}");
    }
    let (store, recovered) = <LogStore as Stepped>::open_on(setup, Arc::new(disk.clone())).unwrap();
    if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("meta.")) {
        assert_eq!(recovered.meta, model.recovered().meta);
    }
    let lost = compare(&store, &recovered, &model, told);
    store.close().unwrap();
    match (told.faults.is_empty() && told.lost.is_empty(), lost) {
        (true, 0) => Outcome::Sound,
        (true, lost) => panic!("{lost} messages lost without a word"),
        (false, 0) => Outcome::Lossless,
        (false, _) => Outcome::Lossy,
    }
}

/// Compares what is there with what was reported. Returns how many messages are missing.
fn compare(store: &LogStore, recovered: &Recovered, model: &Model, told: &Told) -> usize {
    // Damage to the log takes settlements with it.
    let damaged = told.faults.iter().any(|fault| {
        let what = &fault.what;
        what.contains("group commit") || what.contains("checkpoint") || what.contains("segment")
    });
    let mut missing = 0;
    for queue in ALL {
        let mut found = Vec::new();
        store.read(queue, Seq(0), EVERYTHING, &mut found).unwrap();
        let weight_and_count = store.stats(queue);
        assert_eq!(weight_and_count.messages, found.len() as u64);
        let found: BTreeMap<Seq, Stored> = found.into_iter().map(|m| (m.seq, m)).collect();
        let expected = model.now.stored(queue);
        let next =
            recovered.queues.iter().find(|(id, _)| *id == queue).map_or(Seq(0), |q| q.1.next);
        let reported = |seq: Seq, certain: bool| {
            told.lost.iter().any(|lost| {
                lost.queue == queue
                    && lost.first <= seq
                    && seq <= lost.last
                    && (lost.certain || !certain)
            })
        };
        for message in &expected {
            let seq = message.seq;
            match found.get(&seq) {
                Some(there) => {
                    assert_eq!(there.payload, message.payload);
                    assert!(damaged || there.returns == message.returns);
                    assert!(!reported(seq, true), "{queue:?} {seq:?} is there");
                }
                None => {
                    missing += 1;
                    // The end of a queue that nothing was heard of any more is not known.
                    let known = reported(seq, false) || (damaged && seq >= next);
                    assert!(known, "{queue:?} {seq:?} is missing: {told:?}");
                }
            }
        }
        let more = found.keys().filter(|seq| expected.iter().all(|m| m.seq != **seq));
        assert!(damaged || more.count() == 0, "{queue:?}: settled messages came back");
        if !damaged && expected.len() == found.len() {
            assert_eq!(weight_and_count, model.now.stats(queue));
        }
    }
    missing
}
