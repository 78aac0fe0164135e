//! Changes reach the catalog's thread, the last of each key, before it ends. Found: a thread that is
//! stopped before it looks for work.

use std::sync::Arc;

use bytes::Bytes;
use lepus_sync::{check, thread};

use super::pending::Pending;

#[test]
fn what_was_handed_over_is_taken_before_the_end() {
    check(|| {
        let pending = Arc::new(Pending::default());
        let taking = thread::spawn({
            let pending = pending.clone();
            move || {
                let mut taken = std::collections::BTreeMap::new();
                let mut version = 0;
                while let Some(work) = pending.take().unwrap() {
                    assert!(work.version > version);
                    version = work.version;
                    taken.extend(work.changes);
                }
                (version, taken)
            }
        });
        let key = |number: u64| Bytes::from((number % 2).to_string());
        for version in 1..=4 {
            let value = Some(Bytes::from(version.to_string()));
            pending.add(version, vec![(key(version), value)]).unwrap();
        }
        pending.stop();
        let (version, taken) = taking.join().unwrap();
        assert_eq!(version, 4);
        let taken: Vec<_> = taken.into_values().flatten().collect();
        assert_eq!(taken, ["4", "3"]);
    });
}
