//! What is declared at the start, and what the broker calls itself.

use super::{Key, keys, tls};
use crate::config::value::{milliseconds, path, text, truth};

pub(super) fn keys() -> Vec<Key> {
    let mut keys = keys! {
        "load_definitions", "", path(),
            "a file of definitions, or a directory of such, that is imported at the start"
            => |c, _, path| c.definitions.path = Some(path);
        "management.load_definitions", "", path(),
            "the same"
            => |c, _, path| c.definitions.path = Some(path);
        "definitions.local.path", "", path(),
            "the same"
            => |c, _, path| c.definitions.path = Some(path);
        "definitions.skip_if_unchanged", "false", truth(),
            "definitions that were imported before are not imported again"
            => |c, _, yes| c.definitions.skip_if_unchanged = yes;
        "definitions.https.url", "", text(),
            "where definitions are fetched from"
            => |c, _, url| c.definitions.url = Some(url);
        "cluster_name", "lepus", text(),
            "what clients are told that the broker is called", live
            => |c, _, name| c.cluster_name = Some(name);
        "node_name", "", text(),
            "what this process is called", outside
            => |c, _, name| c.node_name = Some(name);
        "pid_file", "", path(),
            "where the number of this process is written", outside
            => |c, _, path| c.pid_file = Some(path);
        "collect_statistics_interval", "5000", milliseconds(),
            "milliseconds between two looks at what is counted: rates are of the time between the last two", live
            => |c, _, time| c.statistics_interval = time;
    };
    keys.extend(tls::client("definitions.tls", "fetching definitions", |c, _| {
        &mut c.definitions.tls
    }));
    keys
}
