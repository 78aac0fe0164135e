//! SASL: how a client says who it is (0-9-1 §1.4.2.2).

use amq_protocol::types::AMQPValue;
use lepus_protocol::table;

use super::Attempt;

/// SASL mechanisms in the order in which connection.start lists them.
pub const MECHANISMS: &str = "AMQPLAIN PLAIN";

/// Reads a SASL response. `None`: unknown mechanism, or a response that it can't have.
pub fn attempt(mechanism: &str, response: &[u8]) -> Option<Attempt> {
    match mechanism {
        "PLAIN" => plain(response),
        "AMQPLAIN" => amqplain(response),
        _ => None,
    }
}

/// RFC 4616 without an authorization identity: NUL user NUL password.
fn plain(response: &[u8]) -> Option<Attempt> {
    let mut parts = response.strip_prefix(b"\0")?.split(|octet| *octet == 0);
    let (user, password) = (parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let user = String::from_utf8(user.to_vec()).ok()?;
    Some(Attempt { user, password: Some(password.into()) })
}

/// A field table without its length, with LOGIN and PASSWORD.
fn amqplain(response: &[u8]) -> Option<Attempt> {
    let fields = table::decode_body(response).ok()?;
    let text = |name: &str| match fields.inner().get(name) {
        Some(AMQPValue::LongString(text)) => Some(text.as_bytes().to_vec()),
        _ => None,
    };
    let user = String::from_utf8(text("LOGIN")?).ok()?;
    Some(Attempt { user, password: Some(text("PASSWORD")?.into()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mechanism: &str, response: &[u8]) -> Option<(String, Vec<u8>)> {
        let Attempt { user, password } = attempt(mechanism, response)?;
        Some((user, password?.octets().to_vec()))
    }

    #[test]
    fn plain_and_amqplain_say_the_same() {
        let guest = Some(("guest".to_owned(), b"guest".to_vec()));
        assert_eq!(read("PLAIN", b"\0guest\0guest"), guest);
        let table = b"\x05LOGINS\0\0\0\x05guest\x08PASSWORDS\0\0\0\x05guest";
        assert_eq!(read("AMQPLAIN", table), guest);
    }

    #[test]
    fn what_is_not_a_response_is_refused() {
        for response in [&b"guest"[..], b"\0guest", b"\0u\0p\0x", b"id\0u\0p"] {
            assert_eq!(read("PLAIN", response), None);
        }
        assert_eq!(read("AMQPLAIN", b"\x05LOGINS\0\0\0\x05guest"), None);
        assert_eq!(read("plain", b"\0guest\0guest"), None);
    }
}
