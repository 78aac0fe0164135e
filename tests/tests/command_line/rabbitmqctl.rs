//! `rabbitmqctl`: what it prints and how it exits. Each text is one that RabbitMQ 3.10.8's printed to the same
//! words, but for the names of the nodes.

use lepus_tests::*;
use serde_json::json;

use super::shell::Shell;

#[test]
fn users_come_change_and_go() {
    lepus_only!("it runs Lepus' own command");
    for shell in Shell::both() {
        let granted = "Done. Don't forget to grant the user permissions to some virtual hosts! See \
                       'rabbitmqctl help set_permissions' to learn more.\n";
        assert_eq!(shell.ctl("add_user u secret"), format!("Adding user \"u\" ...\n{granted}"));
        let there = (70, "Error:\nUser \"u\" already exists\n".to_owned());
        assert_eq!(shell.ctl_fails("add_user u secret"), there);
        assert_eq!(
            shell.ctl("set_user_tags u monitoring management"),
            "Setting tags for user \"u\" to [monitoring, management] ...\n"
        );
        assert_eq!(
            shell.ctl("list_users"),
            "Listing users ...\nuser\ttags\nguest\t[administrator]\nu\t[monitoring, management]\n"
        );
        assert_eq!(
            shell.ctl("list_users --formatter json"),
            "[\n{\"user\":\"guest\",\"tags\":[\"administrator\"]}\n,{\"user\":\"u\",\"tags\":\
             [\"monitoring\",\"management\"]}\n]\n"
        );
        assert_eq!(
            shell.ctl("authenticate_user u secret"),
            "Authenticating user \"u\" ...\nSuccess\n"
        );
        assert_eq!(shell.ctl("change_password u other"), "Changing password for user \"u\" ...\n");
        let refused =
            "Error:\nError: failed to authenticate user \"u\"\nuser 'u' - invalid credentials\n";
        assert_eq!(shell.ctl_fails("authenticate_user u secret"), (65, refused.to_owned()));
        assert_eq!(shell.ctl("-q set_user_tags u"), "");
        assert_eq!(shell.ctl("-q authenticate_user u other"), "");
        assert_eq!(shell.ctl("clear_password u"), "Clearing password for user \"u\" ...\n");
        assert_eq!(shell.ctl_fails("authenticate_user u other").0, 65);
        assert_eq!(shell.ctl("delete_user u"), "Deleting user \"u\" ...\n");
        let missing = (67, "Error:\nUser \"u\" does not exist\n".to_owned());
        for verb in ["delete_user u", "change_password u x", "set_user_tags u x"] {
            assert_eq!(shell.ctl_fails(verb), missing);
        }
    }
}

#[test]
fn queues_are_listed_with_the_consumer_that_they_serve_alone() {
    lepus_only!("it runs Lepus' own command");
    let shell = Shell::local();
    let mut conn = shell.broker.connect();
    let mut ch = conn.channel(1);
    ch.declare(queue::Declare { exclusive: true, ..declare("mine") });
    ch.consume_with(basic::Consume { exclusive: true, ..consume("mine", "alone") });
    let arguments = table([("x-single-active-consumer", flag(true))]);
    ch.declare(queue::Declare { arguments, ..declare("one") });
    ch.consume("one", "first");
    ch.consume("one", "second");
    let listed = shell.ctl("-s list_queues name exclusive_consumer_tag single_active_consumer_tag");
    assert_eq!(listed, "mine\talone\t\none\t\tfirst\n");
    assert!(shell.ctl("-s list_queues name owner_pid").starts_with("mine\t<rabbit@localhost."));
}

#[test]
fn a_password_may_come_from_standard_input() {
    lepus_only!("it runs Lepus' own command");
    let shell = Shell::local();
    assert_eq!(shell.run_with(&["rabbitmqctl", "add_user", "u"], "secret\n").code, 0);
    shell.ctl("authenticate_user u secret");
    let hash = shell.run_with(&["rabbitmqctl", "hash_password"], "secret\n").out;
    let hashed = ["rabbitmqctl", "add_user", "v", hash.trim(), "--pre-hashed-password"];
    assert_eq!(shell.run(&hashed).code, 0);
    shell.ctl("authenticate_user v secret");
}

