//! What operators give beside the configuration: definitions, hashes.

use lepus::access::password::{Algorithm, PasswordHash};
use lepus::config::Config;
use lepus::definitions::{self, difference, export};
use lepus::node::Node;

use crate::bounds::{MIB, within};

const DEFINITIONS: &[&[u8]] = &[
    include_bytes!("../../../broker/src/definitions/fixtures/rabbitmq-3.8.json"),
    include_bytes!("../../../broker/src/definitions/fixtures/rabbitmq-3.9.json"),
    include_bytes!("../../../broker/src/definitions/fixtures/rabbitmq-3.10.8.json"),
    include_bytes!("../../../broker/src/definitions/fixtures/rabbitmq-3.11.json"),
    include_bytes!("../../../broker/src/definitions/fixtures/rabbitmq-4.1.json"),
    include_bytes!("../../../broker/src/definitions/fixtures/rabbitmq-4.0-vhost.json"),
];

/// A hash that Argon2 has made.
const KNOWN: &[u8] = b"JGFyZ29uMmlkJHY9MTkkbT04LHQ9MSxwPTEkYzJGc2RITmhiSFEkQUFBQQ==";

/// Octets that a document may make a broker allocate.
const DOCUMENT: u64 = 128 * MIB;

/// The same of a hash. Argon2 takes as much as a hash says, up to 256 MiB.
const HASH: u64 = 257 * MIB;

/// A document of definitions. One that is refused changes nothing.
pub fn definitions(octets: &[u8]) {
    within(DOCUMENT, || import(octets));
}

/// The hash of a password, as definitions have it.
pub fn hash(octets: &[u8]) {
    hash_of(octets, b"no such password");
}

fn hash_of(octets: &[u8], password: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512, Algorithm::Md5, Algorithm::Argon2id] {
        within(HASH, || {
            if let Ok(hash) = PasswordHash::decode(algorithm, &text) {
                assert!(!hash.matches(&password.into()));
            }
        });
    }
}

/// What RabbitMQ has exported.
pub fn documents() -> Vec<Vec<u8>> {
    DEFINITIONS.iter().map(|document| document.to_vec()).collect()
}

/// A hash of each kind.
pub fn hashes() -> Vec<Vec<u8>> {
    vec![KNOWN.to_vec(), b"AQIDBDB9kM21iEUzN1lZ+6VReCsdNqS0sERdAQTcY6Xs3PMz".to_vec()]
}

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::cases;
    use crate::octets::{changed, edits};

    proptest! {
        #![proptest_config(cases(2))]

        #[test]
        fn a_document_of_definitions(text in select(DEFINITIONS), edits in edits(6)) {
            definitions(&changed(text, &edits));
        }

        #[test]
        fn a_hash(edits in edits(4), password in any::<Vec<u8>>()) {
            hash_of(&changed(KNOWN, &edits), &password);
        }
    }
}
