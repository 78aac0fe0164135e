//! The end of a connection, whoever brings it about.

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::connection::{AMQPMethod, Close, CloseOk};
use lepus_protocol::frame::Piece;
use lepus_protocol::method::{self, Method, MethodId};

use super::login::Login;
use super::noted::note;
use super::{Link, Phase, Stop};
use crate::limits::{CLOSE_TIMEOUT, SILENT_CLOSE_DELAY};
use crate::out::Out;
use crate::session::reply_text;

impl Link {
    /// After connection.close only close-ok, or the peer's own close, still counts (0-9-1 §1.4.2.9).
    pub(super) fn closing_piece(&mut self, piece: Piece<'_>, now: u64) {
        let Piece::Method { channel: 0, payload } = piece else { return };
        let Ok(Method::Other(class)) = method::decode(payload) else { return };
        match *class {
            AMQPClass::Connection(AMQPMethod::CloseOk(_)) => self.end(now),
            AMQPClass::Connection(AMQPMethod::Close(_)) => {
                self.send(AMQPMethod::CloseOk(CloseOk {}));
                self.end(now);
            }
            _ => {}
        }
    }

    pub(super) fn close_session(&mut self) {
        if let Phase::Running(session) = &mut self.phase {
            session.close(&mut self.out);
            self.node.closed(self.connection);
        }
    }

    /// The one place where an error becomes connection.close, or a close without a word.
    pub(super) fn stop(&mut self, stop: Stop, now: u64) {
        self.login = Login::None;
        let refusal = match stop {
            Stop::Refused(refusal) => refusal,
            Stop::AtOnce => return self.end(now),
            Stop::Silently(why) => {
                note!(warn, self, "handshake failed: {why}");
                self.phase = Phase::Ended { silently: true };
                self.deadline = Some(now + SILENT_CLOSE_DELAY.as_millis() as u64);
                return;
            }
        };
        let text = refusal.reply_text();
        note!(warn, self, "connection closed: {text}");
        if let Phase::Running(session) = &mut self.phase {
            session.flush(&mut self.out);
        }
        self.close_session();
        let method = refusal.method.unwrap_or(MethodId::NONE);
        self.send(AMQPMethod::Close(Close {
            reply_code: refusal.code.code(),
            reply_text: reply_text(&text),
            class_id: method.class,
            method_id: method.method,
        }));
        self.phase = Phase::Closing;
        self.blocked = false;
        self.deadline = Some(now + CLOSE_TIMEOUT.as_millis() as u64);
    }

    pub(super) fn end(&mut self, now: u64) {
        self.login = Login::None;
        self.phase = Phase::Ended { silently: false };
        self.deadline = Some(now + CLOSE_TIMEOUT.as_millis() as u64);
    }
}

/// The socket is gone, or the task has failed: nothing stays behind.
impl Drop for Link {
    fn drop(&mut self) {
        if matches!(self.phase, Phase::Running(_)) {
            note!(warn, self, "the client has left without closing the connection");
        }
        if let Phase::Running(session) = &mut self.phase {
            session.close(&mut Out::default());
        }
        self.mailbox.close();
        self.node.disconnect(self.connection);
        self.facts.tell_closed(&self.node, self.connection);
    }
}