#[test]
fn permissions_come_and_go() {
    lepus_only!("it runs Lepus' own command");
    for shell in Shell::both() {
        shell.ctl("add_user u secret");
        assert_eq!(shell.ctl("add_vhost v"), "Adding vhost \"v\" ...\n");
        shell.ctl("add_vhost v");
        if shell.by_url {
            // Who makes a virtual host over HTTP may use it.
            shell.ctl("clear_permissions -p v guest");
        }
        let set = shell.run(&["rabbitmqctl", "set_permissions", "-p", "v", "u", "^a", ".*", ""]);
        let said = "Setting permissions for user \"u\" in vhost \"v\" ...\n";
        assert_eq!((set.code, set.out.as_str()), (0, said));
        assert_eq!(
            shell.ctl_fails("set_permissions -p nosuch u .* .* .*"),
            (69, "Error:\nVirtual host nosuch does not exist\n".to_owned())
        );
        assert_eq!(
            shell.ctl_fails("set_permissions -p v nosuch .* .* .*"),
            (67, "Error:\nUser nosuch does not exist\n".to_owned())
        );
        assert_eq!(
            shell.ctl("list_permissions -p v"),
            "Listing permissions for vhost \"v\" ...\nuser\tconfigure\twrite\tread\nu\t^a\t.*\t\n"
        );
        assert_eq!(
            shell.ctl("list_user_permissions u"),
            "Listing permissions for user \"u\" ...\nvhost\tconfigure\twrite\tread\nv\t^a\t.*\t\n"
        );
        assert_eq!(
            shell.ctl_fails("list_user_permissions nosuch"),
            (69, "Error:\n{:no_such_user, \"nosuch\"}\n".to_owned())
        );
        assert_eq!(
            shell.ctl("set_topic_permissions -p v u amq.topic ^a .*"),
            "Setting topic permissions on \"amq.topic\" for user \"u\" in vhost \"v\" ...\n"
        );
        assert_eq!(
            shell.ctl("list_topic_permissions -p v"),
            "Listing topic permissions for vhost \"v\" ...\nuser\texchange\twrite\tread\nu\t\
             amq.topic\t^a\t.*\n"
        );
        assert!(shell.ctl("list_user_topic_permissions u").ends_with("v\tamq.topic\t^a\t.*\n"));
        assert_eq!(
            shell.ctl("clear_topic_permissions -p v u"),
            "Clearing topic permissions for user \"u\" in vhost \"v\" ...\n"
        );
        for _ in 0..2 {
            assert_eq!(
                shell.ctl("clear_permissions -p v u"),
                "Clearing permissions for user \"u\" in vhost \"v\" ...\n"
            );
        }
        assert_eq!(
            shell.ctl_fails("clear_permissions -p v nosuch"),
            (67, "Error:\nUser nosuch does not exist\n".to_owned())
        );
        assert_eq!(shell.ctl("list_permissions -p v").lines().count(), 1);
    }
}

#[test]
fn vhosts_come_and_go() {
    lepus_only!("it runs Lepus' own command");
    let shell = Shell::local();
    shell.ctl("add_vhost v --description d --tags a,b --default-queue-type quorum");
    assert_eq!(shell.ctl("list_vhosts"), "Listing vhosts ...\nname\n/\nv\n");
    assert_eq!(shell.ctl("-q list_vhosts name tracing"), "name\ttracing\n/\tfalse\nv\tfalse\n");
    assert_eq!(shell.ctl("-s list_vhosts"), "/\nv\n");
    assert_eq!(
        shell.ctl("-s list_vhosts name description tags"),
        "/\tDefault virtual host\t[]\nv\td\t[a, b]\n"
    );
    shell.ctl("set_vhost_tags v c");
    assert_eq!(
        shell.ctl("trace_on -p v"),
        "Starting tracing for vhost \"v\" ...\nTrace enabled for vhost v\n"
    );
    assert!(shell.ctl("-s list_vhosts name tracing tags").ends_with("v\ttrue\t[c]\n"));
    shell.ctl("trace_off -p v");
    shell.ctl("restart_vhost -p v");
    assert_eq!(
        shell.ctl("set_vhost_limits -p v {\"max-connections\":10}"),
        "Setting vhost limits to \"{\"max-connections\":10}\" for vhost \"v\" ...\n"
    );
    assert_eq!(
        shell.ctl("list_vhost_limits -p v"),
        "Listing limits for vhost \"v\" ...\n{\"max-connections\":10}\n"
    );
    assert!(shell.ctl("list_vhost_limits --global").contains("v\t{\"max-connections\":10}"));
    assert_eq!(shell.ctl("clear_vhost_limits -p v"), "Clearing vhost \"v\" limits ...\n");
    assert_eq!(shell.ctl("list_vhost_limits -p v"), "Listing limits for vhost \"v\" ...\n\n");
    let missing = |name: &str| (65, format!("Virtual host '{name}' does not exist\n"));
    assert_eq!(shell.ctl_fails("set_vhost_limits -p nosuch {}"), missing("nosuch"));
    assert_eq!(shell.ctl("delete_vhost v"), "Deleting vhost \"v\" ...\n");
    assert_eq!(shell.ctl_fails("delete_vhost v"), missing("v"));
}

