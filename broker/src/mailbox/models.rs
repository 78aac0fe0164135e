//! Threads post, the connection's task sleeps until there is mail: it looks, says whom to wake, looks
//! again, as `connection/io` does. Found: a wake-up before the mail is there; one only for the second
//! mail; mail taken by a mailbox that was closed.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use lepus_sync::{check, thread};
use shuttle::future::block_on;

use super::{Mail, Mailbox};
use crate::queue::state::ConsumerKey;

/// Posts these; returns how many nobody will collect.
fn post(mailbox: &Arc<Mailbox>, numbers: std::ops::Range<u32>) -> thread::JoinHandle<usize> {
    let mailbox = mailbox.clone();
    thread::spawn(move || {
        let wanted = numbers.map(|number| Mail::Wanted(ConsumerKey { connection: 1, number }));
        wanted.filter_map(|mail| mailbox.post(mail).err()).count()
    })
}

/// Waits until so much mail has come.
pub(crate) fn collect(mailbox: &Mailbox, most: usize) -> usize {
    let mut letters = 0;
    block_on(poll_fn(|cx| {
        loop {
            let mail = mailbox.collect(Vec::new());
            if !mail.is_empty() {
                letters += mail.len();
                continue;
            }
            if letters >= most {
                return Poll::Ready(letters);
            }
            mailbox.register(cx.waker());
            if mailbox.is_empty() {
                return Poll::Pending;
            }
        }
    }))
}

#[test]
fn all_mail_is_collected() {
    check(|| {
        let mailbox = Arc::new(Mailbox::default());
        let posting = [post(&mailbox, 0..2), post(&mailbox, 2..4)];
        assert_eq!(collect(&mailbox, 4), 4);
        assert!(posting.into_iter().all(|thread| thread.join().unwrap() == 0));
    });
}

#[test]
fn nothing_is_lost_in_a_mailbox_that_is_closed() {
    check(|| {
        let mailbox = Arc::new(Mailbox::default());
        let posting = [post(&mailbox, 0..2), post(&mailbox, 2..4)];
        let collected = collect(&mailbox, 1) + mailbox.close().len();
        let returned: usize = posting.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(collected + returned, 4);
        assert!(mailbox.is_empty());
    });
}
