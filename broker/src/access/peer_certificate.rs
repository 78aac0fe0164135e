//! What a client's certificate says of it, in RabbitMQ's words.

use std::net::IpAddr;

use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::OID_X509_COMMON_NAME;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use super::distinguished_name;

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

impl PeerCertificate {
    /// Reads a certificate (DER).
    ///
    /// # Errors
    /// It is none.
    pub fn read(der: &[u8]) -> Result<Self, X509Error> {
        let (_, certificate) = X509Certificate::from_der(der)?;
        let names: Vec<String> = certificate
            .subject()
            .iter_attributes()
            .filter(|attribute| *attribute.attr_type() == OID_X509_COMMON_NAME)
            .map(|attribute| distinguished_name::value(attribute.attr_value()))
            .collect();
        let validity = certificate.validity();
        let sans = certificate.subject_alternative_name()?;
        let sans = sans.iter().flat_map(|extension| &extension.value.general_names);
        Ok(Self {
            subject: distinguished_name::text(certificate.subject()),
            common_name: (!names.is_empty()).then(|| names.join(",")),
            sans: sans.filter_map(alternative_name).collect(),
            issuer: distinguished_name::text(certificate.issuer()),
            validity: format!("{} - {}", time(&validity.not_before), time(&validity.not_after)),
        })
    }
}

fn alternative_name(name: &GeneralName<'_>) -> Option<AlternativeName> {
    Some(match name {
        GeneralName::DNSName(name) => AlternativeName::Dns((*name).to_owned()),
        GeneralName::RFC822Name(name) => AlternativeName::Email((*name).to_owned()),
        GeneralName::URI(name) => AlternativeName::Uri((*name).to_owned()),
        GeneralName::IPAddress(octets) => AlternativeName::Ip(match octets.len() {
            4 => IpAddr::from(<[u8; 4]>::try_from(*octets).ok()?),
            _ => IpAddr::from(<[u8; 16]>::try_from(*octets).ok()?),
        }),
        GeneralName::OtherName(_, value) => AlternativeName::Other(other_name(value)),
        _ => return None,
    })
}

/// The text of a string within its explicit tag; other values as they are.
fn other_name(value: &[u8]) -> Vec<u8> {
    let inner = x509_parser::der_parser::parse_der(value).ok().map(|(_, outer)| outer);
    let text = inner.and_then(|object| {
        let tagged = object.as_slice().ok()?.to_vec();
        let (_, text) = x509_parser::der_parser::parse_der(&tagged).ok()?;
        text.as_str().ok().map(|text| text.as_bytes().to_vec())
    });
    text.unwrap_or_else(|| value.to_vec())
}

fn time(time: &ASN1Time) -> String {
    let time = time.to_datetime();
    let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair, SanType};

    use super::*;

    fn certificate(change: impl FnOnce(&mut CertificateParams)) -> PeerCertificate {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.not_before = rcgen::date_time_ymd(2026, 1, 2);
        params.not_after = rcgen::date_time_ymd(2051, 12, 31);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        PeerCertificate::read(params.self_signed(&key).unwrap().der()).unwrap()
    }

    #[test]
    fn names_and_times_as_rabbitmq_prints_them() {
        let read = certificate(|params| {
            let name = &mut params.distinguished_name;
            name.push(DnType::CountryName, "DE");
            name.push(DnType::OrganizationName, "Acme, Ltd.");
            name.push(DnType::CustomDnType(vec![0, 9, 2342, 19200300, 100, 1, 1]), "u1");
            name.push(DnType::CustomDnType(vec![1, 2, 3, 4]), "x");
            name.push(DnType::CommonName, DnValue::BmpString("é".try_into().unwrap()));
        });
        assert_eq!(read.subject, "CN=\\C3\\A9,1.2.3.4=x,UID=u1,O=Acme\\, Ltd.,C=DE");
        assert_eq!(read.issuer, read.subject);
        assert_eq!(read.common_name.as_deref(), Some("é"));
        assert_eq!(read.validity, "2026-01-02T00:00:00Z - 2051-12-31T00:00:00Z");
        assert_eq!(read.sans, []);
    }

    #[test]
    fn alternative_names_in_their_order() {
        let read = certificate(|params| {
            params.subject_alt_names = vec![
                SanType::DnsName("one.example".try_into().unwrap()),
                SanType::IpAddress(IpAddr::from([10, 0, 0, 1])),
                SanType::Rfc822Name("a@b.example".try_into().unwrap()),
                SanType::URI("urn:x".try_into().unwrap()),
                SanType::OtherName((vec![1, 3, 6], "free text".into())),
                SanType::IpAddress(IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])),
            ];
        });
        assert_eq!(read.common_name, None);
        assert_eq!(read.subject, "");
        let expected = [
            AlternativeName::Dns("one.example".to_owned()),
            AlternativeName::Ip(IpAddr::from([10, 0, 0, 1])),
            AlternativeName::Email("a@b.example".to_owned()),
            AlternativeName::Uri("urn:x".to_owned()),
            AlternativeName::Other(b"free text".to_vec()),
            AlternativeName::Ip(IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])),
        ];
        assert_eq!(read.sans, expected);
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        assert!(PeerCertificate::read(b"").is_err());
        assert!(PeerCertificate::read(&[0x30, 0x82, 0xff, 0xff, 1]).is_err());
    }
}