#[test]
fn limits_of_users_come_and_go() {
    lepus_only!("it runs Lepus' own command");
    let shell = Shell::local();
    assert_eq!(shell.ctl("list_user_limits"), "Listing limits for user \"guest\" ...\n{}\n");
    assert_eq!(
        shell.ctl("set_user_limits guest {\"max-channels\":10}"),
        "Setting user limits to \"{\"max-channels\":10}\" for user \"guest\" ...\n"
    );
    assert_eq!(
        shell.ctl("list_user_limits --user guest"),
        "Listing limits for user \"guest\" ...\n{\"max-channels\":10}\n"
    );
    assert_eq!(
        shell.ctl("clear_user_limits guest all"),
        "Clearing all limits for user \"guest\" ...\n"
    );
    let missing = (69, "Error:\n{:no_such_user, \"nosuch\"}\n".to_owned());
    assert_eq!(shell.ctl_fails("set_user_limits nosuch {}"), missing);
    assert_eq!(shell.ctl_fails("list_user_limits --user nosuch"), missing);
}

#[test]
fn queues_are_listed_in_all_forms() {
    lepus_only!("it runs Lepus' own command");
    for shell in Shell::both() {
        let head = "Timeout: 60.0 seconds ...\nListing queues for vhost / ...\n";
        assert_eq!(shell.ctl("list_queues"), head);
        assert_eq!(shell.ctl("list_queues --formatter json"), "[\n]\n");
        let arguments = ["-a", "x-message-ttl=60000", "-a", "x-dead-letter-exchange=dl"];
        shell.lepus(&[&["queues", "create", "q1"], &arguments[..]].concat());
        assert_eq!(shell.ctl("list_queues"), format!("{head}name\tmessages\nq1\t0\n"));
        assert_eq!(
            shell.ctl("list_queues -t 5 --no-table-headers name"),
            "Timeout: 5.0 seconds ...\nListing queues for vhost / ...\nq1\n"
        );
        assert_eq!(shell.ctl("-s list_queues name,messages"), "q1\t0\n");
        assert_eq!(
            shell.ctl("-q list_queues name messages arguments durable policy"),
            "name\tmessages\targuments\tdurable\tpolicy\n\
             q1\t0\t[{\"x-dead-letter-exchange\",\"dl\"},{\"x-message-ttl\",60000}]\ttrue\t\n"
        );
        assert_eq!(
            shell.ctl("list_queues --formatter json name messages arguments policy"),
            "[\n{\"name\":\"q1\",\"messages\":0,\"arguments\":[[\"x-dead-letter-exchange\",\"longstr\",\
             \"dl\"],[\"x-message-ttl\",\"long\",60000]],\"policy\":\"\"}\n]\n"
        );
        assert_eq!(
            shell.ctl("list_queues --formatter csv name messages arguments"),
            "\"name\",\"messages\",\"arguments\"\n\"q1\",\"0\",\"[{\"\"x-dead-letter-exchange\"\",\
             \"\"dl\"\"},{\"\"x-message-ttl\"\",60000}]\"\n"
        );
        assert_eq!(
            shell.ctl("-q list_queues --formatter pretty_table name messages"),
            "┌──────┬──────────┐\n│ name ┆ messages │\n├──────┼──────────┤\n│ q1   ┆ 0        │\n\
             └──────┴──────────┘\n"
                .replace('┆', "│")
        );
        let (code, err) = shell.ctl_fails("list_queues nosuch");
        assert_eq!(code, 64);
        assert!(
            err.starts_with("Error (argument validation): Info key(s) nosuch are not supported")
        );
        assert_eq!(shell.ctl("-q list_queues -p nosuch"), "");
        assert_eq!(
            shell.ctl("list_unresponsive_queues"),
            "Listing unresponsive queues for vhost / ...\n"
        );
    }
}

