//! Where and how the broker listens.

use std::time::Duration;

use lepus_protocol::limits::FRAME_MIN_SIZE;

use super::{Key, keys, tls};
use crate::config::value::{
    endpoint, ip, milliseconds, number, only, or_infinity, or_word, size, truth,
};

/// Long enough for `infinity`.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The largest `frame_max` that can be configured, octets.
const FRAME_MAX_LIMIT: u32 = 16 * 1024 * 1024;

pub(super) fn keys() -> Vec<Key> {
    let mut keys = listeners();
    keys.extend(socket());
    keys.extend(handshake());
    keys.extend(tls::listener("ssl_options", "AMQP over TLS", |c, _| &mut c.tls));
    keys
}

fn listeners() -> Vec<Key> {
    keys! {
        "bind", "", ip(),
            "the address of ports that come without one", outside
            => |c, _, ip| c.listeners.bind = Some(ip);
        "amqp_port", "", number(0..=u16::MAX),
            "the one port for AMQP, instead of `listeners.tcp`; 0 picks a free one", outside
            => |c, _, port| c.listeners.amqp_port = Some(port);
        "amqps_port", "", number(0..=u16::MAX),
            "the one port for AMQP over TLS, instead of `listeners.ssl`; 0 picks a free one", outside
            => |c, _, port| c.listeners.amqps_port = Some(port);
        "listeners.tcp.$name", "", endpoint(),
            "where to listen for AMQP; a port without an address is open on all of them"
            => |c, names, end| { c.listeners.tcp.insert(names.concat(), end); };
        "listeners.tcp", "", only("none"),
            "no AMQP without TLS"
            => |c, _, ()| c.listeners.no_tcp = true;
        "listeners.ssl.$name", "", endpoint(),
            "where to listen for AMQP over TLS; a port without an address is open on all of them"
            => |c, names, end| { c.listeners.tls.insert(names.concat(), end); };
        "listeners.ssl", "", only("none"),
            "no AMQP over TLS"
            => |c, _, ()| c.listeners.no_tls = true;
        "proxy_protocol", "false", truth(),
            "each AMQP connection begins with a PROXY header, version 1 or 2"
            => |c, _, yes| c.proxy_protocol = yes;
    }
}

fn socket() -> Vec<Key> {
    keys! {
        "tcp_listen_options.backlog", "1024", number(1..=65_535),
            "connections that wait to be accepted"
            => |c, _, n| c.socket.backlog = n;
        "tcp_listen_options.keepalive", "false", truth(),
            "the system asks silent peers whether they live"
            => |c, _, yes| c.socket.keepalive = yes;
        "tcp_listen_options.sndbuf", "", number(1024..=1 << 30),
            "octets of the system's buffer for what is sent"
            => |c, _, octets| c.socket.sndbuf = Some(octets);
        "tcp_listen_options.recbuf", "", number(1024..=1 << 30),
            "octets of the system's buffer for what is received"
            => |c, _, octets| c.socket.recbuf = Some(octets);
    }
}

fn handshake() -> Vec<Key> {
    let frame_max = size(u64::from(FRAME_MIN_SIZE)..=u64::from(FRAME_MAX_LIMIT));
    keys! {
        "handshake_timeout", "10000", or_infinity(milliseconds()),
            "milliseconds from accept to open-ok", live
            => |c, _, time| c.handshake_timeout = time.unwrap_or(FOREVER);
        "ssl_handshake_timeout", "5000", milliseconds(),
            "milliseconds of that for TLS"
            => |c, _, time| c.ssl_handshake_timeout = time;
        "heartbeat", "60", number(0..=u16::MAX),
            "seconds; what tune offers, the client's answer holds; 0 turns heartbeats off", live
            => |c, _, seconds| c.heartbeat = seconds;
        "frame_max", "131072", or_word("0", frame_max),
            "octets of a frame; what tune offers; 0 is the most there can be", live
            => |c, _, octets| {
                let octets = octets.and_then(|octets| u32::try_from(octets).ok());
                c.frame_max = octets.unwrap_or(FRAME_MAX_LIMIT);
            };
        "channel_max", "2047", number(0..=u16::MAX),
            "channels per connection; what tune offers; 0 is no limit", live
            => |c, _, channels| c.channel_max = channels;
    }
}
