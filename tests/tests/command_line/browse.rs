//! The messages of a queue: looked at, searched, moved.

use std::time::{Duration, Instant};

use lepus_tests::*;
use serde_json::json;

use super::shell::Shell;

#[test]
fn messages_are_looked_at_searched_and_moved() {
    lepus_only!("it runs Lepus' own command");
    for shell in Shell::both() {
        for queue in ["dead", "jobs"] {
            shell.lepus(&["queues", "create", queue]);
        }
        for n in 1..=5 {
            shell.lepus(&["messages", "publish", "dead", &format!("m {n}")]);
        }
        let rows = shell.lepus(&["queues", "peek", "dead", "-n", "2"]).rows();
        assert!(rows.len() == 3 && rows[1].ends_with("dead 3 B false m 1"), "{rows:?}");
        let found = shell.lepus(&["queues", "search", "dead", "m 3", "--json"]).json();
        assert_eq!((found[0]["payload"].as_str(), &found[1]), (Some("m 3"), &json!(null)));
        assert_eq!(shell.run(&["queues", "search", "dead", "nosuch"]).code, 1);
        let moved = ["queues", "move", "dead", "--to", "jobs"];
        let ran = shell.lepus(&[&moved[..], &["--search", "m 2"]].concat());
        assert_eq!(ran.out, "move: 1 messages\n");
        shell.lepus(&[&moved[..], &["--limit", "2", "--rate", "100"]].concat());
        assert_eq!(shell.run(&["queues", "move", "dead", "--to", "nosuch"]).code, 1);
        let kept = ["queues", "move", "dead", "--to-exchange", "amq.fanout", "--json"];
        let told = shell.lepus(&kept).json();
        assert_eq!((&told["done"], &told["skipped"]["unroutable"]), (&json!(0), &json!(2)));
        assert_eq!(shell.ctl("-s list_queues name messages"), "dead\t2\njobs\t3\n");
    }
}

#[test]
fn dead_letters_go_back_to_where_they_died() {
    lepus_only!("it runs Lepus' own command");
    let shell = Shell::local();
    shell.lepus(&["queues", "create", "dead"]);
    let to_dead = ["-a", "x-dead-letter-exchange=\"\"", "-a", "x-dead-letter-routing-key=dead"];
    let full = ["queues", "create", "full", "-a", "x-max-length=1"];
    shell.lepus(&[&full[..], &to_dead].concat());
    shell.lepus(&["messages", "publish", "full", "one"]);
    shell.lepus(&["messages", "publish", "full", "two"]);
    shell.lepus(&["queues", "purge", "full"]);
    let deadline = Instant::now() + DEADLINE;
    loop {
        let ran = shell.lepus(&["queues", "retry", "dead", "--json"]).json();
        if ran["done"] == 1 {
            break;
        }
        assert!(Instant::now() < deadline, "{ran}");
    }
    assert!(shell.lepus(&["messages", "get", "full"]).out.contains("one"));
}

#[test]
fn messages_are_seen_as_they_come() {
    lepus_only!("it runs Lepus' own command");
    let shell = Shell::local();
    shell.lepus(&["queues", "create", "q"]);
    let mut tail = shell.start(&["queues", "tail", "q"]);
    // The first ones may be there before it looks.
    let line = loop {
        shell.lepus(&["messages", "publish", "q", "new"]);
        if let Some(line) = tail.line(Duration::from_secs(1)) {
            break line;
        }
    };
    assert!(line.ends_with(" q new"), "{line}");
}

#[test]
fn messages_of_all_priorities_are_seen_as_they_come() {
    lepus_only!("it runs Lepus' own command");
    let shell = Shell::local();
    shell.lepus(&["queues", "create", "q", "-a", "x-max-priority=9"]);
    let publish = |payload: &str, priority: &str| {
        let property = format!("priority={priority}");
        shell.lepus(&["messages", "publish", "q", payload, "--property", &property]);
    };
    let mut tail = shell.start(&["queues", "tail", "q"]);
    while tail.line(Duration::from_millis(500)).is_none() {
        publish("first", "5");
    }
    publish("low", "1");
    publish("high", "9");
    let mut lines =
        std::iter::from_fn(|| tail.line(DEADLINE)).filter(|line| !line.ends_with(" first"));
    let mut seen: Vec<String> = lines.by_ref().take(2).collect();
    seen.sort_by_key(|line| line.rsplit(' ').next().map(str::to_owned));
    assert!(seen[0].ends_with(" q high") && seen[1].ends_with(" q low"), "{seen:?}");
}
