//! Certificates made for a test, and clients that speak TLS.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    IsCa, KeyPair,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

use crate::broker::unique;
use crate::conn::{Conn, DEADLINE};
use crate::socket::Socket;

/// Files of a test; they go with it.
#[derive(Debug)]
pub struct Files(PathBuf);

impl Default for Files {
    fn default() -> Self {
        let folder = std::env::temp_dir().join(unique("files"));
        std::fs::create_dir_all(&folder).expect("a temporary directory");
        Self(folder)
    }
}

impl Files {
    /// Writes a file; its path.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).expect("write a file");
        path
    }

    /// Where a file of that name is.
    #[must_use]
    pub fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// Writes a certificate and its key as `NAME.pem` and `NAME.key`.
    pub fn keep(&self, name: &str, issued: &Issued) {
        self.write(&format!("{name}.pem"), &issued.chain);
        self.write(&format!("{name}.key"), &issued.key);
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Who issues certificates.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// What lies between its certificates and the root: PEM.
    between: String,
}

/// A certificate with its key, as PEM.
#[derive(Debug)]
pub struct Issued {
    /// The certificate, and those between it and the root.
    pub chain: String,
    /// The private key.
    pub key: String,
}

/// A certificate's subject, with nothing but a common name.
#[must_use]
pub fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

/// The certificate of a server, for these hosts.
#[must_use]
pub fn server(hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    CertificateParams::new(hosts).expect("names of hosts")
}

fn authority(name: &str) -> (CertificateParams, KeyPair) {
    let mut params = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (params, KeyPair::generate().expect("a key"))
}

impl Authority {
    /// A root.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let (params, key) = authority(name);
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        Self { issuer, between: String::new() }
    }

    /// One below it.
    #[must_use]
    pub fn below(&self, name: &str) -> Self {
        let (params, key) = authority(name);
        let issuer = CertifiedIssuer::signed_by(params, key, &self.issuer).expect("a certificate");
        let between = issuer.pem() + &self.between;
        Self { issuer, between }
    }

    /// Its own certificate.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Issues a certificate.
    #[must_use]
    pub fn issue(&self, params: &CertificateParams) -> Issued {
        let key = KeyPair::generate().expect("a key");
        let certificate: Certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Issued { chain: certificate.pem() + &self.between, key: key.serialize_pem() }
    }

    /// A client that trusts it.
    #[must_use]
    pub fn client(&self) -> TlsClient {
        TlsClient::trusting(&self.pem())
    }
}

const TLS_1_2: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
const TLS_1_3: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// How a client speaks TLS.
#[derive(Debug, Clone)]
pub struct TlsClient {
    roots: Arc<RootCertStore>,
    versions: &'static [&'static SupportedProtocolVersion],
    /// Chain and key, as PEM.
    certificate: Option<(String, String)>,
    host: &'static str,
    greeting: Vec<u8>,
}

impl TlsClient {
    /// One that trusts the authority of a certificate, PEM.
    ///
    /// # Panics
    /// It is none.
    #[must_use]
    pub fn trusting(pem: &str) -> Self {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
        roots.add(certificate).expect("a certificate");
        TlsClient {
            roots: Arc::new(roots),
            versions: rustls::ALL_VERSIONS,
            certificate: None,
            host: "localhost",
            greeting: Vec::new(),
        }
    }

    /// With TLS 1.2 only.
    #[must_use]
    pub fn with_tls_1_2(self) -> Self {
        Self { versions: TLS_1_2, ..self }
    }

    /// With TLS 1.3 only.
    #[must_use]
    pub fn with_tls_1_3(self) -> Self {
        Self { versions: TLS_1_3, ..self }
    }

    /// With a certificate of its own.
    #[must_use]
    pub fn with_certificate(self, issued: &Issued) -> Self {
        Self { certificate: Some((issued.chain.clone(), issued.key.clone())), ..self }
    }

    /// Asking for another host than `localhost`.
    #[must_use]
    pub fn for_host(self, host: &'static str) -> Self {
        Self { host, ..self }
    }

    /// Sending these octets before TLS.
    #[must_use]
    pub fn after(self, greeting: impl AsRef<[u8]>) -> Self {
        Self { greeting: greeting.as_ref().to_vec(), ..self }
    }

    /// The state of a client that has not sent anything.
    #[must_use]
    pub fn session(&self) -> ClientConnection {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(self.versions)
            .expect("versions")
            .with_root_certificates(self.roots.clone());
        let config = match &self.certificate {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = CertificateDer::pem_slice_iter(chain.as_bytes());
                let chain = chain.collect::<Result<_, _>>().expect("certificates");
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
                builder.with_client_auth_cert(chain, key).expect("a certificate of a client")
            }
        };
        let host = ServerName::try_from(self.host).expect("a host");
        ClientConnection::new(Arc::new(config), host).expect("a TLS client")
    }

    /// Connects and shakes hands.
    ///
    /// # Errors
    /// What either side says of the other. With TLS 1.3 a client learns only later that its certificate is
    /// refused: see [`Self::start`].
    pub fn dial(&self, address: &str) -> Result<Conn, String> {
        let mut tcp = TcpStream::connect(address).map_err(|error| error.to_string())?;
        tcp.set_nodelay(true).expect("set TCP_NODELAY");
        tcp.set_read_timeout(Some(DEADLINE)).expect("set the read timeout");
        tcp.write_all(&self.greeting).map_err(|error| error.to_string())?;
        let mut session = self.session();
        while session.is_handshaking() {
            session.complete_io(&mut tcp).map_err(|error| error.to_string())?;
        }
        Ok(Conn::over(Socket::Tls(Box::new(StreamOwned::new(session, tcp)))))
    }

    /// Asks for a page with GET; what is answered, headers and all.
    ///
    /// # Errors
    /// What either side says of the other.
    pub fn page(&self, address: &str, request: &str) -> Result<String, String> {
        let tcp = TcpStream::connect(address).map_err(|error| error.to_string())?;
        tcp.set_read_timeout(Some(DEADLINE)).expect("set the read timeout");
        let mut stream = StreamOwned::new(self.session(), tcp);
        let head = format!("GET {request} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
        stream.write_all(format!("{head}\r\n").as_bytes()).map_err(|error| error.to_string())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(|error| error.to_string())?;
        Ok(answer)
    }

    /// Connects, shakes hands, and reads connection.start.
    ///
    /// # Errors
    /// Why that did not come.
    pub fn start(&self, address: &str) -> Result<Conn, String> {
        let mut conn = self.dial(address)?;
        conn.try_start()?;
        Ok(conn)
    }
}
