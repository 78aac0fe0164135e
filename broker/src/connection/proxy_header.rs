//! The PROXY protocol, versions 1 and 2: a proxy says for whom it connects.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;

use ppp::{v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::entry::Ends;

/// A header of version 1 is a line, at most so long.
const LINE_MAX: usize = 107;

/// The start of version 2, up to the length of the rest.
const BINARY_HEAD: usize = 16;

/// Reads the header, and nothing behind it. `None`: the proxy speaks for itself, or does not say.
///
/// # Errors
/// What comes is no such header.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<Ends>> {
    let mut head = Vec::new();
    while !v2::PROTOCOL_PREFIX.starts_with(&head) || head.len() < v2::PROTOCOL_PREFIX.len() {
        head.push(stream.read_u8().await?);
        let may_be_line = is_prefix(&head, b"PROXY ");
        if head.ends_with(b"\n") && may_be_line {
            return line(&head);
        }
        if head.len() > LINE_MAX || !(may_be_line || is_prefix(&head, v2::PROTOCOL_PREFIX)) {
            return Err(invalid(format!("it begins with \"{}\"", head.escape_ascii())));
        }
    }
    head.resize(BINARY_HEAD, 0);
    let rest = head.get_mut(v2::PROTOCOL_PREFIX.len()..).unwrap_or_default();
    stream.read_exact(rest).await?;
    let length = head.last_chunk().map_or(0, |length| u16::from_be_bytes(*length));
    head.resize(BINARY_HEAD + usize::from(length), 0);
    stream.read_exact(head.get_mut(BINARY_HEAD..).unwrap_or_default()).await?;
    binary(&head)
}

/// Whether one begins as the other.
fn is_prefix(head: &[u8], signature: &[u8]) -> bool {
    head.iter().zip(signature).all(|(one, other)| one == other)
}

fn line(head: &[u8]) -> Result<Option<Ends>> {
    let header = v1::Header::try_from(head).map_err(invalid)?;
    Ok(match header.addresses {
        v1::Addresses::Tcp4(ends) => Some(Ends {
            peer: SocketAddr::from((ends.source_address, ends.source_port)),
            local: SocketAddr::from((ends.destination_address, ends.destination_port)),
        }),
        v1::Addresses::Tcp6(ends) => Some(Ends {
            peer: SocketAddr::from((ends.source_address, ends.source_port)),
            local: SocketAddr::from((ends.destination_address, ends.destination_port)),
        }),
        v1::Addresses::Unknown => None,
    })
}

fn binary(head: &[u8]) -> Result<Option<Ends>> {
    let header = v2::Header::try_from(head).map_err(invalid)?;
    Ok(match (header.command, header.addresses) {
        (v2::Command::Proxy, v2::Addresses::IPv4(ends)) => Some(Ends {
            peer: SocketAddr::from((ends.source_address, ends.source_port)),
            local: SocketAddr::from((ends.destination_address, ends.destination_port)),
        }),
        (v2::Command::Proxy, v2::Addresses::IPv6(ends)) => Some(Ends {
            peer: SocketAddr::from((ends.source_address, ends.source_port)),
            local: SocketAddr::from((ends.destination_address, ends.destination_port)),
        }),
        _ => None,
    })
}

fn invalid(why: impl ToString) -> Error {
    Error::new(ErrorKind::InvalidData, why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn header(octets: &[u8]) -> (Result<Option<Ends>>, usize) {
        let mut rest = octets;
        let read = read(&mut rest).await;
        (read, rest.len())
    }

    fn ends(peer: &str, local: &str) -> Ends {
        Ends { peer: peer.parse().unwrap(), local: local.parse().unwrap() }
    }

    const ADDRESSES: &[u8] = &[10, 0, 0, 1, 10, 0, 0, 2, 0, 80, 0x16, 0x28];

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = (rest.len() as u16).to_be_bytes();
        [v2::PROTOCOL_PREFIX, &[0x20 | command, family], &length, rest, b"AMQP"].concat()
    }

    #[tokio::test]
    async fn both_versions_are_read_up_to_their_end() {
        let four = Some(ends("10.0.0.1:80", "10.0.0.2:5672"));
        let six = Some(ends("[2001:db8::1]:80", "[::1]:5672"));
        let tlv = [ADDRESSES, &[4, 0, 1, 0]].concat();
        for (octets, expected) in [
            (b"PROXY TCP4 10.0.0.1 10.0.0.2 80 5672\r\nAMQP".to_vec(), four),
            (b"PROXY TCP6 2001:db8::1 ::1 80 5672\r\nAMQP".to_vec(), six),
            (b"PROXY UNKNOWN\r\nAMQP".to_vec(), None),
            (b"PROXY UNKNOWN ::1 ::1 1 2\r\nAMQP".to_vec(), None),
            (v2(1, 0x11, ADDRESSES), four),
            (v2(1, 0x11, &tlv), four),
            (v2(0, 0x11, ADDRESSES), None),
            (v2(0, 0, &[]), None),
            (v2(1, 0, &[]), None),
            (v2(1, 0x31, &[1; 216]), None),
        ] {
            let (read, left) = header(&octets).await;
            assert_eq!(read.unwrap(), expected, "{}", octets.escape_ascii());
            assert_eq!(left, 4);
        }
    }

    #[tokio::test]
    async fn anything_else_is_refused_as_soon_as_it_shows() {
        for (octets, read_at_most) in [
            (b"AMQP\0\0\x09\x01".to_vec(), 1),
            (b"PROXX TCP4".to_vec(), 5),
            (b"\r\n\r\n\0\r\nQUIX".to_vec(), 11),
            (b"\x16\x03\x01".to_vec(), 1),
            (b"PROXY TCP4 10.0.0.1 10.0.0.2 80\r\n".to_vec(), 33),
            (b"PROXY TCP4 10.0.0.1 10.0.0.2 80 99999\r\n".to_vec(), 39),
            ([b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 200]].concat(), 108),
            (v2(1, 0x11, &[1, 2, 3]), 19),
            (v2(7, 0x11, ADDRESSES), 28),
            ([v2::PROTOCOL_PREFIX, &[0x31, 0x11, 0, 0]].concat(), 16),
        ] {
            let (read, left) = header(&octets).await;
            assert!(read.is_err(), "{}", octets.escape_ascii());
            assert!(octets.len() - left <= read_at_most, "{}", octets.escape_ascii());
        }
    }
}
