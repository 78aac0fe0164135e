//! Logging in, as far as the connection is concerned: whom it asks, when it answers, and when the login ends.

use amq_protocol::protocol::connection::{AMQPMethod, OpenOk, Tune, UpdateSecret, UpdateSecretOk};
use lepus_protocol::handshake::Tuning;
use lepus_protocol::method::MethodId;
use lepus_protocol::reply::ReplyCode;
use tokio::runtime::Handle;

use std::sync::Arc;

use super::noted::note;
use super::{Link, Phase, Stop};
use crate::access::attempts::Protocol;
use crate::access::password::Secret;
use crate::access::sasl::Mechanism;
use crate::access::{Answer, Attempt, Identity, Refused};
use crate::connection::Open;
use crate::error::Refusal;
use crate::mailbox::Mail;
use crate::session::{Peer, Session};

/// How far a login is.
#[derive(Default)]
pub(super) enum Login {
    /// Nobody has tried, or it is for ever.
    #[default]
    None,
    /// Others are asked.
    Asked(Who),
    /// The answer is held back until a time, ms since 1970.
    Held(u64, Who, Result<Box<Identity>, Refused>),
    /// The connection is open until a time, ms since 1970.
    In(u64),
}

/// Who wants in, and how.
pub(super) struct Who {
    mechanism: Mechanism,
    user: String,
}

impl Link {
    /// The SASL mechanisms that the client may use.
    pub(super) fn mechanisms(&self) -> String {
        Mechanism::offered(&self.node.config().auth, self.facts.is_tls())
    }

    /// Whether a login goes on: nothing more is taken in until it is over.
    pub(super) fn is_logging_in(&self) -> bool {
        matches!(self.login, Login::Asked(_) | Login::Held(..))
    }

    /// When the answer to a login is due, or its end.
    pub(super) fn login_due(&self) -> Option<u64> {
        match &self.login {
            Login::Held(at, ..) | Login::In(at) => Some(*at),
            Login::None | Login::Asked(_) => None,
        }
    }

    pub(super) fn log_in(
        &mut self,
        mechanism: &str,
        response: &[u8],
        now: u64,
    ) -> Result<(), Stop> {
        let config = self.node.config();
        let auth = &config.auth;
        let found = Mechanism::find(mechanism, auth, self.facts.is_tls()).and_then(|mechanism| {
            let attempt = mechanism.attempt(auth, self.facts.peer_certificate(), response)?;
            Some((mechanism, attempt))
        });
        let Some((mechanism, attempt)) = found else {
            return Err(Stop::Silently(format!("no login by mechanism '{mechanism}'")));
        };
        let attempt = match attempt {
            Ok(attempt) => attempt,
            Err(refused) => {
                self.login = Login::Asked(Who { mechanism, user: String::new() });
                return self.judged(Err(refused), now);
            }
        };
        self.login = Login::Asked(Who { mechanism, user: attempt.user.clone() });
        match Handle::try_current() {
            Ok(runtime) if self.node.access().is_slow(&attempt) => {
                self.ask(attempt, &runtime);
                Ok(())
            }
            _ => {
                let judged = self.node.access().log_in(&config, &attempt, self.from);
                self.judged(judged, now)
            }
        }
    }

    /// Has somebody else judge an attempt; the answer comes by mail.
    fn ask(&self, attempt: Attempt, runtime: &Handle) {
        let (node, mailbox, from) = (self.node.clone(), self.mailbox.clone(), self.from);
        runtime.spawn(async move {
            // An error would mean that it is closed, which it never is.
            let Ok(place) = node.access().judges().clone().acquire_owned().await else { return };
            let judged = tokio::task::spawn_blocking(move || {
                let judged = node.access().log_in(&node.config(), &attempt, from);
                drop(place);
                judged
            });
            let failed = |error| Err(Refused(format!("the login could not be judged: {error}")));
            let judged = judged.await.unwrap_or_else(failed);
            // A client that is gone needs no answer.
            let _ = mailbox.post(Mail::Judged(Box::new(judged)));
        });
    }

