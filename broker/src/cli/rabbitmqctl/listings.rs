//! `list_…`: what is listed, what may be asked for of it, and what is shown if nothing is.

use comfy_table::presets::UTF8_FULL;
use comfy_table::{Table, TableComponent};
use serde_json::{Value, json};

use super::call::{Call, Formatter, error, part};
use super::verbs::Verb;
use super::{served, terms};
use crate::cli::client::path;
use crate::cli::failure::{Done, Failure};
use crate::cli::table::{find, rows};

/// A column of a list.
struct Item {
    /// What it is called.
    name: &'static str,
    /// Where it is in the API's object.
    at: &'static str,
    shape: Shape,
}

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Plain,
    /// JSON as text.
    Document,
    /// A process, of which there are none here: made of what it belongs to.
    Process,
}

const fn same(name: &'static str) -> Item {
    Item { name, at: name, shape: Shape::Plain }
}

const fn item(name: &'static str, at: &'static str) -> Item {
    Item { name, at, shape: Shape::Plain }
}

const fn document(name: &'static str, at: &'static str) -> Item {
    Item { name, at, shape: Shape::Document }
}

const fn process(name: &'static str, at: &'static str) -> Item {
    Item { name, at, shape: Shape::Process }
}

/// A list.
struct Listing {
    verb: &'static str,
    /// What is said before; `{vhost}` and `{word}` stand for what was given.
    banner: &'static str,
    /// The API's path, with the same.
    path: &'static [&'static str],
    items: &'static [Item],
    /// Shown if nothing is asked for.
    usual: &'static [&'static str],
}

