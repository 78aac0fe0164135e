//! RabbitMQ's other tools, and what tells of the broker as a whole.

use std::os::unix::fs::symlink;
use std::process::Command;

use lepus_tests::*;
use serde_json::Value;

use super::shell::Shell;

/// Words, what is said before, what is answered. NODE and PORT stand for theirs.
const CHECKS: &[[&str; 3]] = &[
    [
        "ping",
        "Will ping NODE. This only checks if the OS process is running and registered with epmd. \
         Timeout: 60000 ms.",
        "Ping succeeded",
    ],
    [
        "check_running",
        "Checking if RabbitMQ is running on node NODE ...",
        "RabbitMQ on node NODE is fully booted and running",
    ],
    [
        "is_running",
        "Asking node NODE for its status ...",
        "RabbitMQ on node NODE is fully booted and running",
    ],
    [
        "check_local_alarms",
        "Asking node NODE to report any local resource alarms ...",
        "Node NODE reported no local alarms",
    ],
    [
        "check_alarms",
        "Asking node NODE to report any local resource alarms ...",
        "Node NODE reported no alarms, local or clusterwide",
    ],
    [
        "alarms",
        "Asking node NODE to report any known resource alarms ...",
        "Node NODE reported no alarms, local or clusterwide",
    ],
    [
        "check_virtual_hosts",
        "Checking if all vhosts are running on node NODE ...",
        "Node NODE reported all vhosts as running",
    ],
    [
        "check_port_listener PORT",
        "Asking node NODE if there's an active listener on port PORT ...",
        "A listener for port PORT is running on node NODE.",
    ],
    [
        "check_protocol_listener amqp",
        "Asking node NODE if there's an active listener for protocol amqp ...",
        "A listener for protocol amqp is running on node NODE.",
    ],
    [
        "check_certificate_expiration --unit weeks --within 5",
        "Checking certificate expiration on node NODE ...",
        "No certificates are expiring within 5 weeks.",
    ],
];

fn port(shell: &Shell) -> String {
    shell.broker.address().rsplit(':').next().unwrap().to_owned()
}

#[test]
fn the_checks_of_diagnostics_pass() {
    lepus_only!("it runs Lepus' own command");
    for shell in Shell::both() {
        let port = port(&shell);
        for texts in CHECKS {
            let [words, said, answer] =
                texts.map(|text| text.replace("NODE", "rabbit@localhost").replace("PORT", &port));
            let ran = shell.tool(&format!("rabbitmq-diagnostics {words}"));
            let err = ran.err;
            assert_eq!((ran.code, ran.out), (0, format!("{said}\n{answer}\n")), "{words}: {err}");
            let quiet = shell.tool(&format!("rabbitmq-diagnostics -q {words}"));
            assert_eq!((quiet.code, quiet.out), (0, format!("{answer}\n")));
        }
        for words in ["is_booting", "check_port_connectivity", "node_health_check"] {
            assert_eq!(shell.tool(&format!("rabbitmq-diagnostics {words}")).code, 0, "{words}");
        }
    }
}

#[test]
fn the_checks_of_diagnostics_fail() {
    lepus_only!("it runs Lepus' own command");
    let shell = Shell::local();
    let ran = shell.tool("rabbitmq-diagnostics check_port_listener 1");
    let none = "No listener for port 1 is active on node rabbit@localhost. Found listeners that use \
                the following ports: ";
    assert_eq!(ran.code, 69);
    assert!(ran.err.starts_with(none) && ran.err.contains(&port(&shell)), "{ran:?}");
    let ran = shell.tool("rabbitmq-diagnostics check_protocol_listener mqtt");
    let none = "Error:\nNo listener for protocol mqtt is active on node rabbit@localhost. Found \
                listeners for the following protocols: ";
    assert_eq!(ran.code, 69);
    assert!(ran.err.starts_with(none), "{ran:?}");
}

#[test]
fn no_broker_is_exit_code_69() {
    lepus_only!("it runs Lepus' own command");
    let mut shell = Shell::local();
    shell.broker.stop();
    for words in
        ["rabbitmq-diagnostics -q ping", "rabbitmqctl status", "rabbitmqctl await_startup -t 0.1"]
    {
        let ran = shell.tool(words);
        assert_eq!(ran.code, 69, "{words}: {ran:?}");
    }
    let told = shell.tool("rabbitmqctl list_queues").err;
    assert!(
        told.starts_with("Error: unable to perform an operation on node 'rabbit@localhost'."),
        "{told}"
    );
    shell.broker.restart();
    assert_eq!(shell.ctl("await_startup"), "");
}