    /// It is known whether somebody gets in.
    pub(super) fn judged(
        &mut self,
        judged: Result<Identity, Refused>,
        now: u64,
    ) -> Result<(), Stop> {
        let Login::Asked(who) = std::mem::take(&mut self.login) else { return Ok(()) };
        self.node.access().attempts().note(Protocol::Amqp, judged.is_err());
        let failures = self.node.access().failures();
        let wait = failures.note(self.from, &who.user, judged.is_err(), now);
        self.login = Login::Held(now + wait, who, judged.map(Box::new));
        if wait == 0 { self.answer_login(now) } else { Ok(()) }
    }

    /// Answers a login, or ends one whose time is over.
    pub(super) fn answer_login(&mut self, now: u64) -> Result<(), Stop> {
        let (who, judged) = match std::mem::take(&mut self.login) {
            Login::Held(_, who, judged) => (who, judged),
            Login::In(until) if until <= now => {
                return Err(Refusal::access("credential expired").hard().without_method().into());
            }
            other => {
                self.login = other;
                return Ok(());
            }
        };
        let identity = judged.map_err(|Refused(why)| self.login_refused(&who, &why))?;
        self.facts.tell_login(&self.node, &identity.user, None);
        self.user.clone_from(&identity.user);
        self.identity = Some(*identity);
        let Phase::Handshake(handshake) = &mut self.phase else { return Ok(()) };
        handshake.authenticated();
        let Tuning { channel_max, frame_max, heartbeat } = handshake.offer();
        self.send(AMQPMethod::Tune(Tune { channel_max, frame_max, heartbeat }));
        Ok(())
    }

    /// connection.open: into a virtual host, if the user may go there.
    pub(super) fn open(&mut self, name: &str) -> Result<(), Stop> {
        let id = MethodId { class: 10, method: 40 };
        let place = self.node.enter(self.connection, &self.user, name);
        let place = place.map_err(|refusal| refusal.with_method(id))?;
        let Some(identity) = self.identity.take() else {
            return Err(Stop::Silently("open without a login".to_owned()));
        };
        let answer = identity.ask(|authority| authority.vhost(name, self.from));
        if answer != Answer::Allow {
            let text = format!("access to vhost '{name}' refused for user '{}'", self.user);
            let refusal = Refusal::new(ReplyCode::NotAllowed, answer.explain(text));
            return Err(refusal.with_method(id).into());
        }
        self.send(AMQPMethod::OpenOk(OpenOk {}));
        self.deadline = None;
        self.login = identity.expires.map_or(Login::None, Login::In);
        let whose = (self.user.as_str(), name);
        let open = Arc::new(Open::new(
            (self.connection, self.mailbox.clone()),
            self.facts.clone(),
            self.user.clone(),
            place.vhost().clone(),
            self.tuning,
            self.stats.clone(),
        ));
        self.node.opened(open.clone());
        self.facts.tell_created(&self.node, self.connection, whose, self.tuning);
        self.phase = Phase::Running(Box::new(Session::new(Peer {
            name: self.facts.name(),
            node: self.node.clone(),
            vhost: place.vhost().clone(),
            place,
            connection: self.connection,
            open,
            mailbox: self.mailbox.clone(),
            stats: self.stats.clone(),
            user: self.user.clone(),
            identity,
            tuning: self.tuning,
            cancel_notify: self.capabilities.cancel_notify,
        })));
        note!(info, self, "connected");
        Ok(())
    }

