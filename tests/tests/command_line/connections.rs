//! What clients have open, and closing it.

use lepus_tests::*;
use serde_json::json;

use super::shell::Shell;

/// A client with a consumer of the queue `q`.
fn consumer(shell: &Shell) -> Conn {
    let mut conn = shell.broker.connect();
    let mut ch = conn.channel(1);
    ch.queue("q");
    ch.consume("q", "tag1");
    conn
}

#[test]
fn connections_are_listed_and_closed() {
    lepus_only!("it runs Lepus' own command");
    for shell in Shell::both() {
        let mut conn = consumer(&shell);
        let all = shell.lepus(&["connections", "ls", "--json"]).json();
        let name = all[0]["name"].as_str().unwrap();
        let rows = shell.lepus(&["connections", "ls"]).rows();
        assert!(rows[1].contains("guest / running false 1"), "{rows:?}");
        assert!(shell.lepus(&["connections", "show", name]).out.contains("guest"));
        shell.lepus(&["connections", "close", name, "--reason", "enough"]);
        conn.expect_close(320, "CONNECTION_FORCED - enough", (0, 0));
        let mut conn = consumer(&shell);
        shell.lepus(&["connections", "close", "--user", "guest"]);
        conn.expect_close(320, "CONNECTION_FORCED - Closed by the operator", (0, 0));
        let mut conn = consumer(&shell);
        assert_eq!(shell.lepus(&["connections", "close", "--all"]).out, "1 closed\n");
        conn.expect_close(320, "CONNECTION_FORCED - Closed by the operator", (0, 0));
        assert_eq!(shell.run(&["connections", "close"]).code, 2);
        assert_eq!(shell.run(&["connections", "close", "nosuch"]).code, 1);
    }
}

#[test]
fn consumers_are_listed_and_sent_away() {
    lepus_only!("it runs Lepus' own command");
    for shell in Shell::both() {
        let mut conn = consumer(&shell);
        let rows = shell.lepus(&["consumers", "ls"]).rows();
        assert!(rows[1].starts_with("/ q tag1 127.0.0.1:"), "{rows:?}");
        shell.lepus(&["messages", "publish", "q", "x"]);
        conn.ch(1).delivery();
        let held = shell.lepus(&["consumers", "ls", "--queue", "q", "--json"]).json();
        assert_eq!(held[0]["messages_unacknowledged"], 1);
        shell.lepus(&["consumers", "cancel", "tag1"]);
        conn.ch(1).expect::<basic::Cancel>();
        assert_eq!(shell.lepus(&["consumers", "ls", "--json"]).json(), json!([]));
        assert_eq!(shell.run(&["consumers", "ls", "--queue", "other"]).code, 1);
        assert_eq!(shell.run(&["consumers", "cancel", "nosuch"]).code, 1);
    }
}

#[test]
fn rabbitmqctl_lists_and_closes_them() {
    lepus_only!("it runs Lepus' own command");
    let shell = Shell::local();
    let mut conn = consumer(&shell);
    let port = conn.local_address().port();
    let listed = shell.ctl("list_connections");
    let head = "Listing connections ...\nuser\tpeer_host\tpeer_port\tstate\n";
    assert_eq!(listed, format!("{head}guest\t127.0.0.1\t{port}\trunning\n"));
    let pid = shell.ctl("-s list_connections pid");
    let pid = pid.trim();
    assert!(pid.starts_with("<rabbit@localhost.") && pid.ends_with(".0>"), "{pid}");
    let channel = shell.ctl("-q list_channels");
    let (heads, row) = channel.split_once('\n').unwrap();
    assert_eq!(heads, "pid\tuser\tconsumer_count\tmessages_unacknowledged");
    assert!(row.ends_with("\tguest\t1\t0\n"), "{row}");
    let channel = row.split('\t').next().unwrap();
    let heads =
        "queue_name\tchannel_pid\tconsumer_tag\tack_required\tprefetch_count\tactive\targuments";
    assert_eq!(
        shell.ctl("list_consumers"),
        format!(
            "Listing consumers in vhost / ...\n{heads}\nq\t{channel}\ttag1\ttrue\t0\ttrue\t[]\n"
        )
    );
    let closed = shell.ctl(&format!("close_connection {pid} why"));
    assert_eq!(closed, format!("Closing connection {pid}, reason: why...\n"));
    conn.expect_close(320, "CONNECTION_FORCED - why", (0, 0));
    let mut conn = consumer(&shell);
    assert_eq!(
        shell.ctl("close_all_connections -p / why"),
        "Closing all connections in vhost /, reason: why...\nClosed 1 connections\n"
    );
    conn.expect_close(320, "CONNECTION_FORCED - why", (0, 0));
    let mut conn = consumer(&shell);
    shell.ctl("close_all_user_connections guest why");
    conn.expect_close(320, "CONNECTION_FORCED - why", (0, 0));
}