#[test]
fn status_has_rabbitmqs_parts() {
    lepus_only!("it runs Lepus' own command");
    for shell in Shell::both() {
        let told = shell.ctl("status");
        for part in [
            "Runtime\n\nOS PID: ",
            "RabbitMQ version: 4.",
            "Alarms\n\n(none)",
            "Total memory used: ",
            "File Descriptors\n\nTotal: ",
            "Free disk space: ",
            "Virtual host count: 1",
            "Listeners\n\nInterface: 127.0.0.1, port: ",
        ] {
            assert!(told.contains(part), "no {part:?} in {told}");
        }
        let json: Value = serde_json::from_str(&shell.ctl("status --formatter json")).unwrap();
        assert_eq!(json["totals"]["virtual_host_count"], 1);
        assert!(json["pid"].as_u64() > Some(0));
        let cluster = shell.ctl("cluster_status");
        for part in [
            "Basics\n\nCluster name: rabbit@localhost",
            "Running Nodes\n\nrabbit@localhost",
            "Network Partitions\n\n(none)",
            "Flag: quorum_queue, state: enabled",
        ] {
            assert!(cluster.contains(part), "no {part:?} in {cluster}");
        }
        let json: Value =
            serde_json::from_str(&shell.ctl("cluster_status --formatter json")).unwrap();
        assert_eq!(json["running_nodes"][0], "rabbit@localhost");
        assert!(shell.ctl("memory_breakdown --unit mb").contains(" mb ("));
        assert!(shell.ctl("-q environment").contains("{'heartbeat',"));
        assert!(
            shell
                .ctl("server_version")
                .starts_with("Asking node rabbit@localhost for its RabbitMQ version...\n4.")
        );
        assert!(shell.ctl("listeners").contains("protocol: amqp, purpose: AMQP 0-9-1"));
        assert!(shell.ctl("log_location").ends_with("<stderr>\n"));
        assert!(shell.ctl("report").contains("Listing queues for vhost / ..."));
        assert_eq!(shell.ctl("version").split('.').count(), 3);
    }
}

#[test]
fn the_log_and_events_are_followed() {
    lepus_only!("it runs Lepus' own command");
    let files = Files::default();
    let config = format!("log.dir = {}\n", files.folder().display());
    let shell = Shell { broker: Broker::with_config(&config), by_url: false };
    shell.broker.connect().close();
    let begin = std::time::Instant::now();
    let told = loop {
        let told = shell.ctl("log_tail -N 1");
        if told.contains("closed by the client") || begin.elapsed() > DEADLINE {
            break told;
        }
    };
    assert!(told.starts_with("Last 1 log lines on node rabbit@localhost ...\n"), "{told}");
    assert!(told.lines().count() == 2 && told.contains("closed by the client"), "{told}");
    assert_eq!(shell.ctl("-q log_location"), format!("{}\n<stderr>\n", files.path("lepus.log")));
    let mut lines = shell.start(&["rabbitmq-diagnostics", "-q", "log_tail_stream"]);
    let mut events = shell.start(&["rabbitmqctl", "consume_event_stream", "--pattern", "^queue"]);
    assert_eq!(events.line(DEADLINE).unwrap(), "Streaming logs from node rabbit@localhost ...");
    // The first ones may be before they listen.
    let (line, event) = loop {
        assert!(begin.elapsed() < DEADLINE);
        shell.lepus(&["queues", "create", "q"]);
        shell.lepus(&["queues", "rm", "q"]);
        let wait = std::time::Duration::from_millis(200);
        if let (Some(line), Some(event)) = (lines.line(wait), events.line(wait)) {
            break (line, event);
        }
    };
    assert!(line.contains("DELETE /api/queues/%2F/q"), "{line}");
    let event: Value = serde_json::from_str(&event).unwrap();
    assert!(event["event"].as_str().unwrap().starts_with("queue."), "{event}");
    assert_eq!((&event["name"], &event["vhost"]), (&"q".into(), &"/".into()));
    let told = shell.ctl("-q log_tail_stream -d 0.2");
    assert_eq!(told, "");
    assert_eq!(shell.ctl("list_deprecated_features"), "Listing deprecated features ...\n");
}

