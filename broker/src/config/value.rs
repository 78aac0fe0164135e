//! Values as they stand in the file.

use std::net::{IpAddr, Ipv6Addr};

use anyhow::{Context, Result};

/// A port, with an address or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The address, if one is given.
    pub ip: Option<IpAddr>,
    /// The port.
    pub port: u16,
}

/// A port, or an address and a port.
pub fn endpoint(value: &str) -> Result<Endpoint> {
    match value.rsplit_once(':') {
        None => Ok(Endpoint { ip: None, port: value.parse()? }),
        Some((ip, port)) => Ok(Endpoint {
            ip: Some(address(ip).context("the value must be a port, or an address and a port")?),
            port: port.parse()?,
        }),
    }
}

fn address(value: &str) -> Option<IpAddr> {
    let bare = value.strip_prefix('[').and_then(|value| value.strip_suffix(']'));
    match bare {
        Some(bare) => bare.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => value.parse().ok(),
    }
}
