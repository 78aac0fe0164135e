//! Where the broker listens for AMQP.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::value::Endpoint;

/// `listeners.*`, and the flags that go before them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listeners {
    /// `--bind`: the address of all ports that come without one.
    pub bind: Option<IpAddr>,
    /// `--amqp-port`: the only listener for AMQP, then.
    pub amqp_port: Option<u16>,
    /// `--amqps-port`: the only listener for AMQP over TLS, then.
    pub amqps_port: Option<u16>,
    /// `listeners.tcp.$name`.
    pub tcp: BTreeMap<String, Endpoint>,
    /// `listeners.tcp = none`.
    pub no_tcp: bool,
    /// `listeners.ssl.$name`.
    pub tls: BTreeMap<String, Endpoint>,
    /// `listeners.ssl = none`.
    pub no_tls: bool,
}

impl Listeners {
    /// AMQP's port.
    pub const AMQP: u16 = 5672;

    /// Where to listen for AMQP without TLS.
    pub fn tcp_addresses(&self) -> Vec<SocketAddr> {
        if let Some(port) = self.amqp_port {
            return vec![self.at(port)];
        }
        if self.no_tcp {
            return Vec::new();
        }
        if self.tcp.is_empty() {
            return vec![self.at(Self::AMQP)];
        }
        self.named(&self.tcp)
    }

    /// Where to listen for AMQP over TLS: nowhere, if nothing is said.
    pub fn tls_addresses(&self) -> Vec<SocketAddr> {
        if let Some(port) = self.amqps_port {
            return vec![self.at(port)];
        }
        if self.no_tls { Vec::new() } else { self.named(&self.tls) }
    }

    /// A port that the file does not name is for this machine only.
    fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.bind.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), port)
    }

    /// As in RabbitMQ, a port of the file without an address is open on all of them.
    fn named(&self, named: &BTreeMap<String, Endpoint>) -> Vec<SocketAddr> {
        let all = self.bind.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        let address = |end: &Endpoint| SocketAddr::new(end.ip.unwrap_or(all), end.port);
        let mut addresses: Vec<_> = named.values().map(address).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }
}

/// `tcp_listen_options.*`: `None` leaves it to the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    /// `backlog`: connections that wait to be accepted.
    pub backlog: u32,
    /// `keepalive`.
    pub keepalive: bool,
    /// `sndbuf`, octets.
    pub sndbuf: Option<u32>,
    /// `recbuf`, octets.
    pub recbuf: Option<u32>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self { backlog: 1024, keepalive: false, sndbuf: None, recbuf: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(addresses: &[SocketAddr]) -> String {
        addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn flags_go_before_the_file() {
        let mut listeners = Listeners::default();
        assert_eq!(shown(&listeners.tcp_addresses()), "127.0.0.1:5672");
        assert_eq!(shown(&listeners.tls_addresses()), "");
        listeners.tcp.insert("default".into(), Endpoint { ip: None, port: 5673 });
        let local = Endpoint { ip: Some(Ipv4Addr::LOCALHOST.into()), port: 5674 };
        listeners.tcp.insert("local".into(), local);
        listeners.tls.insert("default".into(), Endpoint { ip: None, port: 5671 });
        assert_eq!(shown(&listeners.tcp_addresses()), "127.0.0.1:5674 [::]:5673");
        assert_eq!(shown(&listeners.tls_addresses()), "[::]:5671");
        listeners.bind = Some("10.0.0.1".parse().unwrap());
        assert_eq!(shown(&listeners.tcp_addresses()), "10.0.0.1:5673 127.0.0.1:5674");
        listeners.no_tcp = true;
        assert_eq!(shown(&listeners.tcp_addresses()), "");
        listeners.amqp_port = Some(0);
        assert_eq!(shown(&listeners.tcp_addresses()), "10.0.0.1:0");
    }
}
