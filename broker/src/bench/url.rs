//! Where the broker is: an AMQP URI taken apart.

use std::net::{SocketAddr, ToSocketAddrs};

use anyhow::{Context, Result, anyhow, bail};

use super::tunnel::Tunnel;

const DEFAULT_PORT: u16 = 5672;
const DEFAULT_TLS_PORT: u16 = 5671;

/// A broker's address and how to log in.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub addr: SocketAddr,
    pub user: String,
    pub password: String,
    pub vhost: String,
    /// For `amqps://`.
    pub tls: Option<Tunnel>,
}

impl Target {
    /// Reads `amqp://user:password@host:port/vhost`; every part but the host may be left out.
    /// `amqps://` wants `?cacertfile=FILE`, and takes `certfile` and `keyfile`, as in RabbitMQ's URIs.
    pub fn parse(url: &str) -> Result<Self> {
        let rest = match url.split_once("://") {
            Some(("amqp", rest)) => rest,
            Some(("amqps", rest)) => rest,
            Some((scheme, _)) => bail!("{scheme}:// is not supported, only amqp:// and amqps://"),
            None => url,
        };
        let encrypted = url.starts_with("amqps:");
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, host) = authority.rsplit_once('@').unwrap_or(("guest:guest", authority));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        // `amqp://host/` strictly names the vhost "", which nobody has; everyone who writes it means "/".
        let vhost = if path.is_empty() { "/".to_owned() } else { percent_decode(path)? };
        let port = if encrypted { DEFAULT_TLS_PORT } else { DEFAULT_PORT };
        Ok(Self {
            addr: resolve(host, port)?,
            tls: encrypted.then(|| Tunnel::new(host, query)).transpose()?,
            user: percent_decode(user)?,
            password: percent_decode(password)?,
            vhost,
        })
    }
}

fn resolve(host: &str, default_port: u16) -> Result<SocketAddr> {
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok() && !host.ends_with(']'));
    let full = if has_port { host.to_owned() } else { format!("{host}:{default_port}") };
    full.to_socket_addrs()
        .with_context(|| format!("cannot resolve {full}"))?
        .next()
        .ok_or_else(|| anyhow!("{full} has no address"))
}

fn percent_decode(text: &str) -> Result<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16));
        match (digit(), digit()) {
            (Some(high), Some(low)) => out.push((high * 16 + low) as u8),
            _ => bail!("bad percent escape in {text:?}"),
        }
    }
    String::from_utf8(out).with_context(|| format!("{text:?} is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part() {
        let target = Target::parse("amqp://us%65r:p%40ss@127.0.0.1:5673/%2fa").unwrap();
        assert_eq!(target.addr, "127.0.0.1:5673".parse().unwrap());
        assert_eq!((target.user.as_str(), target.password.as_str()), ("user", "p@ss"));
        assert_eq!(target.vhost, "/a");
    }

    #[test]
    fn defaults() {
        let target = Target::parse("amqp://[::1]/").unwrap();
        assert_eq!(target.addr, "[::1]:5672".parse().unwrap());
        assert_eq!((target.user.as_str(), target.vhost.as_str()), ("guest", "/"));
    }

    #[test]
    fn refused() {
        assert!(Target::parse("amqps://127.0.0.1").is_err(), "whom to trust is not said");
        assert!(Target::parse("http://127.0.0.1").is_err());
        assert!(Target::parse("amqp://127.0.0.1/%zz").is_err());
    }
}
