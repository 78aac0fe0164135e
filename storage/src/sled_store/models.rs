//! The thread that commits, those who wait for it, and whoever sees that the files are gone. Found: news after
//! the end; who waits is not woken at the end.

use std::sync::Arc;

use lepus_sync::{Mutex, check, thread};

use super::committer::{Committer, start};
use crate::Lsn;

/// What was told, in order.
type News = Arc<Mutex<Vec<Option<Lsn>>>>;

fn committer() -> (Arc<Committer>, News) {
    let news = News::default();
    let tell = news.clone();
    let on_durable = move |lsn| tell.lock().push(lsn);
    (Arc::new(Committer::new(Lsn(0), Some(Arc::new(on_durable)))), news)
}

#[test]
fn whoever_has_appended_is_told_that_it_is_durable() {
    check(|| {
        let (committer, news) = committer();
        let committing = start(committer.clone(), || Ok(())).unwrap();
        let appending = [1, 2].map(|number| {
            let committer = committer.clone();
            thread::spawn(move || {
                committer.appended(Lsn(number), 10);
                committer.wait_for(Lsn(number)).unwrap();
            })
        });
        appending.into_iter().for_each(|thread| thread.join().unwrap());
        committer.appended(Lsn(3), 10);
        committer.close();
        committing.join().unwrap();
        let news = news.lock();
        assert!(news.is_sorted() && news.last() == Some(&Some(Lsn(3))), "{news:?}");
    });
}

#[test]
fn nothing_is_told_after_the_end() {
    check(|| {
        let (committer, news) = committer();
        let committing = start(committer.clone(), || Ok(())).unwrap();
        let failing = thread::spawn({
            let committer = committer.clone();
            move || committer.poison("its files are gone")
        });
        committer.appended(Lsn(1), 10);
        let done = committer.wait_for(Lsn(1));
        failing.join().unwrap();
        committing.join().unwrap();
        let news = news.lock();
        let told = if done.is_ok() { &[Some(Lsn(1)), None][..] } else { &[None] };
        assert!(*news == told || *news == [Some(Lsn(1)), None], "{news:?}");
    });
}