#[test]
fn queues_are_emptied_and_deleted() {
    lepus_only!("it runs Lepus' own command");
    let shell = Shell::local();
    shell.lepus(&["queues", "create", "q1"]);
    shell.lepus(&["messages", "publish", "q1", "x"]);
    let ran = shell.tool("rabbitmqctl delete_queue q1 --if-empty");
    assert_eq!(ran.code, 69, "{ran:?}");
    assert_eq!(shell.ctl("purge_queue q1"), "Purging queue 'q1' in vhost '/' ...\n");
    assert_eq!(shell.ctl_fails("purge_queue nosuch"), (69, "Error:\nnot_found\n".to_owned()));
    assert_eq!(
        shell.ctl("delete_queue q1"),
        "Deleting queue 'q1' on vhost '/' ...\nQueue was successfully deleted with 0 ready messages\n"
    );
    assert_eq!(shell.ctl_fails("delete_queue q1"), (64, "Error:\nQueue not found\n".to_owned()));
}

#[test]
fn exchanges_and_bindings_are_listed() {
    lepus_only!("it runs Lepus' own command");
    let shell = Shell::local();
    shell.lepus(&["queues", "create", "q1"]);
    let exchanges = shell.ctl("list_exchanges");
    let mut lines: Vec<&str> = exchanges.lines().collect();
    assert_eq!(lines[..2], ["Listing exchanges for vhost / ...", "name\ttype"]);
    lines.sort_unstable();
    assert!(lines.contains(&"amq.match\theaders") && lines.contains(&"\tdirect"), "{lines:?}");
    let heads =
        "source_name\tsource_kind\tdestination_name\tdestination_kind\trouting_key\targuments";
    assert_eq!(
        shell.ctl("list_bindings"),
        format!("Listing bindings for vhost /...\n{heads}\n\texchange\tq1\tqueue\tq1\t[]\n")
    );
}

#[test]
fn policies_and_parameters_come_and_go() {
    lepus_only!("it runs Lepus' own command");
    let shell = Shell::local();
    assert_eq!(
        shell.ctl("set_policy ttl ^q {\"message-ttl\":1000} --priority 3 --apply-to queues"),
        "Setting policy \"ttl\" for pattern \"^q\" to \"{\"message-ttl\":1000}\" with priority \"3\" for \
         vhost \"/\" ...\n"
    );
    let heads = "vhost\tname\tpattern\tapply-to\tdefinition\tpriority";
    assert_eq!(
        shell.ctl("list_policies"),
        format!(
            "Listing policies for vhost \"/\" ...\n{heads}\n/\tttl\t^q\tqueues\t{{\"message-ttl\":1000}}\t3\n"
        )
    );
    let (code, err) = shell.ctl_fails("set_policy bad ^q {\"nosuch\":1000}");
    assert_eq!(code, 69);
    let why =
        "Error:\nValidation failed\n\n[{<<\"nosuch\">>,1000}] are not recognised policy settings\n";
    assert!(err.starts_with(why), "{err}");
    assert_eq!(shell.ctl_fails("set_policy bad ^q notjson").0, 69);
    let missing = (65, "Virtual host 'nosuch' does not exist\n".to_owned());
    assert_eq!(shell.ctl_fails("set_policy -p nosuch x y {\"max-length\":1}"), missing);
    assert_eq!(shell.ctl("set_operator_policy op ^q {\"max-length\":10}").lines().count(), 1);
    assert!(shell.ctl("list_operator_policies").contains("/\top\t^q\t"));
    assert_eq!(
        shell.ctl("clear_operator_policy op"),
        "Clearing operator policy \"op\" on vhost \"/\" ...\n"
    );
    assert_eq!(shell.ctl("clear_policy ttl"), "Clearing policy \"ttl\" on vhost \"/\" ...\n");
    let gone = (69, "Error:\nParameter does not exist\n".to_owned());
    assert_eq!(shell.ctl_fails("clear_policy ttl"), gone);
    assert_eq!(
        shell.ctl("set_global_parameter clip {\"a\":1}"),
        "Setting global runtime parameter \"clip\" to \"{\"a\":1}\" ...\n"
    );
    assert!(shell.ctl("list_global_parameters").contains("clip\t{\"a\":1}\n"));
    assert_eq!(
        shell.ctl("clear_global_parameter clip"),
        "Clearing global runtime parameter \"clip\" ...\n"
    );
    assert_eq!(shell.ctl_fails("clear_global_parameter clip"), gone);
    shell.ctl("set_parameter vhost-limits limits {\"max-queues\":5}");
    assert!(shell.ctl("list_parameters").contains("vhost-limits\tlimits\t{\"max-queues\":5}\n"));
    shell.ctl("clear_parameter vhost-limits limits");
    assert_eq!(shell.ctl_fails("clear_parameter vhost-limits limits"), gone);
    assert!(shell.ctl_fails("set_parameter nosuch a 1").1.contains("component nosuch not found"));
}

