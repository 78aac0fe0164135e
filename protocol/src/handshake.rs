//! How a connection begins (0-9-1 §2.2.4): protocol header, start, secure, tune, open.
//!
//! The machine knows the order and the negotiation; who may log in is the broker's affair.

use crate::limits::FRAME_MIN_SIZE;
use crate::methods::connection::{AMQPMethod, StartOk, TuneOk};

/// The protocol header of 0-9-1; also what a peer with another header is sent before the close.
pub const PROTOCOL_HEADER: [u8; 8] = *b"AMQP\x00\x00\x09\x01";

/// What the first octets of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstOctets {
    /// Not enough of them to tell.
    NeedMore,
    /// The header of 0-9-1.
    Amqp091,
    /// Anything else: answer with [`PROTOCOL_HEADER`] and close (0-9-1 §4.2.2).
    Other,
}

/// Looks at the first octets of a connection. Another protocol is known by its first wrong octet.
pub fn first_octets(input: &[u8]) -> FirstOctets {
    let seen = input.get(..PROTOCOL_HEADER.len()).unwrap_or(input);
    if seen == PROTOCOL_HEADER {
        FirstOctets::Amqp091
    } else if PROTOCOL_HEADER.starts_with(seen) {
        FirstOctets::NeedMore
    } else {
        FirstOctets::Other
    }
}

/// The numbers that connection.tune agrees on. 0 means no limit, or no heartbeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Highest channel number.
    pub channel_max: u16,
    /// Largest frame, octets.
    pub frame_max: u32,
    /// Heartbeat interval, seconds.
    pub heartbeat: u16,
}

/// Where a handshake stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// connection.start is sent.
    Starting,
    /// connection.secure is sent.
    Securing,
    /// connection.tune is sent.
    Tuning,
    /// connection.open is awaited.
    Opening,
    /// The connection serves.
    Running,
}

/// What a method of the client leads to.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Check these credentials; then [`Handshake::challenge`] or [`Handshake::authenticated`].
    Authenticate(StartOk),
    /// The answer to a challenge.
    Response(Vec<u8>),
    /// Agreed; connection.open comes next.
    Tuned(Tuning),
    /// Enter this virtual host; then [`Handshake::opened`].
    Open(String),
}

/// Why a handshake ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// A method out of order.
    #[error("a method out of order")]
    OutOfOrder,
    /// tune-ok asks for what was not offered; RabbitMQ's reply text.
    #[error("{0}")]
    Tuning(String),
}

/// The server's side of a handshake.
#[derive(Clone, Copy, Debug)]
pub struct Handshake {
    stage: Stage,
    offer: Tuning,
}

impl Handshake {
    /// After the protocol header, with connection.start sent. `offer` goes into connection.tune.
    pub fn new(offer: Tuning) -> Self {
        Self { stage: Stage::Starting, offer }
    }

    /// Where it stands.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// What connection.tune offers.
    pub fn offer(&self) -> Tuning {
        self.offer
    }

    /// connection.secure was sent.
    pub fn challenge(&mut self) {
        self.stage = Stage::Securing;
    }

    /// connection.tune was sent.
    pub fn authenticated(&mut self) {
        self.stage = Stage::Tuning;
    }

    /// connection.open-ok was sent.
    pub fn opened(&mut self) {
        self.stage = Stage::Running;
    }

    /// Takes the client's next method.
    pub fn receive(&mut self, method: AMQPMethod) -> Result<Step, HandshakeError> {
        match (self.stage, method) {
            (Stage::Starting, AMQPMethod::StartOk(start)) => Ok(Step::Authenticate(start)),
            (Stage::Securing, AMQPMethod::SecureOk(secure)) => {
                Ok(Step::Response(secure.response.as_bytes().to_vec()))
            }
            (Stage::Tuning, AMQPMethod::TuneOk(tune)) => {
                let tuning = negotiate(self.offer, &tune).map_err(HandshakeError::Tuning)?;
                self.stage = Stage::Opening;
                Ok(Step::Tuned(tuning))
            }
            (Stage::Opening, AMQPMethod::Open(open)) => {
                Ok(Step::Open(open.virtual_host.as_str().to_owned()))
            }
            _ => Err(HandshakeError::OutOfOrder),
        }
    }
}

