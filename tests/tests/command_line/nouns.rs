//! Each noun with its verbs, by the socket and at a URL.

use lepus_tests::*;
use serde_json::{Value, json};

use super::shell::Shell;

#[test]
fn status_tells_what_there_is() {
    lepus_only!("it runs Lepus' own command");
    for shell in Shell::both() {
        let shown = shell.lepus(&["status"]).rows();
        assert!(shown.contains(&"product Lepus".to_owned()), "{shown:?}");
        assert!(shown.contains(&"alarms none".to_owned()), "{shown:?}");
        let told = shell.lepus(&["status", "--json"]).json();
        assert_eq!(told["overview"]["product_name"], "Lepus");
        assert_eq!(told["node"]["running"], true);
    }
}

#[test]
fn checks_say_no_by_their_exit_code() {
    lepus_only!("it runs Lepus' own command");
    for shell in Shell::both() {
        assert_eq!(shell.lepus(&["check"]).rows().len(), 3);
        for check in ["all", "alarms", "ready", "vhosts"] {
            shell.lepus(&["check", check]);
        }
        let port = shell.broker.address().rsplit(':').next().unwrap();
        shell.lepus(&["check", "port", port]);
        shell.lepus(&["check", "protocol", "amqp"]);
        shell.lepus(&["check", "certificates", "30"]);
        let ran = shell.run(&["check", "port", "1"]);
        assert_eq!(
            (ran.code, ran.rows()[0].as_str()),
            (1, "failed port-listener 1: No active listener")
        );
        assert_eq!(shell.run(&["check", "protocol", "mqtt"]).code, 1);
        let told = shell.run(&["check", "protocol", "mqtt", "--json"]).json();
        assert_eq!(told[0]["ok"], false);
    }
}