const LISTINGS: &[Listing] = &[
    Listing {
        verb: "list_queues",
        banner: "Listing queues for vhost {vhost} ...",
        path: &["queues", "{vhost}"],
        items: &[
            same("name"),
            same("durable"),
            same("auto_delete"),
            same("arguments"),
            same("policy"),
            same("operator_policy"),
            same("effective_policy_definition"),
            process("pid", "name"),
            process("owner_pid", "owner_pid_details.name"),
            same("exclusive"),
            process("exclusive_consumer_pid", "exclusive_consumer_pid"),
            same("exclusive_consumer_tag"),
            same("messages_ready"),
            same("messages_unacknowledged"),
            same("messages"),
            same("messages_ready_ram"),
            same("messages_unacknowledged_ram"),
            same("messages_ram"),
            same("messages_persistent"),
            same("message_bytes"),
            same("message_bytes_ready"),
            same("message_bytes_unacknowledged"),
            same("message_bytes_ram"),
            same("message_bytes_persistent"),
            same("head_message_timestamp"),
            item("disk_reads", "message_stats.disk_reads"),
            item("disk_writes", "message_stats.disk_writes"),
            same("consumers"),
            same("consumer_utilisation"),
            same("consumer_capacity"),
            same("memory"),
            item("slave_pids", "slave_nodes"),
            item("synchronised_slave_pids", "synchronised_slave_nodes"),
            same("state"),
            same("type"),
            same("leader"),
            same("members"),
            same("online"),
            same("single_active_consumer_tag"),
        ],
        usual: &["name", "messages"],
    },
    Listing {
        verb: "list_exchanges",
        banner: "Listing exchanges for vhost {vhost} ...",
        path: &["exchanges", "{vhost}"],
        items: &[
            same("name"),
            same("type"),
            same("durable"),
            same("auto_delete"),
            same("internal"),
            same("arguments"),
            same("policy"),
        ],
        usual: &["name", "type"],
    },
    Listing {
        verb: "list_bindings",
        banner: "Listing bindings for vhost {vhost}...",
        path: &["bindings", "{vhost}"],
        items: &[
            item("source_name", "source"),
            item("source_kind", "source_kind"),
            item("destination_name", "destination"),
            item("destination_kind", "destination_type"),
            same("routing_key"),
            same("arguments"),
            same("vhost"),
        ],
        usual: &[
            "source_name",
            "source_kind",
            "destination_name",
            "destination_kind",
            "routing_key",
            "arguments",
        ],
    },
    Listing {
        verb: "list_connections",
        banner: "Listing connections ...",
        path: &["connections"],
        items: &[
            process("pid", "name"),
            same("name"),
            same("port"),
            same("host"),
            same("peer_port"),
            same("peer_host"),
            same("ssl"),
            same("ssl_protocol"),
            same("ssl_key_exchange"),
            same("ssl_cipher"),
            same("ssl_hash"),
            same("peer_cert_subject"),
            same("peer_cert_issuer"),
            same("peer_cert_validity"),
            same("state"),
            same("channels"),
            same("protocol"),
            same("auth_mechanism"),
            same("user"),
            same("vhost"),
            same("timeout"),
            same("frame_max"),
            same("channel_max"),
            same("client_properties"),
            same("recv_oct"),
            same("recv_cnt"),
            same("send_oct"),
            same("send_cnt"),
            same("send_pend"),
            same("connected_at"),
            same("user_provided_name"),
        ],
        usual: &["user", "peer_host", "peer_port", "state"],
    },
    Listing {
        verb: "list_channels",
        banner: "Listing channels ...",
        path: &["channels"],
        items: &[
            process("pid", "name"),
            process("connection", "connection_details.name"),
            same("name"),
            same("number"),
            same("user"),
            same("vhost"),
            same("transactional"),
            same("confirm"),
            same("consumer_count"),
            same("messages_unacknowledged"),
            same("messages_uncommitted"),
            same("acks_uncommitted"),
            same("messages_unconfirmed"),
            same("prefetch_count"),
            same("global_prefetch_count"),
            same("state"),
        ],
        usual: &["pid", "user", "consumer_count", "messages_unacknowledged"],
    },
    Listing {
        verb: "list_consumers",
        banner: "Listing consumers in vhost {vhost} ...",
        path: &["consumers", "{vhost}"],
        items: &[
            item("queue_name", "queue.name"),
            process("channel_pid", "channel_details.name"),
            same("consumer_tag"),
            same("ack_required"),
            same("prefetch_count"),
            same("active"),
            same("activity_status"),
            same("arguments"),
        ],
        usual: &[
            "queue_name",
            "channel_pid",
            "consumer_tag",
            "ack_required",
            "prefetch_count",
            "active",
            "arguments",
        ],
    },
    Listing {
        verb: "list_users",
        banner: "Listing users ...",
        path: &["users"],
        items: &[item("user", "name"), same("tags")],
        usual: &["user", "tags"],
    },
    Listing {
        verb: "list_vhosts",
        banner: "Listing vhosts ...",
        path: &["vhosts"],
        items: &[
            same("name"),
            same("tracing"),
            same("cluster_state"),
            same("description"),
            same("tags"),
            same("default_queue_type"),
            same("metadata"),
            same("protected_from_deletion"),
        ],
        usual: &["name"],
    },
    Listing {
        verb: "list_permissions",
        banner: "Listing permissions for vhost \"{vhost}\" ...",
        path: &["vhosts", "{vhost}", "permissions"],
        items: &[same("user"), same("configure"), same("write"), same("read")],
        usual: &["user", "configure", "write", "read"],
    },
    Listing {
        verb: "list_user_permissions",
        banner: "Listing permissions for user \"{word}\" ...",
        path: &["users", "{word}", "permissions"],
        items: &[same("vhost"), same("configure"), same("write"), same("read")],
        usual: &["vhost", "configure", "write", "read"],
    },
    Listing {
        verb: "list_topic_permissions",
        banner: "Listing topic permissions for vhost \"{vhost}\" ...",
        path: &["vhosts", "{vhost}", "topic-permissions"],
        items: &[same("user"), same("exchange"), same("write"), same("read")],
        usual: &["user", "exchange", "write", "read"],
    },
    Listing {
        verb: "list_user_topic_permissions",
        banner: "Listing topic permissions for user \"{word}\" ...",
        path: &["users", "{word}", "topic-permissions"],
        items: &[same("vhost"), same("exchange"), same("write"), same("read")],
        usual: &["vhost", "exchange", "write", "read"],
    },
    Listing {
        verb: "list_policies",
        banner: "Listing policies for vhost \"{vhost}\" ...",
        path: &["policies", "{vhost}"],
        items: POLICY,
        usual: POLICY_ITEMS,
    },
    Listing {
        verb: "list_operator_policies",
        banner: "Listing operator policy overrides for vhost \"{vhost}\" ...",
        path: &["operator-policies", "{vhost}"],
        items: POLICY,
        usual: POLICY_ITEMS,
    },
    Listing {
        verb: "list_parameters",
        banner: "Listing runtime parameters for vhost \"{vhost}\" ...",
        path: &["parameters"],
        items: &[same("component"), same("name"), document("value", "value")],
        usual: &["component", "name", "value"],
    },
    Listing {
        verb: "list_global_parameters",
        banner: "Listing global runtime parameters ...",
        path: &["global-parameters"],
        items: &[same("name"), document("value", "value")],
        usual: &["name", "value"],
    },
    Listing {
        verb: "list_deprecated_features",
        banner: "Listing deprecated features ...",
        path: &["deprecated-features"],
        items: &[
            same("name"),
            same("deprecation_phase"),
            same("provided_by"),
            same("desc"),
            same("doc_url"),
        ],
        usual: &["name", "deprecation_phase"],
    },
    Listing {
        verb: "list_feature_flags",
        banner: "Listing feature flags ...",
        path: &["feature-flags"],
        items: &[
            same("name"),
            same("state"),
            same("stability"),
            same("provided_by"),
            same("desc"),
            same("doc_url"),
        ],
        usual: &["name", "state"],
    },
];

