//! What is known of a connection besides what it does, for operators.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use amq_protocol::types::{AMQPValue, FieldTable};
use lepus_protocol::handshake::Tuning;

use crate::access::peer_certificate::PeerCertificate;
use crate::events::{Event, address, fields};
use crate::node::Node;
use crate::tls;

/// Addresses, times, and what the client says of itself.
#[derive(Clone)]
pub struct Facts {
    peer: SocketAddr,
    local: SocketAddr,
    connected_at: u64,
    tls: Option<tls::Facts>,
    mechanism: String,
    client_properties: FieldTable,
    /// The client has tried to log in: from then on operators hear of the connection.
    introduced: bool,
}

impl Facts {
    /// A connection that has just been accepted, by the time in ms since 1970.
    pub fn new(from: IpAddr, now: u64) -> Self {
        Self {
            peer: SocketAddr::new(from, 0),
            local: SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0),
            connected_at: now,
            tls: None,
            mechanism: String::new(),
            client_properties: FieldTable::default(),
            introduced: false,
        }
    }

    /// Both ends of the socket.
    pub fn set_addresses(&mut self, peer: SocketAddr, local: SocketAddr) {
        (self.peer, self.local) = (peer, local);
    }

    /// The connection is encrypted.
    pub fn set_tls(&mut self, tls: tls::Facts) {
        self.tls = Some(tls);
    }

    /// Whether it is over TLS.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// The certificate that the client has proved to be its own.
    pub fn peer_certificate(&self) -> Option<&PeerCertificate> {
        self.tls.as_ref()?.certificate.as_ref()
    }

    /// The client logs in.
    pub fn introduce(&mut self, mechanism: &str, client_properties: FieldTable) {
        mechanism.clone_into(&mut self.mechanism);
        self.client_properties = client_properties;
        self.introduced = true;
    }

    /// The client's address, and what it has connected to.
    pub fn ends(&self) -> (SocketAddr, SocketAddr) {
        (self.peer, self.local)
    }

    /// Since when it is connected, in ms since 1970.
    pub fn connected_at(&self) -> u64 {
        self.connected_at
    }

    /// How the client has logged in.
    pub fn mechanism(&self) -> &str {
        &self.mechanism
    }

    /// What the client says of itself.
    pub fn client_properties(&self) -> &FieldTable {
        &self.client_properties
    }

    /// The name that the client gives the connection.
    pub fn provided_name(&self) -> Option<String> {
        match self.client_properties.inner().get("connection_name") {
            Some(AMQPValue::LongString(name)) => Some(name.to_string()),
            _ => None,
        }
    }

    /// Whether a name is RabbitMQ's name of the connection.
    pub fn is_named(&self, name: &str) -> bool {
        let ends = name.split_once(" -> ");
        ends.is_some_and(|(peer, local)| {
            peer.parse() == Ok(self.peer) && local.parse() == Ok(self.local)
        })
    }

    /// RabbitMQ's name of a connection.
    pub fn name(&self) -> String {
        format!("{} -> {}", self.peer, self.local)
    }

    /// A login was accepted, or refused for some reason.
    pub fn tell_login(&self, node: &Node, user: &str, error: Option<&str>) {
        node.tell(|| {
            let event = match error {
                None => Event::new("user.authentication.success"),
                Some(error) => Event::new("user.authentication.failure").text("error", error),
            };
            self.tell_ends(event)
                .text("name", user)
                .text("connection_name", &self.name())
                .text("connection_type", "network")
        });
    }

    /// The connection is open.
    pub fn tell_created(
        &self,
        node: &Node,
        connection: u64,
        (user, vhost): (&str, &str),
        tuning: Tuning,
    ) {
        node.tell(|| {
            let mut event = Event::new("connection.created")
                .number("connected_at", self.connected_at)
                .number("channel_max", u64::from(tuning.channel_max))
                .number("frame_max", u64::from(tuning.frame_max))
                .number("timeout", u64::from(tuning.heartbeat))
                .number("port", u64::from(self.local.port()))
                .text("user", user)
                .text("type", "network")
                .by(vhost, user);
            for (name, value) in self.tls_texts() {
                event = event.text(name, value);
            }
            self.identity(self.tell_ends(event), node, connection)
        });
    }

    /// The connection is gone.
    pub fn tell_closed(&self, node: &Node, connection: u64) {
        if self.introduced {
            node.tell(|| self.identity(Event::new("connection.closed"), node, connection));
        }
    }

    fn identity(&self, event: Event, node: &Node, connection: u64) -> Event {
        let event = event
            .text("name", &self.name())
            .text("pid", &node.pid(connection, 0))
            .text("node", Node::NAME)
            .with("client_properties", fields(&self.client_properties));
        match self.provided_name() {
            Some(name) => event.text("user_provided_name", &name),
            None => event,
        }
    }

    /// Of TLS and the client's certificate; empty where they do not apply.
    pub fn tls_texts(&self) -> [(&'static str, &str); 7] {
        let tls = |get: fn(&tls::Facts) -> &'static str| self.tls.as_ref().map_or("", get);
        let certificate = |get: fn(&PeerCertificate) -> &String| {
            self.peer_certificate().map_or("", |certificate| get(certificate))
        };
        [
            ("ssl_hash", tls(|tls| tls.hash)),
            ("ssl_cipher", tls(|tls| tls.cipher)),
            ("ssl_key_exchange", tls(|tls| tls.key_exchange)),
            ("ssl_protocol", tls(|tls| tls.protocol)),
            ("peer_cert_validity", certificate(|certificate| &certificate.validity)),
            ("peer_cert_issuer", certificate(|certificate| &certificate.issuer)),
            ("peer_cert_subject", certificate(|certificate| &certificate.subject)),
        ]
    }

    fn tell_ends(&self, event: Event) -> Event {
        event
            .text("host", &address(self.local.ip()))
            .text("peer_host", &address(self.peer.ip()))
            .number("peer_port", u64::from(self.peer.port()))
            .text("protocol", "{0,9,1}")
            .text("auth_mechanism", &self.mechanism)
            .flag("ssl", self.tls.is_some())
    }
}