#[test]
fn the_doctor_finds_what_is_forgotten() {
    lepus_only!("it runs Lepus' own command");
    let shell = Shell::local();
    shell.lepus(&["queues", "create", "orders"]);
    shell.lepus(&["messages", "publish", "orders", "one"]);
    let ran = shell.run(&["doctor"]);
    let shown = ran.rows().join("\n");
    assert_eq!(ran.code, 1, "{shown}");
    assert!(shown.contains("look queues with messages and no consumer: 1: orders"), "{shown}");
    assert!(shown.contains("look user guest:"), "{shown}");
    assert!(shown.contains("ok alarms"), "{shown}");
    shell.lepus(&["queues", "purge", "orders"]);
    shell.lepus(&["users", "rm", "guest"]);
    let ran = shell.run(&["doctor"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(
        shell.run(&["doctor", "--json"]).json()[0],
        json!({"what": "alarms", "wrong": null, "seen": true})
    );
}

#[test]
fn the_doctor_says_what_is_not_for_the_user_to_see() {
    lepus_only!("it runs Lepus' own command");
    let shell = Shell::remote();
    shell.lepus(&["users", "set", "anna", "--password", "pw", "--tags", "management"]);
    shell.lepus(&["permissions", "set", "anna", ".*", ".*", ".*"]);
    shell.lepus(&["users", "rm", "guest"]);
    let url = |password| format!("http://anna:{password}@{}", shell.broker.http_address());
    let ran = shell.run(&["doctor", "--url", &url("pw")]);
    let shown = ran.rows().join("\n");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(shown.contains("- memory: not for this user to see"), "{shown}");
    assert!(shown.contains("- users without permissions: not for this user to see"), "{shown}");
    assert!(shown.contains("ok paused queues"), "{shown}");
    let seen = |what: &Value| what["what"] == "paused queues" && what["seen"] == true;
    let told = shell.run(&["doctor", "--json", "--url", &url("pw")]).json();
    assert!(told.as_array().unwrap().iter().any(seen), "{told}");
    assert_eq!(shell.run(&["doctor", "--url", &url("wrong")]).code, 1);
}

#[test]
fn queues_come_and_go() {
    lepus_only!("it runs Lepus' own command");
    for shell in Shell::both() {
        shell.lepus(&["queues", "create", "a b/c", "-a", "x-max-length=7"]);
        shell.lepus(&["queues", "create", "other", "--type", "quorum"]);
        shell.lepus(&["messages", "publish", "a b/c", "one"]);
        let all = shell.lepus(&["queues", "ls", "--json"]).json();
        assert_eq!(all[0]["name"], "a b/c");
        assert_eq!(all[0]["arguments"]["x-max-length"], 7);
        let rows = shell.lepus(&["queues", "ls", "--name", "B/", "--limit", "1"]).rows();
        assert!(rows[0].starts_with("vhost name type state ready unacked"), "{rows:?}");
        assert_eq!(rows.len(), 2);
        assert!(rows[1].starts_with("/ a b/c classic running 1 0"), "{rows:?}");
        let sorted = shell.lepus(&["queues", "ls", "--sort", "messages", "--json"]).json();
        assert_eq!((&sorted[0]["name"], &sorted[1]["name"]), (&json!("a b/c"), &json!("other")));
        let one = shell.lepus(&["queues", "show", "a b/c"]).rows();
        assert!(one.contains(&"ready 1".to_owned()), "{one:?}");
        assert!(one.iter().any(|part| part.starts_with("oldest ready ")), "{one:?}");
        shell.lepus(&["queues", "pause", "a b/c"]);
        assert!(
            shell.lepus(&["queues", "show", "a b/c"]).rows().contains(&"state paused".to_owned())
        );
        assert!(shell.run(&["doctor"]).out.contains("paused queues: 1: a b/c"));
        shell.lepus(&["queues", "resume", "a b/c"]);
        let ran = shell.run(&["queues", "rm", "a b/c", "--if-empty"]);
        assert_eq!(
            (ran.code, ran.err.as_str()),
            (1, "error: queue 'a b/c' in vhost '/' not empty\n")
        );
        shell.lepus(&["queues", "purge", "a b/c"]);
        shell.lepus(&["queues", "rm", "a b/c", "--if-empty", "--if-unused"]);
        let ran = shell.run(&["queues", "show", "a b/c"]);
        let missing = "error: not found: queues/%2F/a%20b%2Fc\n";
        assert_eq!((ran.code, ran.err.as_str()), (1, missing));
        assert_eq!(shell.lepus(&["queues", "ls", "-p", "/", "--json"]).json()[0]["name"], "other");
        let top = shell.lepus(&["top", "--once"]).rows();
        assert!(top[0].starts_with("Lepus ") && top[2].starts_with("other / running"), "{top:?}");
    }
}

#[test]
fn top_says_that_publishers_are_held_back() {
    lepus_only!("it runs Lepus' own command");
    let broker = Broker::with_config("vm_memory_high_watermark.absolute = 1KiB\n");
    broker.wait_for_log("memory alarm set", 1);
    let shell = Shell { broker, by_url: false };
    let head = shell.lepus(&["top", "--once"]).rows().remove(0);
    assert!(head.ends_with("There are alarms in effect in the cluster: memory"), "{head}");
}

#[test]
fn all_queues_of_a_name_are_listed() {
    lepus_only!("it runs Lepus' own command");
    let shell = Shell::local();
    let mut conn = shell.broker.connect();
    let mut ch = conn.channel(1);
    (0..501).for_each(|number| drop(ch.queue(&format!("job {number}"))));
    ch.queue("other");
    let all = shell.lepus(&["queues", "ls", "--name", "JOB", "--json"]).json();
    assert_eq!(all.as_array().unwrap().len(), 501);
    assert_eq!(shell.lepus(&["queues", "ls", "--name", "job", "--limit", "3"]).rows().len(), 4);
    assert_eq!(shell.lepus(&["queues", "ls", "--name", "nosuch"]).rows().len(), 1);
    // A user without a password is one all the same.
    let url = format!("http://anna@{}", shell.broker.http_address());
    let refused = shell.run(&["queues", "ls", "--url", &url]);
    assert_eq!((refused.code, refused.err.as_str()), (1, "error: Login failed\n"));
    shell.broker.wait_for_log("user 'anna' attempted to log in with a blank password", 1);
}

#[test]
fn exchanges_and_bindings_come_and_go() {
    lepus_only!("it runs Lepus' own command");
    for shell in Shell::both() {
        shell.lepus(&["exchanges", "set", "sales", "--type", "topic"]);
        shell.lepus(&["queues", "create", "orders"]);
        shell.lepus(&["bindings", "set", "sales", "orders", "eu.#"]);
        shell.lepus(&["bindings", "set", "sales", "orders", "eu.#", "-a", "x=1"]);
        shell.lepus(&["bindings", "set", "sales", "amq.fanout", "all", "--to-exchange"]);
        assert!(shell.lepus(&["exchanges", "show", "sales"]).out.contains("topic"));
        let rows = shell.lepus(&["bindings", "ls"]).rows();
        assert!(rows.contains(&"/ sales eu.# orders queue".to_owned()), "{rows:?}");
        assert!(rows.contains(&"/ sales all amq.fanout exchange".to_owned()), "{rows:?}");
        shell.lepus(&["messages", "publish", "-e", "sales", "eu.fr", "paid"]);
        shell.lepus(&["bindings", "rm", "sales", "orders", "eu.#"]);
        let left = shell.lepus(&["bindings", "ls", "--queue", "orders", "--json"]).json();
        assert_eq!(left.as_array().unwrap().len(), 2);
        assert_eq!(shell.run(&["bindings", "rm", "sales", "orders", "eu.#"]).code, 1);
        shell.lepus(&["bindings", "rm", "sales", "orders", "eu.#", "-a", "x=1"]);
        shell.lepus(&["exchanges", "rm", "sales"]);
        let rows = shell.lepus(&["exchanges", "ls", "-p", "/"]).rows();
        assert!(!rows.iter().any(|row| row.contains("sales")), "{rows:?}");
    }
}

#[test]
fn who_may_do_what_is_set_and_shown() {
    lepus_only!("it runs Lepus' own command");
    for shell in Shell::both() {
        shell.lepus(&["vhosts", "set", "shop", "--description", "sales"]);
        shell.lepus(&[
            "users",
            "set",
            "anna",
            "--password",
            "secret",
            "--tags",
            "monitoring,management",
        ]);
        shell.lepus(&["permissions", "set", "-p", "shop", "anna", "^a", ".*", ".*"]);
        shell.lepus(&[
            "permissions",
            "set",
            "-p",
            "shop",
            "anna",
            "^k",
            "^r",
            "--exchange",
            "amq.topic",
        ]);
        let rows = shell.lepus(&["permissions", "ls", "--user", "anna"]).rows();
        assert_eq!(rows, ["vhost user configure write read", "shop anna ^a .* .*"]);
        let rows = shell.lepus(&["permissions", "ls", "-p", "shop", "--topic"]).rows();
        assert_eq!(rows[1], "shop anna amq.topic ^k ^r");
        // What is not said stays.
        shell.lepus(&["users", "set", "anna", "--tags", "administrator"]);
        assert_eq!(shell.ctl("-q authenticate_user anna secret"), "");
        let users = shell.lepus(&["users", "ls", "--json"]).json();
        assert_eq!(
            (&users[0]["name"], &users[0]["tags"]),
            (&json!("anna"), &json!(["administrator"]))
        );
        // Limits of a virtual host are for who may use it.
        shell.lepus(&["permissions", "set", "-p", "shop", "guest", ".*", ".*", ".*"]);
        shell.lepus(&["limits", "set", "-p", "shop", "max-queues", "9"]);
        shell.lepus(&["limits", "set", "--user", "anna", "max-channels", "8"]);
        let rows = shell.lepus(&["limits", "ls"]).rows();
        assert_eq!(rows[1..], ["vhost shop max-queues 9", "user anna max-channels 8"]);
        shell.lepus(&["limits", "rm", "--user", "anna", "max-channels"]);
        shell.lepus(&["limits", "rm", "-p", "shop", "max-queues"]);
        assert_eq!(shell.lepus(&["limits", "ls"]).rows().len(), 1);
        shell.lepus(&["permissions", "rm", "-p", "shop", "anna"]);
        shell.lepus(&["permissions", "rm", "-p", "shop", "anna", "--topic"]);
        assert_eq!(shell.lepus(&["permissions", "ls", "--user", "anna"]).rows().len(), 1);
        shell.lepus(&["users", "rm", "anna"]);
        shell.lepus(&["vhosts", "rm", "shop"]);
        assert_eq!(shell.run(&["vhosts", "rm", "shop"]).code, 1);
        assert_eq!(shell.lepus(&["vhosts", "ls"]).rows().len(), 2);
    }
}

#[test]
fn policies_come_and_go() {
    lepus_only!("it runs Lepus' own command");
    for shell in Shell::both() {
        shell.lepus(&["policies", "set", "p", "^q", r#"{"max-length":5}"#, "--priority", "3"]);
        let rows = shell.lepus(&["policies", "ls"]).rows();
        assert_eq!(rows[1], r#"/ p ^q all 3 {"max-length":5}"#);
        shell.lepus(&["policies", "set", "--operator", "o", "^q", r#"{"max-length":4}"#]);
        let all = shell.lepus(&["policies", "ls", "--operator", "--json"]).json();
        assert_eq!((&all[0]["name"], &all[0]["apply-to"]), (&json!("o"), &json!("queues")));
        assert_eq!(shell.run(&["policies", "set", "x", "^q", "{"]).code, 65);
        let ran = shell.run(&["policies", "set", "x", "^q", r#"{"nosuch":1}"#]);
        assert_eq!(ran.code, 1);
        assert!(ran.err.contains("not recognised policy settings"), "{ran:?}");
        shell.lepus(&["policies", "rm", "p"]);
        shell.lepus(&["policies", "rm", "--operator", "o"]);
        assert_eq!(shell.run(&["policies", "rm", "p"]).code, 1);
    }
}

#[test]
fn messages_are_published_and_taken() {
    lepus_only!("it runs Lepus' own command");
    for shell in Shell::both() {
        shell.lepus(&["queues", "create", "q"]);
        let ran = shell.run(&["messages", "publish", "nowhere", "x"]);
        assert_eq!((ran.code, ran.err.as_str()), (1, "error: no queue has it\n"));
        let header = ["--property", "type=order", "--property", "priority=4", "--header", "n=5"];
        shell.lepus(&[&["messages", "publish", "q", "one"], &header[..]].concat());
        let ran = shell.run_with(&["messages", "publish", "q", "-"], "two\n");
        assert_eq!(ran.code, 0, "{ran:?}");
        let seen = shell.lepus(&["messages", "get", "q", "--requeue"]).rows();
        assert!(seen[1].contains("one"), "{seen:?}");
        let taken = shell.lepus(&["messages", "get", "q", "-n", "5", "--json"]).json();
        assert_eq!((&taken[0]["payload"], &taken[1]["payload"]), (&json!("one"), &json!("two\n")));
        let properties = &taken[0]["properties"];
        assert_eq!((&properties["type"], &properties["priority"]), (&json!("order"), &json!(4)));
        assert_eq!(properties["headers"]["n"], 5);
        assert_eq!(shell.lepus(&["messages", "get", "q"]).rows().len(), 1);
    }
}

#[test]
fn definitions_of_a_running_broker_go_to_another_one() {
    lepus_only!("it runs Lepus' own command");
    let [from, to] = Shell::both();
    from.lepus(&["queues", "create", "orders"]);
    let data = from.broker.data_dir().display().to_string();
    let exported = from.run(&["definitions", "export", "--data-dir", &data]);
    assert_eq!((exported.code, &exported.json()["queues"][0]["name"]), (0, &json!("orders")));
    let ran = to.run_with(&["definitions", "import", "-"], &exported.out);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(to.lepus(&["queues", "ls", "--json"]).json()[0]["name"], "orders");
    let alone = to.lepus(&["definitions", "export", "-p", "/"]).json();
    assert_eq!(alone["queues"][0]["name"], "orders");
    assert_eq!(to.run_with(&["definitions", "import", "-"], "{").code, 2);
}

#[test]
fn the_level_of_the_log_is_changed_and_shown() {
    lepus_only!("it runs Lepus' own command");
    for shell in Shell::both() {
        assert_eq!(shell.lepus(&["log-level"]).out, "info\n");
        shell.lepus(&["log-level", "debug"]);
        assert_eq!(shell.lepus(&["log-level", "--json"]).json(), json!({"level": "debug"}));
        shell.lepus(&["log-level", "warning"]);
        assert_eq!(shell.lepus(&["log-level"]).out, "warn\n");
        assert!(shell.run(&["log-level", ""]).err.contains("no level is given"));
        assert_eq!(shell.run(&["log-level", "a=b=c"]).code, 1);
    }
}

#[test]
fn the_log_is_followed() {
    lepus_only!("it runs Lepus' own command");
    for shell in Shell::both() {
        let mut follower = shell.start(&["logs", "--level", "info"]);
        // The first ones may be before it listens.
        let line = loop {
            shell.ctl("set_log_level debug");
            if let Some(line) = follower.line(std::time::Duration::from_millis(200)) {
                break line;
            }
        };
        assert!(line.contains("has set the level of the log to debug"), "{line}");
    }
}

#[test]
fn the_file_of_the_log_is_put_aside() {
    lepus_only!("it runs Lepus' own command");
    let dir = std::env::temp_dir().join(unique("log"));
    std::fs::create_dir_all(&dir).unwrap();
    let config = format!("log.dir = {}\nlog.file = a.log\n", dir.display());
    let broker = Broker::with_config(&config);
    let data = broker.data_dir().display().to_string();
    let command = ["logs", "--rotate", "--data-dir", &data];
    let done = std::process::Command::new(lepus_binary()).args(command).status().unwrap();
    assert!(done.success());
    let deadline = std::time::Instant::now() + DEADLINE;
    while !dir.join("a.log.1").exists() {
        assert!(std::time::Instant::now() < deadline, "no a.log.1 in {}", dir.display());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    drop(broker);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn passwords_are_hashed_without_a_broker() {
    lepus_only!("it runs Lepus' own command");
    let shell = Shell::local();
    let by_word = shell.lepus(&["password", "hash", "secret"]).out;
    let read = shell.run_with(&["password", "hash"], "secret\n").out;
    for hash in [by_word, read] {
        shell.lepus(&["users", "set", "anna", "--password-hash", hash.trim()]);
        assert_eq!(shell.ctl("-q authenticate_user anna secret"), "");
    }
    assert_eq!(shell.run(&["password", "hash", "x", "--algorithm", "nosuch"]).code, 65);
    let shown = shell.lepus(&["password", "hash", "secret", "--json"]).json();
    shell.lepus(&[
        "users",
        "set",
        "otto",
        "--password-hash",
        shown["password_hash"].as_str().unwrap(),
    ]);
    assert_eq!(shell.ctl("-q authenticate_user otto secret"), "");
    assert_eq!(shown["hashing_algorithm"], "rabbit_password_hashing_sha256");
}

#[test]
fn shells_are_told_how_to_complete() {
    lepus_only!("it runs Lepus' own command");
    for kind in ["bash", "zsh", "fish"] {
        let output =
            std::process::Command::new(lepus_binary()).args(["completions", kind]).output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        assert!(text.contains("queues") && text.contains("rabbitmqctl"), "{kind}");
    }
}
