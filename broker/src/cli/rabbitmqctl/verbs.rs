//! The verbs that are known.

use super::call::{Call, Tool};
use super::{
    checks, connections, definitions, listings, node, plugins, policies, status, tails, users,
    vhosts,
};
use crate::cli::failure::Done;

/// A verb.
pub struct Verb {
    /// Its name.
    pub name: &'static str,
    /// What follows it.
    arguments: &'static str,
    /// How many words may follow.
    least: usize,
    most: usize,
    /// What it does.
    pub run: fn(&Call) -> Done,
}

const fn verb(
    name: &'static str,
    arguments: &'static str,
    [least, most]: [usize; 2],
    run: fn(&Call) -> Done,
) -> Verb {
    Verb { name, arguments, least, most, run }
}

/// Any number of words.
const MANY: usize = usize::MAX;

const VERBS: &[Verb] = &[
    verb("help", "[<command>]", [0, 1], help),
    verb("version", "", [0, 0], node::version),
    verb("status", "[--unit <unit>] [--timeout <timeout>]", [0, 0], status::status),
    verb("cluster_status", "[--timeout <timeout>]", [0, 0], status::cluster_status),
    verb("memory_breakdown", "[--unit <unit>]", [0, 0], status::memory_breakdown),
    verb("environment", "", [0, 0], status::environment),
    verb("report", "", [0, 0], report),
    verb("ping", "", [0, 0], checks::ping),
    verb("check_running", "", [0, 0], checks::running),
    verb("is_running", "", [0, 0], checks::is_running),
    verb("is_booting", "", [0, 0], checks::is_booting),
    verb("check_alarms", "", [0, 0], checks::alarms),
    verb("alarms", "", [0, 0], checks::list_alarms),
    verb("check_local_alarms", "", [0, 0], checks::local_alarms),
    verb("check_port_listener", "<port>", [1, 1], checks::port_listener),
    verb("check_protocol_listener", "<protocol>", [1, 1], checks::protocol_listener),
    verb("check_port_connectivity", "[--address <ip_address>]", [0, 0], checks::connectivity),
    verb("check_virtual_hosts", "", [0, 0], checks::virtual_hosts),
    verb(
        "check_certificate_expiration",
        "--within <period> --unit <days | weeks | months | years>",
        [0, 0],
        checks::certificates,
    ),
    verb("node_health_check", "[--timeout <timeout>]", [0, 0], checks::health),
    verb("check_if_node_is_quorum_critical", "", [0, 0], checks::quorum_critical),
    verb("check_if_node_is_mirror_sync_critical", "", [0, 0], checks::mirror_critical),
    verb("check_if_any_deprecated_features_are_used", "", [0, 0], checks::deprecated),
    verb("listeners", "", [0, 0], checks::listeners),
    verb("server_version", "", [0, 0], node::server_version),
    verb("log_location", "", [0, 0], node::log_location),
    verb("log_tail", "[--number|-N <number>]", [0, 0], tails::log_tail),
    verb("log_tail_stream", "[--duration|-d <seconds>]", [0, 0], tails::log_tail_stream),
    verb(
        "consume_event_stream",
        "[--duration|-d <seconds>] [--pattern <pattern>]",
        [0, 0],
        tails::consume_event_stream,
    ),
    verb("list_deprecated_features", "[<column>, ...]", [0, MANY], listings::list),
    verb("list_feature_flags", "[<column>, ...]", [0, MANY], listings::list),
    verb("enable_feature_flag", "<all | feature_flag>", [1, 1], node::enable_feature_flag),
    verb(
        "list_queues",
        "[--vhost <vhost>] [--online] [--offline] [--local] [--no-table-headers] [<column>, ...] [--timeout <timeout>]",
        [0, MANY],
        listings::list,
    ),
    verb(
        "list_exchanges",
        "[--vhost <vhost>] [--no-table-headers] [<column>, ...]",
        [0, MANY],
        listings::list,
    ),
    verb(
        "list_bindings",
        "[--vhost <vhost>] [--no-table-headers] [<column>, ...]",
        [0, MANY],
        listings::list,
    ),
    verb("list_connections", "[--no-table-headers] [<column>, ...]", [0, MANY], listings::list),
    verb(
        "list_channels",
        "[--vhost <vhost>] [--no-table-headers] [<column>, ...]",
        [0, MANY],
        listings::list,
    ),
    verb(
        "list_consumers",
        "[--vhost <vhost>] [--no-table-headers] [<column>, ...]",
        [0, MANY],
        listings::list,
    ),
    verb("list_users", "[--no-table-headers] [--timeout <timeout>]", [0, 0], listings::list),
    verb("list_vhosts", "[--no-table-headers] [<column>, ...]", [0, MANY], listings::list),
    verb(
        "list_permissions",
        "[--vhost <vhost>] [--no-table-headers] [--timeout <timeout>]",
        [0, 0],
        listings::list,
    ),
    verb("list_user_permissions", "[--no-table-headers] <username>", [1, 1], listings::list),
    verb(
        "list_topic_permissions",
        "[--vhost <vhost>] [--no-table-headers]",
        [0, 0],
        listings::list,
    ),
    verb("list_user_topic_permissions", "[--no-table-headers] <username>", [1, 1], listings::list),
    verb("list_policies", "[--vhost <vhost>] [--no-table-headers]", [0, 0], listings::list),
    verb(
        "list_operator_policies",
        "[--vhost <vhost>] [--no-table-headers]",
        [0, 0],
        listings::list,
    ),
    verb("list_parameters", "[--vhost <vhost>] [--no-table-headers]", [0, 0], listings::list),
    verb("list_global_parameters", "[--no-table-headers]", [0, 0], listings::list),
    verb(
        "list_unresponsive_queues",
        "[--vhost <vhost>] [<column>, ...]",
        [0, MANY],
        listings::unresponsive,
    ),
    verb("list_vhost_limits", "[--vhost <vhost>] [--global]", [0, 0], policies::list_vhost_limits),
    verb("list_user_limits", "[--user <username>] [--global]", [0, 0], policies::list_user_limits),
    verb("add_user", "<username> <password>", [1, 2], users::add),
    verb("delete_user", "<username>", [1, 1], users::delete),
    verb("change_password", "<username> <password>", [1, 2], users::change_password),
    verb("clear_password", "<username>", [1, 1], users::clear_password),
    verb("authenticate_user", "<username> <password>", [1, 2], users::authenticate),
    verb("set_user_tags", "<username> <tag> [...]", [1, MANY], users::set_tags),
    verb("hash_password", "<password>", [0, 1], users::hash_password),
    verb(
        "set_permissions",
        "[--vhost <vhost>] <username> <conf> <write> <read>",
        [4, 4],
        users::set_permissions,
    ),
    verb("clear_permissions", "[--vhost <vhost>] <username>", [1, 1], users::clear_permissions),
    verb(
        "set_topic_permissions",
        "[--vhost <vhost>] <username> <exchange> <write> <read>",
        [4, 4],
        users::set_topic_permissions,
    ),
    verb(
        "clear_topic_permissions",
        "[--vhost <vhost>] <username> [<exchange>]",
        [1, 2],
        users::clear_topic_permissions,
    ),
    verb(
        "add_vhost",
        "<vhost> [--description <description> --tags \"<tag1>,<tag2>,<...>\" --default-queue-type <quorum|classic|stream>]",
        [1, 1],
        vhosts::add,
    ),
    verb("delete_vhost", "<vhost>", [1, 1], vhosts::delete),
    verb("set_vhost_tags", "<vhost> <tag> [...]", [1, MANY], vhosts::set_tags),
    verb("restart_vhost", "[--vhost <vhost>]", [0, 0], vhosts::restart),
    verb("trace_on", "[--vhost <vhost>]", [0, 0], vhosts::trace_on),
    verb("trace_off", "[--vhost <vhost>]", [0, 0], vhosts::trace_off),
    verb(
        "set_policy",
        "[--vhost <vhost>] [--priority <priority>] [--apply-to <apply-to>] <name> <pattern> <definition>",
        [3, 3],
        policies::set,
    ),
    verb("clear_policy", "[--vhost <vhost>] <name>", [1, 1], policies::clear),
    verb(
        "set_operator_policy",
        "[--vhost <vhost>] [--priority <priority>] [--apply-to <apply-to>] <name> <pattern> <definition>",
        [3, 3],
        policies::set_operator,
    ),
    verb("clear_operator_policy", "[--vhost <vhost>] <name>", [1, 1], policies::clear_operator),
    verb(
        "set_parameter",
        "[--vhost <vhost>] <component_name> <name> <value>",
        [3, 3],
        policies::set_parameter,
    ),
    verb(
        "clear_parameter",
        "[--vhost <vhost>] <component_name> <name>",
        [2, 2],
        policies::clear_parameter,
    ),
    verb("set_global_parameter", "<name> <value>", [2, 2], policies::set_global),
    verb("clear_global_parameter", "<name>", [1, 1], policies::clear_global),
    verb("set_vhost_limits", "[--vhost <vhost>] <definition>", [1, 1], policies::set_vhost_limits),
    verb("clear_vhost_limits", "[--vhost <vhost>]", [0, 0], policies::clear_vhost_limits),
    verb("set_user_limits", "<username> <definition>", [2, 2], policies::set_user_limits),
    verb("clear_user_limits", "<username> <limit_type | all>", [2, 2], policies::clear_user_limits),
    verb("set_cluster_name", "<name>", [1, 1], node::set_cluster_name),
    verb("purge_queue", "[--vhost <vhost>] <queue>", [1, 1], connections::purge_queue),
    verb(
        "delete_queue",
        "[--vhost <vhost>] <queue_name> [--if-empty|-e] [--if-unused|-u]",
        [1, 1],
        connections::delete_queue,
    ),
    verb("quorum_status", "[--vhost <vhost>] <queue>", [1, 1], connections::quorum_status),
    verb("rebalance", "<all | classic | quorum>", [1, 1], node::rebalance),
    verb("close_connection", "<connectionpid> <explanation>", [2, 2], connections::close),
    verb(
        "close_all_connections",
        "[--vhost <vhost> --limit <limit>] [-n <node> --global] [--per-connection-delay <delay>] <explanation>",
        [1, 1],
        connections::close_all,
    ),
    verb(
        "close_all_user_connections",
        "<username> <explanation>",
        [2, 2],
        connections::close_all_of_user,
    ),
    verb("export_definitions", "<file_path | \"-\">", [1, 1], definitions::export),
    verb("import_definitions", "<file_path | \"-\">", [0, 1], definitions::import),
    verb("await_startup", "[--timeout <timeout>]", [0, 0], node::await_startup),
    verb("await_online_nodes", "<count>", [1, 1], node::await_online_nodes),
    verb("wait", "[<pidfile>] [--pid|-P <pid>]", [0, 1], node::wait),
    verb("stop", "[<pidfile>]", [0, 1], node::stop),
    verb("shutdown", "", [0, 0], node::stop),
    verb("stop_app", "", [0, 0], node::stop_app),
    verb("start_app", "", [0, 0], node::start_app),
    verb("reset", "", [0, 0], node::reset),
    verb("force_reset", "", [0, 0], node::reset),
    verb("rotate_logs", "", [0, 0], node::rotate_logs),
    verb("set_log_level", "<log_level>", [1, 1], node::set_log_level),
    verb("force_gc", "", [0, 0], node::force_gc),
    verb("list", "[pattern] [--minimal]", [0, 1], plugins::list),
    verb("is_enabled", "<plugin1> [ <plugin2>]", [1, MANY], plugins::is_enabled),
    verb("enable", "<plugin1> [ <plugin2>]", [1, MANY], plugins::enable),
    verb("disable", "<plugin1> [ <plugin2>]", [1, MANY], plugins::disable),
    verb("set", "<plugin1> [ <plugin2>]", [0, MANY], plugins::enable),
    verb("directories", "", [0, 0], plugins::directories),
];

