//! Pieces of frames as the link looks at them, and what it says of those that are out of place.

use lepus_protocol::frame::{self, Piece};
use lepus_protocol::method::MethodId;
use lepus_protocol::octets;
use lepus_protocol::reply::ReplyCode;

use crate::error::Refusal;

/// The channel that a piece belongs to.
pub(super) fn channel_of(piece: &Piece<'_>) -> u16 {
    match piece {
        Piece::Method { channel, .. }
        | Piece::Header { channel, .. }
        | Piece::Body { channel, .. } => *channel,
        // Heartbeats belong to the connection, and must say so.
        Piece::Heartbeat { .. } => 0,
    }
}

/// What is said of a frame of a kind that cannot come now.
pub(super) fn unexpected_frame(piece: &Piece<'_>) -> Refusal {
    let (kind, payload): (u8, &[u8]) = match piece {
        Piece::Method { payload, .. } => (frame::METHOD, payload),
        Piece::Header { payload, .. } => (frame::HEADER, payload),
        Piece::Body { chunk, .. } => (frame::BODY, chunk),
        Piece::Heartbeat { .. } => (frame::HEARTBEAT, &[]),
    };
    let octets = octets::snippet(payload);
    let text = format_args!("type {kind}, {octets}");
    Refusal::new(ReplyCode::UnexpectedFrame, text).without_method()
}

/// Refuses a connection.open whose virtual host is not UTF-8 as RabbitMQ does, which keeps silent about
/// all else that is malformed before a connection is open.
pub(super) fn check_vhost(payload: &[u8]) -> Result<(), Refusal> {
    let vhost = payload.strip_prefix(&OPEN).and_then(|rest| {
        let (length, rest) = rest.split_first()?;
        rest.get(..usize::from(*length))
    });
    match vhost.is_some_and(|vhost| str::from_utf8(vhost).is_err()) {
        true => {
            let text = "Malformed UTF-8 in shortstr";
            Err(Refusal::new(ReplyCode::FrameError, text).with_method(OPEN_ID))
        }
        false => Ok(()),
    }
}

/// connection.open.
const OPEN_ID: MethodId = MethodId { class: 10, method: 40 };

/// How its payload begins.
const OPEN: [u8; 4] = [0, 10, 0, 40];

/// What is said of a method that cannot come in that state.
pub(super) fn out_of_state(state: &str, id: MethodId) -> Refusal {
    let text = format_args!("unexpected method in connection state {state}");
    Refusal::new(ReplyCode::ChannelError, text).with_method(id)
}