const POLICY: &[Item] = &[
    same("vhost"),
    same("name"),
    same("pattern"),
    same("apply-to"),
    document("definition", "definition"),
    same("priority"),
];

const POLICY_ITEMS: &[&str] = &["vhost", "name", "pattern", "apply-to", "definition", "priority"];

impl Listing {
    fn find(verb: &str) -> Option<&'static Self> {
        LISTINGS.iter().find(|listing| listing.verb == verb)
    }

    /// Whether columns can be asked for.
    fn takes_columns(&self) -> bool {
        !self.banner.contains("{word}")
    }

    fn filled(&self, text: &str, call: &Call) -> String {
        text.replace("{vhost}", call.vhost()).replace("{word}", call.word(0))
    }

    /// What is asked for, in that order.
    fn columns(&self, call: &Call, words: &[String]) -> Done<Vec<&'static Item>> {
        let names =
            words.iter().flat_map(|word| word.split([',', ' '])).filter(|name| !name.is_empty());
        let names: Vec<&str> = match self.takes_columns() {
            true => names.collect(),
            false => Vec::new(),
        };
        let names = if names.is_empty() { self.usual.to_vec() } else { names };
        let known = |name: &str| self.items.iter().find(|item| item.name == name);
        let unknown: Vec<&str> =
            names.iter().copied().filter(|name| known(name).is_none()).collect();
        match Verb::find(self.verb) {
            Some(verb) if !unknown.is_empty() => {
                let why = format!("Info key(s) {} are not supported", unknown.join(", "));
                Err(call.wrong(verb, &why))
            }
            _ => Ok(names.into_iter().filter_map(known).collect()),
        }
    }

    fn fetch(&self, call: &Call) -> Done<Vec<Value>> {
        let segments: Vec<String> = self.path.iter().map(|text| self.filled(text, call)).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let found = match call.client()?.get(&path(&segments)) {
            // A virtual host that is not there has nothing.
            Err(failure) if failure.is_missing() && self.path.last() == Some(&"{vhost}") => {
                json!([])
            }
            Err(failure) if failure.is_missing() && self.path.contains(&"{word}") => {
                let why = format!("{{:no_such_user, {}}}", terms::quoted(call.word(0)));
                return Err(error(super::UNAVAILABLE, why));
            }
            found => found?,
        };
        let mut found = rows(&found);
        if self.verb == "list_parameters" || self.verb == "list_channels" {
            // The API's path has no virtual host here.
            let wanted = call.options.vhost.as_deref();
            let wanted = if self.verb == "list_parameters" { Some(call.vhost()) } else { wanted };
            found.retain(|each| wanted.is_none_or(|vhost| part(each, "vhost") == vhost));
        }
        for each in &mut found {
            if self.verb == "list_bindings" {
                each["source_kind"] = "exchange".into();
            }
        }
        Ok(found)
    }
}

/// Lists what the verb of a call is about.
pub fn list(call: &Call) -> Done {
    let listing = Listing::find(&call.verb)
        .ok_or_else(|| Failure::new(super::USAGE, format!("{} lists nothing", call.verb)))?;
    show(call, listing, &call.words)
}

