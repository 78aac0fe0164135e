//! From the protocol header to the opening of a connection.

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::connection::AMQPMethod;
use lepus_protocol::frame::Piece;
use lepus_protocol::handshake::{
    FirstOctets, Handshake, HandshakeError, PROTOCOL_HEADER, Stage, Step, first_octets,
};
use lepus_protocol::heartbeat::Heartbeat;
use lepus_protocol::method::{self, Method, MethodId};
use lepus_protocol::reply::ReplyCode;

use super::pieces::{check_vhost, out_of_state, unexpected_frame};
use super::{Link, Phase, Stop};
use crate::connection::entry;
use crate::connection::identity::{self, ClientCapabilities};
use crate::error::Refusal;

impl Link {
    /// Octets used.
    pub(super) fn protocol_header(&mut self, input: &[u8], now: u64) -> usize {
        match first_octets(input) {
            FirstOctets::NeedMore => 0,
            FirstOctets::Amqp091 => {
                let start = identity::start(&self.node.config(), &self.mechanisms());
                self.send(AMQPMethod::Start(start));
                self.phase = Phase::Handshake(Handshake::new(self.tuning));
                PROTOCOL_HEADER.len()
            }
            FirstOctets::Other => {
                entry::log_stranger(self.connection, self.from, input);
                self.out.tail().extend_from_slice(&PROTOCOL_HEADER);
                self.end(now);
                input.len()
            }
        }
    }

    pub(super) fn handshake_piece(&mut self, piece: Piece<'_>, now: u64) -> Result<(), Stop> {
        let Phase::Handshake(handshake) = &mut self.phase else { return Ok(()) };
        let opening = handshake.stage() == Stage::Opening;
        let silently = |why: &str| Stop::Silently(why.to_owned());
        let payload = match piece {
            Piece::Heartbeat { .. } => return Ok(()),
            Piece::Method { channel: 0, payload } => payload,
            _ if opening => return Err(unexpected_frame(&piece).into()),
            _ => return Err(silently("a frame out of order")),
        };
        let Ok(Method::Other(class)) = method::decode(payload) else {
            check_vhost(payload)?;
            return Err(silently("a malformed method"));
        };
        let id = MethodId::of(&class);
        let AMQPClass::Connection(method) = *class else {
            return Err(silently("a method out of order"));
        };
        match handshake.receive(method) {
            Ok(step) => self.handshake_step(step, now),
            Err(HandshakeError::OutOfOrder) if opening => Err(out_of_state("opening", id).into()),
            Err(HandshakeError::OutOfOrder) => Err(silently("a method out of order")),
            Err(HandshakeError::Tuning(why)) => {
                let text = format_args!("failed to negotiate connection parameters: {why}");
                Err(Refusal::new(ReplyCode::NotAllowed, text).with_method(id).into())
            }
        }
    }

    fn handshake_step(&mut self, step: Step, now: u64) -> Result<(), Stop> {
        match step {
            Step::Authenticate(start) => {
                self.capabilities = ClientCapabilities::of(&start.client_properties);
                self.facts_mut().introduce(start.mechanism.as_str(), start.client_properties);
                self.log_in(start.mechanism.as_str(), start.response.as_bytes(), now)
            }
            // No mechanism offered here sends a challenge.
            Step::Response(_) => Err(Stop::Silently("secure-ok without a challenge".to_owned())),
            Step::Tuned(tuning) => {
                self.tuning = tuning;
                self.decoder.set_frame_max(tuning.frame_max);
                self.heartbeat = Heartbeat::new(tuning.heartbeat, now);
                Ok(())
            }
            Step::Open(vhost) => self.open(&vhost),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::config::Config;
    use crate::node::Node;

    #[test]
    fn the_protocol_header_may_come_in_any_two_pieces() {
        for first in 1..PROTOCOL_HEADER.len() {
            let node = Node::in_memory(Config::default());
            let mut link = Link::new(node, IpAddr::from([127, 0, 0, 1]), 0);
            let (used, _) = link.input(&PROTOCOL_HEADER[..first], 0);
            assert!(used == 0 && link.out.is_empty(), "{first} octets");
            assert_eq!(link.input(&PROTOCOL_HEADER, 0).0, PROTOCOL_HEADER.len());
            assert!(!link.out.is_empty() && link.wants_input());
        }
    }
}