#[test]
fn what_scripts_do_at_a_start_works() {
    lepus_only!("it runs Lepus' own command");
    let shell = Shell::local();
    let status = shell.ctl("status --formatter json");
    let status: Value = serde_json::from_str(&status).unwrap();
    let pid = status["pid"].as_u64().unwrap();
    let waiting = format!(
        "Waiting for erlang distribution on node 'rabbit@localhost' while OS process '{pid}' is running\n"
    );
    assert!(shell.ctl(&format!("wait --pid {pid}")).starts_with(&waiting));
    assert_eq!(shell.ctl_fails("wait").0, 64);
    assert_eq!(shell.ctl("enable_feature_flag all"), "Enabling all feature flags ...\n");
    let unknown =
        (64, "Error:\nThis feature flag is not supported by node rabbit@localhost\n".to_owned());
    assert_eq!(shell.ctl_fails("enable_feature_flag nosuch"), unknown);
    let flags = shell.ctl("list_feature_flags");
    assert!(flags.starts_with("Listing feature flags ...\nname\tstate\n"), "{flags}");
    assert_eq!(shell.ctl("set_cluster_name c1"), "Setting cluster name to c1 ...\n");
    assert_eq!(shell.ctl("set_log_level debug"), "Setting log level to \"debug\" ...\n");
    let levels = "Error:\nlevel nosuch is not supported. Try one of debug, info, warning, error, critical, none\n";
    assert_eq!(shell.ctl_fails("set_log_level nosuch"), (69, levels.to_owned()));
    shell.ctl("rotate_logs");
    shell.ctl("start_app");
    shell.ctl("force_gc");
    shell.ctl("await_online_nodes 1");
    let (code, why) = shell.ctl_fails("stop_app");
    assert_eq!(code, 69);
    assert!(why.contains("nothing was done"), "{why}");
    assert_eq!(shell.ctl_fails("reset").0, 69);
    assert_eq!(shell.ctl("-n rabbit@elsewhere -q list_vhosts"), "name\n/\n");
}

#[test]
fn queues_and_plugins_have_tools_of_their_own() {
    lepus_only!("it runs Lepus' own command");
    let shell = Shell::local();
    shell.lepus(&["queues", "create", "q", "--type", "quorum"]);
    let alone = "Node rabbit@localhost seems to be the only one in a single node cluster, the check does not apply\n";
    for check in ["check_if_node_is_quorum_critical", "check_if_node_is_mirror_sync_critical"] {
        let ran = shell.tool(&format!("rabbitmq-queues -q {check}"));
        assert_eq!((ran.code, ran.out.as_str()), (0, alone));
    }
    assert_eq!(shell.tool("rabbitmq-queues rebalance all").code, 0);
    assert_eq!(shell.tool("rabbitmq-queues quorum_status q").code, 0);
    let ran = shell.tool("rabbitmq-queues quorum_status nosuch");
    assert_eq!((ran.code, ran.err.as_str()), (69, "Error:\nnot_found\n"));
    let listed = shell.tool("rabbitmq-plugins list").out;
    assert!(
        listed.starts_with("Listing plugins with pattern \".*\" ...\n Configured: E = "),
        "{listed}"
    );
    assert!(listed.contains("[E*] rabbitmq_management "), "{listed}");
    let names = shell.tool("rabbitmq-plugins -q list -m management$").out;
    assert_eq!(names, "rabbitmq_management\n");
    assert_eq!(shell.tool("rabbitmq-plugins is_enabled rabbitmq_prometheus").code, 0);
    assert_eq!(shell.tool("rabbitmq-plugins is_enabled rabbitmq_mqtt").code, 69);
    assert_eq!(shell.tool("rabbitmq-plugins enable rabbitmq_management --offline").code, 0);
    assert_eq!(shell.tool("rabbitmq-plugins enable rabbitmq_mqtt").code, 69);
    assert_eq!(shell.tool("rabbitmq-plugins disable rabbitmq_management").code, 69);
}

#[test]
fn a_link_of_the_tools_name_is_the_tool() {
    lepus_only!("it runs Lepus' own command");
    let shell = Shell::local();
    let dir = std::env::temp_dir().join(unique("links"));
    std::fs::create_dir_all(&dir).unwrap();
    let link = dir.join("rabbitmq-diagnostics");
    symlink(lepus_binary(), &link).unwrap();
    let mut ping = Command::new(&link);
    ping.args(["-q", "ping"])
        .env_remove("LEPUS_URL")
        .env("LEPUS_DATA_DIR", shell.broker.data_dir());
    let output = ping.output().unwrap();
    assert_eq!(
        (output.status.code(), output.stdout.as_slice()),
        (Some(0), &b"Ping succeeded\n"[..])
    );
    std::fs::remove_dir_all(&dir).unwrap();
}