#[test]
fn definitions_go_to_a_file_and_back() {
    lepus_only!("it runs Lepus' own command");
    let shell = Shell::local();
    shell.lepus(&["queues", "create", "q1"]);
    let file = std::env::temp_dir().join(unique("definitions.json")).display().to_string();
    assert_eq!(
        shell.ctl(&format!("export_definitions {file}")),
        format!("Exporting definitions in JSON to a file at \"{file}\" ...\n")
    );
    let document: serde_json::Value =
        serde_json::from_str(&shell.ctl("export_definitions -")).unwrap();
    assert_eq!(document["queues"][0]["name"], json!("q1"));
    shell.ctl("delete_queue q1");
    assert!(shell.ctl(&format!("import_definitions {file}")).starts_with(&format!(
        "Importing definitions in JSON from a file at \"{file}\" ...\nSuccessfully started definition import."
    )));
    assert_eq!(shell.ctl("-s list_queues"), "q1\t0\n");
    std::fs::remove_file(&file).unwrap();
    let (code, err) = shell.ctl_fails(&format!("import_definitions {file}"));
    assert_eq!(code, 65);
    assert!(err.starts_with("Error (argument validation): Bad argument: File "), "{err}");
}

#[test]
fn what_is_wrongly_asked_is_told() {
    lepus_only!("it runs Lepus' own command");
    let shell = Shell::local();
    let begins = |words: &str, code: i32, text: &str| {
        let (got, err) = shell.ctl_fails(words);
        assert_eq!(got, code, "{err}");
        assert!(err.starts_with(text), "{words}: {err}");
    };
    begins(
        "add_user",
        64,
        "Error (argument validation): not enough arguments.\nArguments given:\n\tadd_user\n\nUsage\n\nrabbitmqctl [--node <node>] [--longnames] [--quiet] add_user <username> <password>\n",
    );
    begins("add_user a b c", 64, "Error (argument validation): too many arguments.\n");
    begins("list_users extra", 64, "Error (argument validation): too many arguments.\n");
    begins(
        "list_users --nosuchflag",
        64,
        "Error (argument validation): Invalid options for this command:\n--nosuchflag : \n",
    );
    begins(
        "list_queuse",
        64,
        "\nCommand 'list_queuse' not found. \nDid you mean 'list_queues'? \n",
    );
    begins("xyzzy", 64, "\nCommand 'xyzzy' not found. \n\nUsage\n");
    begins("list_users --formatter nosuch", 64, "Error: formatter nosuch");
    assert!(shell.ctl("help").contains("list_queues"));
    assert!(shell.ctl("help list_users").contains("rabbitmqctl"));
    assert!(shell.ctl("list_users --help").contains("[--no-table-headers]"));
}
