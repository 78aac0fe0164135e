//! SASL: how a client says who it is (0-9-1 §1.4.2.2).

use amq_protocol::types::AMQPValue;
use lepus_protocol::table;

use super::peer_certificate::{AlternativeName, PeerCertificate};
use super::{Attempt, Refused};
use crate::config::auth::{Auth, CertLogin, SanType};

/// A way to say who one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// Name and password as a table.
    AmqPlain,
    /// No name: everybody is one user.
    Anonymous,
    /// The certificate of the TLS connection tells.
    External,
    /// Name and password (RFC 4616).
    Plain,
}

impl Mechanism {
    /// In the order in which connection.start lists them.
    const ALL: [Self; 4] = [Self::AmqPlain, Self::Anonymous, Self::External, Self::Plain];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::AmqPlain => "AMQPLAIN",
            Self::Anonymous => "ANONYMOUS",
            Self::External => "EXTERNAL",
            Self::Plain => "PLAIN",
        }
    }

    /// Whether a client on a TLS connection, or another one, may use it.
    fn is_offered(self, auth: &Auth, is_tls: bool) -> bool {
        let is_listed = auth.mechanisms.iter().any(|name| name == self.name());
        let is_default = auth.mechanisms.is_empty();
        match self {
            Self::AmqPlain | Self::Plain => is_listed || is_default,
            Self::Anonymous => (is_listed || is_default) && auth.anonymous_user.is_some(),
            Self::External => is_listed && is_tls,
        }
    }

    /// The one of a name, if it may be used.
    pub fn find(name: &str, auth: &Auth, is_tls: bool) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|mechanism| mechanism.name() == name && mechanism.is_offered(auth, is_tls))
    }

    /// What connection.start lists.
    pub fn offered(auth: &Auth, is_tls: bool) -> String {
        let offered = Self::ALL.into_iter().filter(|mechanism| mechanism.is_offered(auth, is_tls));
        offered.map(Self::name).collect::<Vec<_>>().join(" ")
    }

    /// Reads a response. `None`: there can't be such a one.
    pub fn attempt(
        self,
        auth: &Auth,
        certificate: Option<&PeerCertificate>,
        response: &[u8],
    ) -> Option<Result<Attempt, Refused>> {
        match self {
            Self::Plain => plain(response).map(Ok),
            Self::AmqPlain => amqplain(response).map(Ok),
            Self::Anonymous => {
                let password = Some(auth.anonymous_pass.clone());
                Some(Ok(Attempt { user: auth.anonymous_user.clone()?, password }))
            }
            Self::External => Some(external(auth, certificate)),
        }
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

/// The client's certificate names the user.
fn external(auth: &Auth, certificate: Option<&PeerCertificate>) -> Result<Attempt, Refused> {
    let missing = || Refused("connection peer presented no TLS (x.509) certificate".to_owned());
    let certificate = certificate.ok_or_else(missing)?;
    let name = match auth.cert_login {
        CertLogin::DistinguishedName => Some(certificate.subject.clone()),
        CertLogin::CommonName => certificate.common_name.clone(),
        CertLogin::SubjectAlternativeName => {
            let named = certificate.sans.iter().filter_map(|san| alternative(san, auth.san_type));
            named.into_iter().nth(auth.san_index as usize)
        }
    };
    let named = name.filter(|name| !name.is_empty());
    let user = named.ok_or_else(|| Refused("no name found".to_owned()))?;
    Ok(Attempt { user, password: None })
}

/// The text of an alternative name, if it is of a kind.
fn alternative(name: &AlternativeName, kind: SanType) -> Option<String> {
    match (name, kind) {
        (AlternativeName::Dns(name), SanType::Dns)
        | (AlternativeName::Email(name), SanType::Email)
        | (AlternativeName::Uri(name), SanType::Uri) => Some(name.clone()),
        (AlternativeName::Ip(address), SanType::Ip) => Some(address.to_string()),
        (AlternativeName::Other(text), SanType::OtherName) => String::from_utf8(text.clone()).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mechanism: &str, response: &[u8]) -> Option<(String, Vec<u8>)> {
        let auth = Auth::default();
        let attempt = Mechanism::find(mechanism, &auth, false)?.attempt(&auth, None, response)?;
        let Attempt { user, password } = attempt.ok()?;
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
        assert_eq!(read("EXTERNAL", b""), None);
        assert_eq!(read("ANONYMOUS", b""), None);
    }

    #[test]
    fn what_is_offered_is_what_is_configured() {
        let listed = |names: &[&str]| Auth {
            mechanisms: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Auth::default()
        };
        assert_eq!(Mechanism::offered(&Auth::default(), true), "AMQPLAIN PLAIN");
        assert_eq!(Mechanism::offered(&listed(&["PLAIN", "EXTERNAL"]), false), "PLAIN");
        assert_eq!(Mechanism::offered(&listed(&["PLAIN", "EXTERNAL"]), true), "EXTERNAL PLAIN");
        assert_eq!(Mechanism::offered(&listed(&["ANONYMOUS", "PLAIN"]), false), "PLAIN");
        let open = Auth { anonymous_user: Some("all".into()), ..Auth::default() };
        assert_eq!(Mechanism::offered(&open, false), "AMQPLAIN ANONYMOUS PLAIN");
        let attempt = Mechanism::Anonymous.attempt(&open, None, b"trace").unwrap().unwrap();
        assert_eq!((attempt.user.as_str(), attempt.password), ("all", Some("guest".into())));
    }

    #[test]
    fn a_certificate_names_its_user_as_configured() {
        let certificate = PeerCertificate {
            subject: "CN=client,O=Acme".into(),
            common_name: Some("client".into()),
            sans: vec![
                AlternativeName::Email("c@acme.example".into()),
                AlternativeName::Dns("a.example".into()),
                AlternativeName::Dns("b.example".into()),
                AlternativeName::Ip([10, 0, 0, 1].into()),
            ],
            issuer: String::new(),
            validity: String::new(),
        };
        let user = |cert_login, san_type, san_index| {
            let auth = Auth { cert_login, san_type, san_index, ..Auth::default() };
            let attempt = Mechanism::External.attempt(&auth, Some(&certificate), b"").unwrap();
            attempt.map(|attempt| (attempt.user, attempt.password.is_none())).map_err(|why| why.0)
        };
        let dn = user(CertLogin::DistinguishedName, SanType::Dns, 0);
        assert_eq!(dn, Ok(("CN=client,O=Acme".into(), true)));
        assert_eq!(user(CertLogin::CommonName, SanType::Dns, 0), Ok(("client".into(), true)));
        let san = |kind, index| user(CertLogin::SubjectAlternativeName, kind, index);
        assert_eq!(san(SanType::Dns, 1), Ok(("b.example".into(), true)));
        assert_eq!(san(SanType::Ip, 0), Ok(("10.0.0.1".into(), true)));
        assert_eq!(san(SanType::Email, 0), Ok(("c@acme.example".into(), true)));
        assert_eq!(san(SanType::Dns, 2), Err("no name found".into()));
        assert_eq!(san(SanType::Uri, 0), Err("no name found".into()));
        let none = Mechanism::External.attempt(&Auth::default(), None, b"").unwrap();
        assert!(none.unwrap_err().0.contains("presented no TLS"));
    }
}