/// A list within a report; `None`: it is none.
pub fn report(call: &Call, verb: &str) -> Option<Done> {
    Listing::find(verb).map(|listing| show(call, listing, &[]))
}

fn show(call: &Call, listing: &Listing, words: &[String]) -> Done {
    let columns = listing.columns(call, words)?;
    if listing.verb == "list_queues" {
        call.banner(&format!("Timeout: {:.1} seconds ...", call.seconds()))?;
    }
    call.banner(&listing.filled(listing.banner, call))?;
    let mut found = listing.fetch(call)?;
    if listing.verb == "list_queues" {
        served::add(call, columns.iter().map(|item| item.name), &mut found)?;
    }
    let cells = |each: &Value| columns.iter().map(|item| value(item, each)).collect::<Vec<Value>>();
    let names: Vec<&str> = columns.iter().map(|item| item.name).collect();
    write(call, &names, &found.iter().map(cells).collect::<Vec<_>>())
}

fn value(item: &Item, object: &Value) -> Value {
    let value = find(object, item.at);
    match item.shape {
        Shape::Plain => value.clone(),
        Shape::Document => value.to_string().into(),
        Shape::Process if value.is_null() => json!(""),
        Shape::Process => pid(&super::call::part(object, item.at)).into(),
    }
}

/// What stands for a process: RabbitMQ's form, made of a name. It leads back to whoever has it.
pub fn pid(name: &str) -> String {
    let hash = twox_hash::XxHash64::oneshot(0, name.as_bytes());
    format!("<{}.{}.{}.0>", crate::node::Node::NAME, hash >> 32, hash & 0xffff_ffff)
}

/// Writes a list in the form that is asked for.
pub fn write(call: &Call, names: &[&str], rows: &[Vec<Value>]) -> Done {
    match call.formatter {
        Formatter::Json => call.print(&json_text(names, rows)),
        Formatter::Csv => {
            let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
            let line = |cells: Vec<String>| {
                cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",")
            };
            let heads = line(names.iter().map(ToString::to_string).collect());
            let rows = rows.iter().map(|row| line(row.iter().map(terms::cell).collect()));
            let heads = call.has_heads().then_some(heads);
            lines(call, heads.into_iter().chain(rows))
        }
        Formatter::Pretty if rows.is_empty() => Ok(()),
        Formatter::Pretty => call.print(&pretty(names, rows)),
        Formatter::Table => {
            let line =
                |row: &Vec<Value>| row.iter().map(terms::cell).collect::<Vec<_>>().join("\t");
            let heads = (call.has_heads() && !rows.is_empty()).then(|| names.join("\t"));
            lines(call, heads.into_iter().chain(rows.iter().map(line)))
        }
    }
}

fn lines(call: &Call, lines: impl Iterator<Item = String>) -> Done {
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() { Ok(()) } else { call.print(&lines.join("\n")) }
}

/// With the keys in the order that was asked for.
fn json_text(names: &[&str], rows: &[Vec<Value>]) -> String {
    let object = |row: &Vec<Value>| {
        let pairs = names.iter().zip(row);
        let pairs = pairs.map(|(name, value)| format!("{}:{}", json!(name), terms::typed(value)));
        format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
    };
    let objects: String = rows.iter().map(object).collect::<Vec<_>>().join("\n,");
    let end = if objects.is_empty() { "" } else { "\n" };
    format!("[\n{objects}{end}]")
}

/// With lines around.
pub fn pretty(names: &[&str], rows: &[Vec<Value>]) -> String {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL).set_header(names.to_vec());
    for (part, line) in [
        (TableComponent::HeaderLines, '─'),
        (TableComponent::LeftHeaderIntersection, '├'),
        (TableComponent::MiddleHeaderIntersections, '┼'),
        (TableComponent::RightHeaderIntersection, '┤'),
        (TableComponent::HorizontalLines, '─'),
        (TableComponent::VerticalLines, '│'),
    ] {
        table.set_style(part, line);
    }
    for row in rows {
        table.add_row(row.iter().map(terms::cell));
    }
    table.to_string()
}

/// All queues answer.
pub fn unresponsive(call: &Call) -> Done {
    call.banner(&format!("Listing unresponsive queues for vhost {} ...", call.vhost()))?;
    call.client()?.get(&path(&["overview"])).map(drop)
}
