//! What operators give: files of the configuration, definitions, certificates' names, hashes.

use proptest::prelude::*;
use proptest::sample::select;

use super::bounds::{MIB, within};
use super::cases;
use super::octets::{changed, edits};
use crate::access::password::{Algorithm, PasswordHash};
use crate::config::Config;
use crate::config::load::load;
use crate::config::sources::Sources;
use crate::definitions::{self, difference, export};
use crate::node::Node;

const CONFIG: &[u8] = include_bytes!("corpus/rabbitmq.conf");

const DEFINITIONS: &[&[u8]] = &[
    include_bytes!("../definitions/fixtures/rabbitmq-3.8.json"),
    include_bytes!("../definitions/fixtures/rabbitmq-3.9.json"),
    include_bytes!("../definitions/fixtures/rabbitmq-3.10.8.json"),
    include_bytes!("../definitions/fixtures/rabbitmq-3.11.json"),
    include_bytes!("../definitions/fixtures/rabbitmq-4.1.json"),
    include_bytes!("../definitions/fixtures/rabbitmq-4.0-vhost.json"),
];

proptest! {
    #![proptest_config(cases(2))]

    #[test]
    fn a_configuration(edits in edits(8)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rabbitmq.conf");
        std::fs::write(&path, changed(CONFIG, &edits)).unwrap();
        let sources = Sources { config: Some(path), ..Sources::default() };
        match within(4 * MIB, || load(&sources)) {
            Ok(loaded) => prop_assert_eq!(loaded.settings.config(&mut Vec::new()), loaded.config),
            Err(why) => prop_assert!(!why.faults.is_empty()),
        }
    }

    /// A document that is refused changes nothing.
    #[test]
    fn a_document_of_definitions(text in select(DEFINITIONS), edits in edits(6)) {
        let text = changed(text, &edits);
        within(DOCUMENT, || import(&text));
    }

    #[test]
    fn a_hash(edits in edits(4), password in any::<Vec<u8>>()) {
        let known = b"JGFyZ29uMmlkJHY9MTkkbT04LHQ9MSxwPTEkYzJGc2RITmhiSFEkQUFBQQ==";
        let text = changed(known, &edits);
        let text = String::from_utf8_lossy(&text);
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512, Algorithm::Md5, Algorithm::Argon2id] {
            within(HASH, || {
                if let Ok(hash) = PasswordHash::decode(algorithm, &text) {
                    assert!(!hash.matches(&password.as_slice().into()));
                }
            });
        }
    }
}

/// Octets that a document may make a broker allocate.
const DOCUMENT: u64 = 128 * MIB;

/// The same of a hash. Argon2 takes as much as a hash says, up to 256 MiB.
const HASH: u64 = 257 * MIB;

fn import(text: &[u8]) {
    let Ok(read) = definitions::read_vhost(text, "/") else { return };
    let node = Node::in_memory(Config::default());
    let before = export(&node);
    match definitions::import(&node, "fuzz", &read) {
        Ok(()) => {
            let once = export(&node);
            let written = serde_json::to_vec(&definitions::document(&once)).unwrap();
            let again = definitions::read(&written).unwrap();
            assert_eq!(difference(&once, &again), vec![]);
            definitions::import(&node, "fuzz", &again).unwrap();
            assert_eq!(difference(&once, &export(&node)), vec![]);
        }
        Err(_) => assert_eq!(difference(&before, &export(&node)), vec![]),
    }
    node.dismantle();
}
