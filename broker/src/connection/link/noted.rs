//! What the log says of a connection: which one it is, from where, whose, and in which virtual host.

use super::{Link, Phase};

/// Writes a line of the log about a [`Link`].
macro_rules! note {
    ($level:ident, $link:expr, $($text:tt)+) => {
        tracing::$level!(
            connection = $link.connection,
            from = %$link.facts.ends().0,
            user = $link.known_user().map(tracing::field::display),
            vhost = $link.known_vhost().map(tracing::field::display),
            $($text)+
        )
    };
}
pub(super) use note;

impl Link {
    /// The user, once one is logged in.
    pub(super) fn known_user(&self) -> Option<&str> {
        Some(self.user.as_str()).filter(|user| !user.is_empty())
    }

    /// The virtual host, once the connection is open.
    pub(super) fn known_vhost(&self) -> Option<&str> {
        match &self.phase {
            Phase::Running(session) => Some(session.vhost()),
            _ => None,
        }
    }

    /// The deadline has passed. What is owed to a client that takes its leave is nobody's trouble.
    pub(super) fn note_deadline(&self) {
        if matches!(self.phase, Phase::Header | Phase::Handshake(_)) {
            note!(warn, self, "not open in time, closing");
        }
    }
}