impl Verb {
    /// The one of a name.
    pub fn find(name: &str) -> Option<&'static Self> {
        VERBS.iter().find(|verb| verb.name == name)
    }

    /// The one that was meant perhaps.
    pub fn nearest(name: &str) -> Option<&'static Self> {
        let distance = |verb: &&Self| strsim::damerau_levenshtein(verb.name, name);
        VERBS.iter().min_by_key(distance).filter(|verb| distance(verb) <= verb.name.len() / 3)
    }

    /// How it is used.
    pub fn usage(&self, tool: Tool) -> String {
        let general = "[--node <node>] [--longnames] [--quiet]";
        format!("{} {general} {} {}", tool.name(), self.name, self.arguments).trim_end().to_owned()
    }

    /// Checks the number of words and does it.
    pub fn run(&self, call: &Call) -> Done {
        if call.options.help {
            return call.print(&self.usage(call.tool));
        }
        match call.words.len() {
            count if count < self.least => Err(call.wrong(self, "not enough arguments.")),
            count if count > self.most => Err(call.wrong(self, "too many arguments.")),
            _ => (self.run)(call),
        }
    }
}

/// All verbs.
pub fn usage(tool: Tool) -> String {
    let general = "[--node <node>] [--timeout <timeout>] [--longnames] [--quiet]";
    let names = VERBS.iter().map(|verb| format!("   {}", verb.name));
    format!(
        "Usage\n\n{} {general} <command> [<command options>]\n\nAvailable commands:\n\n{}",
        tool.name(),
        names.collect::<Vec<_>>().join("\n")
    )
}

fn help(call: &Call) -> Done {
    match call.words.first().and_then(|name| Verb::find(name)) {
        Some(verb) => call.print(&verb.usage(call.tool)),
        None => call.print(&usage(call.tool)),
    }
}

/// What there is to say to those who help.
fn report(call: &Call) -> Done {
    call.banner("Reporting server status ...")?;
    const PARTS: [&str; 10] = [
        "status",
        "cluster_status",
        "environment",
        "list_connections",
        "list_channels",
        "list_queues",
        "list_exchanges",
        "list_bindings",
        "list_policies",
        "list_permissions",
    ];
    PARTS.iter().filter_map(|name| Verb::find(name)).try_for_each(|verb| {
        let done = listings::report(call, verb.name).unwrap_or_else(|| (verb.run)(call));
        done.and_then(|()| call.print(""))
    })
}
