//! The log.

use tracing::level_filters::LevelFilter;

use super::{Key, keys, tls};
use crate::config::logging::{Formatter, Protocol, Rotation, Transport};
use crate::config::value::{Reader, ip, number, one_of, or_word, path, text, truth};

pub(super) fn keys() -> Vec<Key> {
    let mut keys = levels();
    keys.extend(console());
    keys.extend(file());
    keys.extend(exchange());
    keys.extend(journald());
    keys.extend(syslog());
    keys.extend(tls::client("log.syslog.ssl_options", "lines to syslog", |c, _| {
        &mut c.log.syslog.tls
    }));
    keys
}

/// RabbitMQ's words; what is graver than an error is one here.
fn level() -> Reader<LevelFilter> {
    one_of(&[
        ("debug", LevelFilter::DEBUG),
        ("info", LevelFilter::INFO),
        ("notice", LevelFilter::INFO),
        ("warning", LevelFilter::WARN),
        ("error", LevelFilter::ERROR),
        ("critical", LevelFilter::ERROR),
        ("alert", LevelFilter::ERROR),
        ("emergency", LevelFilter::ERROR),
        ("none", LevelFilter::OFF),
    ])
}

fn formatter() -> Reader<Formatter> {
    one_of(&[("plaintext", Formatter::Plaintext), ("json", Formatter::Json)])
}

fn levels() -> Vec<Key> {
    keys! {
        "log_level", "", filter(),
            "instead of all other levels: error, warn, info, debug, trace, off, or a filter by module such as `lepus=debug`",
            live, outside
            => |c, _, filter| c.log.filter = Some(filter);
        "log.default.level", "info", level(),
            "how much is logged where nothing else is said", live
            => |c, _, level| c.log.level = level;
        "log.connection.level", "", level(),
            "how much of connections is logged", live
            => |c, _, level| { c.log.categories.insert("connection".to_owned(), level); };
        "log.channel.level", "", level(),
            "how much of channels is logged", live
            => |c, _, level| { c.log.categories.insert("channel".to_owned(), level); };
        "log.queue.level", "", level(),
            "how much of queues is logged", live
            => |c, _, level| { c.log.categories.insert("queue".to_owned(), level); };
    }
}

fn filter() -> Reader<String> {
    text().filter("a level or a filter by module", |filter| {
        tracing_subscriber::EnvFilter::try_new(filter).is_ok()
    })
}

fn console() -> Vec<Key> {
    keys! {
        "log.console", "true", truth(),
            "the log goes to standard error"
            => |c, _, yes| c.log.console.enabled = yes;
        "log.console.level", "", level(),
            "how much of it, at most", live
            => |c, _, level| c.log.console.level = Some(level);
        "log.console.formatter", "plaintext", formatter(),
            "lines for people, or JSON objects"
            => |c, _, formatter| c.log.console.formatter = formatter;
    }
}

fn file() -> Vec<Key> {
    let date = one_of(&[
        ("", None),
        ("$H0", Some(Rotation::Hourly)),
        ("$H00", Some(Rotation::Hourly)),
        ("$D0", Some(Rotation::Daily)),
        ("$D00", Some(Rotation::Daily)),
    ]);
    keys! {
        "log.dir", "", path(),
            "where the log's file is; one is written if this or `log.file` is set"
            => |c, _, path| c.log.dir = Some(path);
        "log.file", "", or_word("false", path()),
            "its name; `lepus.log` if only `log.dir` is set"
            => |c, _, name| {
                c.log.file.enabled = name.is_some();
                c.log.file_name = name;
            };
        "log.file.level", "", level(),
            "how much of the log goes there, at most", live
            => |c, _, level| c.log.file.level = Some(level);
        "log.file.formatter", "plaintext", formatter(),
            "lines for people, or JSON objects"
            => |c, _, formatter| c.log.file.formatter = formatter;
        "log.file.rotation.size", "10485760", number(0..=u64::MAX),
            "octets from which on it is put aside, if no date is set; 0 for any size"
            => |c, _, octets| c.log.rotation_size = octets;
        "log.file.rotation.date", "", date,
            "when it is put aside: every hour, or at midnight (UTC)"
            => |c, _, rotation| c.log.rotation_date = rotation;
        "log.file.rotation.count", "7", number(0..=10_000),
            "how many old ones are kept"
            => |c, _, n| c.log.rotation_count = n;
        "log.file.rotation.compress", "false", truth(),
            "old ones are compressed"
            => |c, _, yes| c.log.rotation_compress = yes;
    }
}

