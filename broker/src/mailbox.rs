//! What other threads leave for a connection.

use std::sync::Arc;
use std::task::Waker;

use atomic_waker::AtomicWaker;
use lepus_sync::Mutex;
use tokio::sync::oneshot;

use crate::access::{Identity, Refused};
use crate::error::Refusal;
use crate::message::Message;
use crate::queue::Queue;
use crate::queue::state::{ConsumerKey, Delivery, LateDelivery};
use crate::session::seen::Told;

/// Something for a connection to do.
#[derive(Debug)]
pub enum Mail {
    /// Messages of one queue for consumers of the connection.
    Deliveries(Arc<Queue>, Vec<Delivery>),
    /// A queue went away under a consumer.
    Cancelled(ConsumerKey),
    /// Messages are ready for a pulling consumer.
    Wanted(ConsumerKey),
    /// Deliveries of a queue, to one consumer, that it has held for too long.
    TimedOut(Arc<Queue>, ConsumerKey, Vec<LateDelivery>),
    /// A reply to a request sent with direct reply-to.
    Reply {
        /// The channel that asked.
        channel: u16,
        /// The routing key that the channel awaits replies under.
        key: String,
        /// The reply.
        message: Message,
    },
    /// The broker closes the connection.
    Close(Refusal),
    /// An operator asks for the channels.
    Channels(oneshot::Sender<Told>),
    /// A user, by name, is deleted.
    UserGone(Arc<str>),
    /// Whether somebody gets in is known.
    Judged(Box<Result<Identity, Refused>>),
    /// Publishers are held back, or no longer.
    Alarm,
    /// The store has got further: something that was awaited may be durable.
    Durable,
    /// Messages that were awaited may have been read from the store.
    Loaded,
}

/// A connection's mailbox: any thread posts, the connection's task collects.
///
/// Its size is bounded by what the posters may have in flight: deliveries by the consumers'
/// windows, all others by the number of consumers and channels.
#[derive(Debug, Default)]
pub struct Mailbox {
    inner: Mutex<Inner>,
    waker: AtomicWaker,
}

#[derive(Debug, Default)]
struct Inner {
    mail: Vec<Mail>,
    closed: bool,
}

impl Mailbox {
    /// Leaves mail; returns it if nobody will collect it any more.
    pub fn post(&self, mail: Mail) -> Result<(), Mail> {
        let mut inner = self.inner.lock();
        if inner.closed {
            return Err(mail);
        }
        inner.mail.push(mail);
        let first = inner.mail.len() == 1;
        drop(inner);
        if first {
            self.waker.wake();
        }
        Ok(())
    }

    /// Takes all mail, leaving `emptied` (empty, for its room) in its place.
    pub fn collect(&self, emptied: Vec<Mail>) -> Vec<Mail> {
        let mut inner = self.inner.lock();
        if inner.mail.is_empty() { emptied } else { std::mem::replace(&mut inner.mail, emptied) }
    }

    /// Whether there is nothing to collect.
    pub fn is_empty(&self) -> bool {
        self.inner.lock().mail.is_empty()
    }

    /// Refuses mail from now on and returns what is left.
    pub fn close(&self) -> Vec<Mail> {
        let mut inner = self.inner.lock();
        inner.closed = true;
        std::mem::take(&mut inner.mail)
    }

    /// Whom to wake when mail comes. Check [`Self::is_empty`] after it.
    pub fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }
}

#[cfg(all(test, feature = "models"))]
pub(crate) mod models;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn wanted(number: u32) -> Mail {
        Mail::Wanted(ConsumerKey { connection: 1, number })
    }

    fn numbers(mail: &[Mail]) -> Vec<u32> {
        let number = |mail: &Mail| match mail {
            Mail::Wanted(key) => Some(key.number),
            _ => None,
        };
        mail.iter().filter_map(number).collect()
    }

    #[test]
    fn mail_is_collected_in_order() {
        let mailbox = Mailbox::default();
        assert!(mailbox.is_empty() && mailbox.collect(Vec::new()).is_empty());
        for number in 0..5 {
            assert!(mailbox.post(wanted(number)).is_ok());
        }
        assert!(!mailbox.is_empty());
        assert_eq!(numbers(&mailbox.collect(Vec::new())), [0, 1, 2, 3, 4]);
        assert!(mailbox.is_empty());
    }

    #[test]
    fn a_closed_mailbox_gives_back_what_is_left_and_what_comes() {
        let mailbox = Mailbox::default();
        assert!(mailbox.post(wanted(1)).is_ok());
        assert_eq!(numbers(&mailbox.close()), [1]);
        let returned = mailbox.post(wanted(2)).expect_err("nobody collects it");
        assert_eq!(numbers(&[returned]), [2]);
        assert!(mailbox.is_empty() && mailbox.close().is_empty());
    }

    #[test]
    fn the_first_mail_wakes_and_the_others_need_not() {
        let mailbox = Mailbox::default();
        let bell = Arc::new(Bell::default());
        for round in 1..=2 {
            mailbox.register(&Waker::from(bell.clone()));
            for number in 0..3 {
                assert!(mailbox.post(wanted(number)).is_ok());
            }
            assert_eq!(bell.0.load(Ordering::Relaxed), round);
            mailbox.collect(Vec::new());
        }
    }
}
