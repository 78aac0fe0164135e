//! Who may log in.

mod distinguished_name;
pub mod limits;
pub mod peer_certificate;

use std::net::IpAddr;

use amq_protocol::types::AMQPValue;
use lepus_protocol::table;
use subtle::ConstantTimeEq;

use crate::config::Config;

/// What a client offers to prove who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub user: String,
    /// Password.
    pub password: Vec<u8>,
}

/// SASL mechanisms in the order in which connection.start lists them.
pub const MECHANISMS: &str = "AMQPLAIN PLAIN";

/// Reads a SASL response. `None`: unknown mechanism, or a response that it can't have.
pub fn credentials(mechanism: &str, response: &[u8]) -> Option<Credentials> {
    match mechanism {
        "PLAIN" => plain(response),
        "AMQPLAIN" => amqplain(response),
        _ => None,
    }
}

/// RFC 4616 without an authorization identity: NUL user NUL password.
fn plain(response: &[u8]) -> Option<Credentials> {
    let mut parts = response.strip_prefix(b"\0")?.split(|octet| *octet == 0);
    let (user, password) = (parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let user = String::from_utf8(user.to_vec()).ok()?;
    Some(Credentials { user, password: password.to_vec() })
}

/// A field table without its length, with LOGIN and PASSWORD.
fn amqplain(response: &[u8]) -> Option<Credentials> {
    let fields = table::decode_body(response).ok()?;
    let text = |name: &str| match fields.inner().get(name) {
        Some(AMQPValue::LongString(text)) => Some(text.as_bytes().to_vec()),
        _ => None,
    };
    let user = String::from_utf8(text("LOGIN")?).ok()?;
    Some(Credentials { user, password: text("PASSWORD")? })
}

/// Checks credentials, and whether the user may come from that address.
pub fn may_log_in(config: &Config, credentials: &Credentials, from: IpAddr) -> bool {
    let known = config.default_user.as_bytes().ct_eq(credentials.user.as_bytes());
    let right = config.default_pass.as_bytes().ct_eq(&credentials.password);
    let local_only = config.loopback_users.contains(&credentials.user);
    bool::from(known & right) && (!local_only || from.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest() -> Credentials {
        Credentials { user: "guest".into(), password: b"guest".to_vec() }
    }

    #[test]
    fn plain_and_amqplain_say_the_same() {
        assert_eq!(credentials("PLAIN", b"\0guest\0guest"), Some(guest()));
        let table = b"\x05LOGINS\0\0\0\x05guest\x08PASSWORDS\0\0\0\x05guest";
        assert_eq!(credentials("AMQPLAIN", table), Some(guest()));
    }

    #[test]
    fn what_is_not_a_response_is_refused() {
        for response in [&b"guest"[..], b"\0guest", b"\0u\0p\0x", b"id\0u\0p"] {
            assert_eq!(credentials("PLAIN", response), None);
        }
        assert_eq!(credentials("AMQPLAIN", b"\x05LOGINS\0\0\0\x05guest"), None);
        assert_eq!(credentials("plain", b"\0guest\0guest"), None);
    }

    #[test]
    fn guest_comes_from_this_machine_only() {
        let config = Config::default();
        let from = |address: &str| address.parse().unwrap();
        assert!(may_log_in(&config, &guest(), from("127.0.0.1")));
        assert!(may_log_in(&config, &guest(), from("::1")));
        assert!(may_log_in(&config, &guest(), from("::ffff:127.0.0.1")));
        assert!(!may_log_in(&config, &guest(), from("10.0.0.1")));
        let open = Config { loopback_users: vec![], ..Config::default() };
        assert!(may_log_in(&open, &guest(), from("10.0.0.1")));
        let wrong = Credentials { password: b"wrong".to_vec(), ..guest() };
        assert!(!may_log_in(&open, &wrong, from("127.0.0.1")));
    }
}