fn exchange() -> Vec<Key> {
    keys! {
        "log.exchange", "false", truth(),
            "the log is published to the exchange `amq.rabbitmq.log` of the default virtual host"
            => |c, _, yes| c.log.exchange.enabled = yes;
        "log.exchange.level", "", level(),
            "how much of it, at most", live
            => |c, _, level| c.log.exchange.level = Some(level);
        "log.exchange.formatter", "plaintext", formatter(),
            "lines for people, or JSON objects"
            => |c, _, formatter| c.log.exchange.formatter = formatter;
    }
}

fn journald() -> Vec<Key> {
    keys! {
        "log.journald", "false", truth(),
            "the log is sent to systemd's journal"
            => |c, _, yes| c.log.journald.enabled = yes;
        "log.journald.level", "", level(),
            "how much of it, at most", live
            => |c, _, level| c.log.journald.level = Some(level);
    }
}

fn syslog() -> Vec<Key> {
    let transport =
        one_of(&[("udp", Transport::Udp), ("tcp", Transport::Tcp), ("tls", Transport::Tls)]);
    let protocol = one_of(&[("rfc3164", Protocol::Rfc3164), ("rfc5424", Protocol::Rfc5424)]);
    keys! {
        "log.syslog", "false", truth(),
            "the log is sent to a syslog server"
            => |c, _, yes| c.log.syslog.output.enabled = yes;
        "log.syslog.level", "", level(),
            "how much of it, at most", live
            => |c, _, level| c.log.syslog.output.level = Some(level);
        "log.syslog.formatter", "plaintext", formatter(),
            "lines for people, or JSON objects"
            => |c, _, formatter| c.log.syslog.output.formatter = formatter;
        "log.syslog.host", "localhost", text(),
            "the server's name"
            => |c, _, host| c.log.syslog.host = host;
        "log.syslog.ip", "", ip(),
            "its address, instead of its name"
            => |c, _, ip| c.log.syslog.host = ip.to_string();
        "log.syslog.port", "514", number(1..=u16::MAX),
            "its port"
            => |c, _, port| c.log.syslog.port = port;
        "log.syslog.transport", "udp", transport,
            "how lines come to it"
            => |c, _, transport| c.log.syslog.transport = transport;
        "log.syslog.protocol", "rfc3164", protocol,
            "how they look"
            => |c, _, protocol| c.log.syslog.protocol = protocol;
        "log.syslog.identity", "lepus", text(),
            "what they call the broker"
            => |c, _, name| c.log.syslog.identity = name;
        "log.syslog.facility", "daemon", facility(),
            "what they say that it is"
            => |c, _, facility| c.log.syslog.facility = facility;
    }
}

fn facility() -> Reader<&'static str> {
    one_of(&[
        ("kern", "kern"),
        ("user", "user"),
        ("mail", "mail"),
        ("daemon", "daemon"),
        ("auth", "auth"),
        ("syslog", "syslog"),
        ("lpr", "lpr"),
        ("news", "news"),
        ("uucp", "uucp"),
        ("cron", "cron"),
        ("authpriv", "authpriv"),
        ("ftp", "ftp"),
        ("ntp", "ntp"),
        ("audit", "audit"),
        ("alert", "alert"),
        ("local0", "local0"),
        ("local1", "local1"),
        ("local2", "local2"),
        ("local3", "local3"),
        ("local4", "local4"),
        ("local5", "local5"),
        ("local6", "local6"),
        ("local7", "local7"),
    ])
}