/// RabbitMQ refuses values outside of its offer instead of choosing the smaller one.
fn negotiate(offer: Tuning, asked: &TuneOk) -> Result<Tuning, String> {
    let channel_max = u32::from(asked.channel_max);
    within("channel_max", channel_max, 1, u32::from(offer.channel_max))?;
    within("frame_max", asked.frame_max, FRAME_MIN_SIZE, offer.frame_max)?;
    Ok(Tuning {
        channel_max: asked.channel_max,
        frame_max: asked.frame_max,
        heartbeat: asked.heartbeat,
    })
}

fn within(name: &str, asked: u32, min: u32, offered: u32) -> Result<(), String> {
    let refusal = |side: &str, bound: &str, limit: u32| {
        let unlimited = if asked == 0 && name == "channel_max" { " (no limit)" } else { "" };
        Err(format!(
            "negotiated {name} = {asked}{unlimited} is {side} than the {bound} allowed value ({limit})"
        ))
    };
    if asked != 0 && asked < min {
        refusal("lower", "minimum", min)
    } else if offered != 0 && (asked == 0 || asked > offered) {
        refusal("higher", "maximum", offered)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::connection::Open;

    const OFFER: Tuning = Tuning { channel_max: 2047, frame_max: 131_072, heartbeat: 60 };

    fn tune(channel_max: u16, frame_max: u32, heartbeat: u16) -> AMQPMethod {
        AMQPMethod::TuneOk(TuneOk { channel_max, frame_max, heartbeat })
    }

    #[test]
    fn the_first_octets_tell_the_protocol() {
        assert_eq!(first_octets(b""), FirstOctets::NeedMore);
        assert_eq!(first_octets(b"AMQP\x00"), FirstOctets::NeedMore);
        assert_eq!(first_octets(b"AMQP\x00\x00\x09\x01more"), FirstOctets::Amqp091);
        for other in [
            &b"AMQP\x00\x01\x00\x00"[..],
            b"AMQP\x01\x01\x08\x00",
            b"AMQP\x01\x01\x00\x09",
            b"GET /",
            b"\x16\x03\x01",
        ] {
            assert_eq!(first_octets(other), FirstOctets::Other);
        }
    }

    #[test]
    fn the_whole_way() {
        let mut handshake = Handshake::new(OFFER);
        let start = StartOk::default();
        let step = handshake.receive(AMQPMethod::StartOk(start.clone()));
        assert_eq!(step, Ok(Step::Authenticate(start)));
        handshake.authenticated();
        let tuned = Tuning { channel_max: 10, frame_max: 4096, heartbeat: 0 };
        assert_eq!(handshake.receive(tune(10, 4096, 0)), Ok(Step::Tuned(tuned)));
        let open = AMQPMethod::Open(Open { virtual_host: "/".into() });
        assert_eq!(handshake.receive(open.clone()), Ok(Step::Open("/".into())));
        handshake.opened();
        assert_eq!(handshake.receive(open), Err(HandshakeError::OutOfOrder));
    }

    #[test]
    fn values_outside_of_the_offer_are_refused_with_rabbitmqs_words() {
        for (method, text) in [
            (
                tune(2048, 4096, 0),
                "negotiated channel_max = 2048 is higher than the maximum allowed value (2047)",
            ),
            (
                tune(0, 4096, 0),
                "negotiated channel_max = 0 (no limit) is higher than the maximum allowed value (2047)",
            ),
            (
                tune(1, 4095, 0),
                "negotiated frame_max = 4095 is lower than the minimum allowed value (4096)",
            ),
            (
                tune(1, 131_073, 0),
                "negotiated frame_max = 131073 is higher than the maximum allowed value (131072)",
            ),
        ] {
            let mut handshake = Handshake::new(OFFER);
            handshake.authenticated();
            assert_eq!(handshake.receive(method), Err(HandshakeError::Tuning(text.into())));
        }
    }
}
