//! What reads octets from outside, against octets that are almost right: valid ones, changed here and
//! there. Nothing may panic, run on for ever, take more memory than its bound ([`bounds`]) or answer nonsense,
//! whatever comes.
//!
//! Each target is a function of octets. Tests give it its seeds, the corpus and changed seeds:
//! `PROPTEST_CASES` says how many; what has failed is shrunk and printed; `PROPTEST_RNG_SEED` repeats a run.
//! With cargo-fuzz (`targets/`, `cargo xtask fuzz --guided`) libFuzzer chooses the octets by what code they reach.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::missing_panics_doc)]

pub mod bounds;
pub mod configuration;
pub mod files;
pub mod http;
#[cfg(test)]
mod octets;
pub mod peer;
pub mod sequences;
pub mod texts;

#[cfg(test)]
use proptest::prelude::ProptestConfig;

/// Something that reads octets from outside.
pub struct Target {
    /// That of its program in `targets/` and its folder in `corpus/`.
    pub name: &'static str,
    /// Has it read them. Panics if that does not end well.
    pub run: fn(&[u8]),
    /// Octets that are right.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "stream", run: peer::stream, seeds: peer::streams },
    Target {
        name: "stream_after_login",
        run: peer::stream_after_login,
        seeds: peer::streams_after_login,
    },
    Target { name: "payload", run: peer::payload, seeds: peer::payloads },
    Target { name: "methods", run: sequences::methods, seeds: Vec::new },
    Target { name: "requests", run: http::requests, seeds: http::seeds },
    Target {
        name: "configuration",
        run: configuration::configuration,
        seeds: configuration::seeds,
    },
    Target { name: "definitions", run: texts::definitions, seeds: texts::documents },
    Target { name: "hash", run: texts::hash, seeds: texts::hashes },
    Target { name: "data_directory", run: files::data_directory, seeds: files::seeds },
];

/// As many cases as are asked for; `cost` times fewer of those that take long.
#[cfg(test)]
fn cases(cost: u32) -> ProptestConfig {
    let config = ProptestConfig::default();
    let cases = (config.cases / cost).max(1);
    lepus_tests::figure(&format!("fuzz executions: {cases}"));
    ProptestConfig { cases, failure_persistence: None, max_shrink_time: 60_000, ..config }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::TARGETS;

    #[test]
    fn each_target_has_a_program() {
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("targets");
        let files = std::fs::read_dir(programs).unwrap().map(|file| file.unwrap().path());
        let mut programs: Vec<_> = files.map(|file| file.file_stem().unwrap().to_owned()).collect();
        programs.sort();
        let mut targets: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        targets.sort_unstable();
        assert_eq!(programs, targets);
    }

    /// What libFuzzer has found worth keeping, and what once went wrong.
    #[test]
    fn seeds_and_corpora_are_read() {
        let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
        for target in TARGETS {
            for seed in (target.seeds)() {
                (target.run)(&seed);
            }
            let files = std::fs::read_dir(corpora.join(target.name)).unwrap();
            let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
            files.sort();
            assert!(!files.is_empty(), "{} has no corpus", target.name);
            for file in files {
                println!("{}", file.display());
                (target.run)(&std::fs::read(file).unwrap());
            }
        }
    }
}
