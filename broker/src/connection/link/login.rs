//! Logging in, as far as the connection is concerned: when it is asked, and when it answers.

use amq_protocol::protocol::connection::{AMQPMethod, Tune};
use lepus_protocol::handshake::Tuning;

use super::{Link, Phase, Stop};
use crate::access::{Identity, Refused, sasl};
use crate::error::Refusal;

/// How far a login is.
#[derive(Default)]
pub(super) enum Login {
    /// Nobody has tried, or all is said.
    #[default]
    None,
    /// Others are asked.
    Asked(Who),
    /// The answer is held back until a time, ms since 1970.
    Held(u64, Who, Result<Box<Identity>, Refused>),
}

/// Who wants in, and how.
pub(super) struct Who {
    mechanism: String,
    user: String,
}

impl Link {
    /// Whether a login goes on: nothing more is taken in until it is over.
    pub(super) fn is_logging_in(&self) -> bool {
        !matches!(self.login, Login::None)
    }

    /// When the answer to a login is due.
    pub(super) fn login_due(&self) -> Option<u64> {
        match &self.login {
            Login::Held(at, ..) => Some(*at),
            _ => None,
        }
    }

    pub(super) fn log_in(
        &mut self,
        mechanism: &str,
        response: &[u8],
        now: u64,
    ) -> Result<(), Stop> {
        let Some(attempt) = sasl::attempt(mechanism, response) else {
            return Err(Stop::Silently(format!("no login by mechanism '{mechanism}'")));
        };
        let who = Who { mechanism: mechanism.to_owned(), user: attempt.user.clone() };
        let judged = self.node.access().log_in(&self.node.config(), &attempt, self.from);
        self.login = Login::Asked(who);
        self.judged(judged, now)
    }

    /// It is known whether somebody gets in.
    pub(super) fn judged(
        &mut self,
        judged: Result<Identity, Refused>,
        now: u64,
    ) -> Result<(), Stop> {
        let Login::Asked(who) = std::mem::take(&mut self.login) else { return Ok(()) };
        let failures = self.node.access().failures();
        let wait = failures.note(self.from, &who.user, judged.is_err(), now);
        self.login = Login::Held(now + wait, who, judged.map(Box::new));
        if wait == 0 { self.answer_login() } else { Ok(()) }
    }

    /// Answers a login.
    pub(super) fn answer_login(&mut self) -> Result<(), Stop> {
        let Login::Held(_, who, judged) = std::mem::take(&mut self.login) else { return Ok(()) };
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

    /// The client is not told why.
    fn login_refused(&self, Who { mechanism, user }: &Who, why: &str) -> Stop {
        tracing::warn!(connection = self.connection, from = %self.from, "{mechanism} login refused: {why}");
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
