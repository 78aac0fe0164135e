//! Queues write the parts of one transaction, each on a thread of its own. Found: parts that are
//! written when the lock was given back, so that the last one is not the last in the store; parts
//! after one that was refused.

use std::sync::Arc;

use lepus_storage::{Lsn, StoreError, TxPart};
use lepus_sync::{Mutex, check, thread};

use super::super::receipt::{Receipt, Transaction};
use crate::mailbox::Mailbox;

/// What the store has taken, and how many parts it was given.
#[derive(Default)]
struct Store {
    parts: Vec<TxPart>,
    given: u64,
}

/// What the store has, and how many threads were told that it has theirs; the part of that number is
/// refused.
fn write_parts(refused: Option<u64>) -> (Vec<TxPart>, usize) {
    let transaction = Transaction::new(7, 3, 0);
    let store = Arc::new(Mutex::new(Store::default()));
    let writing: Vec<_> = (0..3)
        .map(|number| {
            let (transaction, store) = (transaction.clone(), store.clone());
            thread::spawn(move || {
                let done = transaction.part(false, 0, |part, _| {
                    let mut store = store.lock();
                    store.given += 1;
                    if refused == Some(store.given) {
                        return Err(StoreError::Full { needed: number, free: 0 });
                    }
                    store.parts.push(part);
                    Ok(Lsn(store.given))
                });
                usize::from(done.is_ok())
            })
        })
        .collect();
    let taken = writing.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(transaction.is_done(), refused.is_none());
    let parts = store.lock().parts.clone();
    (parts, taken)
}

#[test]
fn the_last_part_is_the_last_one_in_the_store() {
    check(|| {
        let (parts, taken) = write_parts(None);
        let last: Vec<bool> = parts.iter().map(|part| part.last).collect();
        assert_eq!((last, taken), (vec![false, false, true], 3));
    });
}

#[test]
fn after_a_part_that_was_refused_there_is_none() {
    check(|| {
        let (parts, taken) = write_parts(Some(2));
        assert_eq!((parts.len(), taken), (1, 1));
        assert!(!parts[0].last);
    });
}

#[test]
fn who_counts_on_it_hears_of_the_last_part() {
    check(|| {
        let (transaction, written) = (Transaction::new(7, 3, 0), Arc::new(Mutex::new(0)));
        let receipt = Receipt::new(&Arc::<Mailbox>::default());
        transaction.await_whole(&receipt);
        let writing: Vec<_> = (0..3)
            .map(|_| {
                let (transaction, written) = (transaction.clone(), written.clone());
                thread::spawn(move || {
                    let next = |_, _| {
                        let mut written = written.lock();
                        *written += 1;
                        Ok(Lsn(*written))
                    };
                    transaction.part(false, 0, next).unwrap();
                    let (awaited, end) = transaction.take_awaited();
                    awaited.iter().map(|_| end).collect::<Vec<_>>()
                })
            })
            .collect();
        let told = writing.into_iter().flat_map(|thread| thread.join().unwrap());
        assert_eq!(told.collect::<Vec<_>>(), [Some(Lsn(3))]);
    });
}
