//! The end is told once, and nothing after it. Found: a hook called when the lock was given back.

use std::sync::Arc;

use lepus_sync::{Mutex, check, thread};

use super::super::announce::Announcer;
use crate::Lsn;

#[test]
fn nothing_becomes_durable_after_the_end() {
    check(|| {
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = told.clone();
        let hook = Arc::new(move |lsn: Option<Lsn>| tell.lock().push(lsn));
        let announcer = Arc::new(Announcer::new(Lsn(0), Some(hook)));
        let threads = [
            thread::spawn({
                let announcer = announcer.clone();
                move || (1..=3).for_each(|lsn| announcer.advance(Lsn(lsn)))
            }),
            thread::spawn({
                let announcer = announcer.clone();
                move || announcer.end()
            }),
        ];
        announcer.end();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let told = told.lock();
        let (end, before) = told.split_last().unwrap();
        assert_eq!(*end, None, "{told:?}");
        assert!(before.iter().all(Option::is_some) && before.is_sorted(), "{told:?}");
        let last = before.last().copied().flatten().unwrap_or_default();
        assert_eq!(*announcer.subscribe().borrow(), last);
    });
}
