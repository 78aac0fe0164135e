//! What a client's certificate says of it, in RabbitMQ's words.

use std::net::IpAddr;

/// The certificate of a client, which the listener has verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The distinguished name, as RabbitMQ prints it: `CN=client,O=Acme`.
    pub subject: String,
    /// The subject's common names, joined by commas as in RabbitMQ.
    pub common_name: Option<String>,
    /// Alternative names of the subject, in the certificate's order.
    pub sans: Vec<AlternativeName>,
    /// The distinguished name of who issued it.
    pub issuer: String,
    /// From when to when it holds: `2026-01-01T00:00:00Z - 2027-01-01T00:00:00Z`.
    pub validity: String,
}

/// A subject's alternative name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlternativeName {
    /// A host name.
    Dns(String),
    /// An address.
    Ip(IpAddr),
    /// An e-mail address.
    Email(String),
    /// A URI.
    Uri(String),
    /// Whatever its issuer and its reader agree on; an ASN.1 string's text.
    Other(Vec<u8>),
}