    /// connection.update-secret: a newer token.
    pub(super) fn update_secret(
        &mut self,
        update: &UpdateSecret,
        id: MethodId,
        now: u64,
    ) -> Result<(), Stop> {
        let Phase::Running(session) = &mut self.phase else { return Ok(()) };
        let secret = Secret::from(update.new_secret.as_bytes());
        let renewed = session.renew(&secret, now);
        let expires = renewed.map_err(|why| {
            note!(error, self, "secret update refused: {why}");
            let text = "New secret was refused by one of the backends";
            Refusal::new(ReplyCode::NotAllowed, text).with_method(id)
        })?;
        self.login = expires.map_or(Login::None, Login::In);
        self.send(AMQPMethod::UpdateSecretOk(UpdateSecretOk {}));
        Ok(())
    }

    /// The client is not told why.
    fn login_refused(&self, Who { mechanism, user }: &Who, why: &str) -> Stop {
        let mechanism = mechanism.name();
        note!(warn, self, "{mechanism} login refused: {why}");
        self.facts.tell_login(&self.node, user, Some(why));
        let text = format!(
            "Login was refused using authentication mechanism {mechanism}. For details see the broker logfile."
        );
        match self.capabilities.authentication_failure_close {
            true => Refusal::access(text).hard().without_method().into(),
            false => Stop::Silently(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use lepus_protocol::handshake::PROTOCOL_HEADER;
    use lepus_tests::Method;

    use super::*;
    use crate::access::User;
    use crate::access::password::{Algorithm, PasswordHash};
    use crate::config::Config;
    use crate::node::Node;

    /// A link whose client has just tried to log in, and how much it was owed before.
    fn knock(node: &Arc<Node>, from: [u8; 4], password: &str) -> (Link, usize) {
        let mut link = Link::new(node.clone(), IpAddr::from(from), 0);
        link.input(&PROTOCOL_HEADER, 0);
        let owed = link.out.len();
        let response = format!("\0u\0{password}").into_bytes();
        let login = lepus_tests::Login { response, ..lepus_tests::Login::default() };
        link.input(&login.start_ok().bytes(0), 0);
        (link, owed)
    }

    fn node(algorithm: Algorithm) -> Arc<Node> {
        let node = Node::in_memory(Config { memory_watermark: u64::MAX, ..Config::default() });
        let password = Some(PasswordHash::new(algorithm, &"right".into()));
        let (name, tags, limits) = ("u".to_owned(), Vec::new(), Default::default());
        node.access().put_user("test", &node, User { name, password, tags, limits });
        node
    }

    #[test]
    fn who_guesses_waits_for_the_answer_and_others_do_not() {
        let node = node(Algorithm::Sha256);
        for _ in 0..5 {
            let (link, owed) = knock(&node, [10, 0, 0, 1], "wrong");
            assert!(link.out.len() > owed && !link.is_logging_in());
        }
        for password in ["wrong", "right"] {
            let (mut link, owed) = knock(&node, [10, 0, 0, 1], password);
            assert!(link.out.len() == owed && !link.wants_input());
            let due = link.tick(0).expect("a link that waits").expect("a time");
            assert_eq!(due, 100);
            assert!(link.tick(due).is_ok() && link.out.len() > owed && !link.is_logging_in());
        }
        let (link, owed) = knock(&node, [10, 0, 0, 2], "right");
        assert!(link.out.len() > owed && link.wants_input());
    }

    #[test]
    fn what_takes_a_while_is_judged_elsewhere_and_then_remembered() {
        let node = node(Algorithm::Argon2id);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let (mut link, owed) = knock(&node, [10, 0, 0, 1], "right");
            assert!(link.is_logging_in() && !link.wants_input() && link.out.len() == owed);
            while link.mailbox().is_empty() {
                tokio::task::yield_now().await;
            }
            for mail in link.mailbox().clone().collect(Vec::new()) {
                link.mail(mail, 0);
            }
            assert!(!link.is_logging_in() && link.out.len() > owed);
            let (link, owed) = knock(&node, [10, 0, 0, 1], "right");
            assert!(!link.is_logging_in() && link.out.len() > owed);
        });
    }
}
