//! Virtual hosts, their limits and parameters: a broker in this process, real connections, real files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod here;

use here::{Directory, Here};
use lepus::access::Permission;
use lepus::config::{Config, DefaultLimits, DefaultPolicy};
use lepus::node::VhostError;
use lepus::parameters::{ParameterError, ParameterId};
use lepus::policy::Kind;
use lepus::vhost::{VhostLimits, VhostSpec};
use lepus_tests::*;
use serde_json::json;

const CONNECTION_OPEN: (u16, u16) = (10, 40);

impl Here {
    fn create(&self, name: &str) {
        self.create_with("operator", VhostSpec::new(name));
    }

    /// A virtual host where guest may do everything.
    fn create_with(&self, by: &str, spec: VhostSpec) {
        let vhost = spec.name.clone();
        self.node.create_vhost(by, spec).expect("a new virtual host");
        let [configure, write, read] = std::array::from_fn(|_| ".*".to_owned());
        let all = Permission { user: "guest".to_owned(), vhost, configure, write, read };
        self.node.access().set_permission(by, &self.node, all).expect("a permission");
    }

    fn connect_to(&self, vhost: &'static str) -> Conn {
        Conn::login(&self.address, &Login { vhost, ..Login::default() })
    }

    /// Is refused by connection.open.
    fn refused(&self, vhost: &'static str, text: &str) {
        let login = Login::default();
        let mut conn = Conn::dial(&self.address);
        conn.start();
        conn.send(0, login.start_ok());
        let _: connection::Tune = conn.expect(0);
        conn.send(0, login.tune_ok());
        conn.send(0, connection::Open { virtual_host: vhost.into() });
        conn.expect_close(530, &format!("NOT_ALLOWED - {text}"), CONNECTION_OPEN);
    }

    /// Another broker with what this one has left.
    fn restart(mut self, directory: Directory) -> (Directory, Self) {
        self.end();
        drop(self);
        let copy = directory.copy();
        let here = Self::start(&copy.0);
        (copy, here)
    }

    fn names(&self) -> Vec<String> {
        self.node.vhosts().iter().map(|vhost| vhost.name.to_string()).collect()
    }
}

fn durable(name: &str) -> queue::Declare {
    queue::Declare { durable: true, ..declare(name) }
}

fn fill(conn: &mut Conn, body: &str) {
    let mut ch = conn.channel_confirming(1);
    ch.declare(durable("q"));
    ch.bind("q", "amq.topic", "k");
    ch.publish_with(publish("amq.topic", "k"), &persistent(), body);
    ch.confirmed(1, 1);
}

fn persistent() -> BasicProperties {
    BasicProperties::default().with_delivery_mode(2)
}

#[test]
fn each_virtual_host_has_its_own_things_also_after_a_restart() {
    let directory = Directory::new();
    let here = Here::start(&directory.0);
    here.create("a");
    fill(&mut here.connect(), "of /");
    fill(&mut here.connect_to("a"), "of a");
    let (directory, here) = here.restart(directory);
    // Ids go on where they were.
    here.create("b");
    fill(&mut here.connect_to("b"), "of b");
    here.node.vhost("b").expect("it").set_tracing(&here.node, true).expect("done");
    let (_directory, here) = here.restart(directory);
    assert_eq!(here.names(), ["/", "a", "b"]);
    for (vhost, body) in [("/", "of /"), ("a", "of a"), ("b", "of b")] {
        let mut conn = here.connect_to(vhost);
        let mut ch = conn.channel(1);
        assert_eq!(ch.got("q").text(), body);
        ch.publish("amq.topic", "k", "routed");
        assert_eq!(ch.got("q").text(), "routed");
        assert!(ch.get("q", true).is_none());
        assert_eq!(here.node.vhost(vhost).expect("it").is_traced(), vhost == "b");
        for predeclared in
            ["amq.direct", "amq.fanout", "amq.headers", "amq.match", "amq.rabbitmq.trace"]
        {
            let _: exchange::DeclareOk = ch.call(look_exchange(predeclared));
        }
        if vhost != "/" {
            let event = "amq.rabbitmq.event";
            let text = format!("NOT_FOUND - no exchange '{event}' in vhost '{vhost}'");
            ch.refused(look_exchange(event), 404, &text);
        }
    }
}

/// Names are names, whatever is in them: none leads from one virtual host into another, neither now
/// nor in what is restored.
#[test]
fn no_name_leads_into_another_virtual_host() {
    let directory = Directory::new();
    let here = Here::start(&directory.0);
    let vhosts = ["a", "a/b", "a%2Fb", "..", "/a", "a b", "A"];
    // Of a vhost and a queue, together as one text, there are two halves in several ways.
    let queues = ["q", "b/q", "/q", "../a/q", "a/q", "%2Fb%2Fq", "a:q", "vhost a", "b", "a"];
    vhosts.iter().for_each(|vhost| here.create(vhost));
    for vhost in vhosts {
        let mut conn = here.connect_to(vhost);
        let mut ch = conn.channel_confirming(1);
        for queue in queues {
            ch.declare(queue::Declare { durable: true, ..declare(queue) });
        }
        for queue in queues {
            let one = props().with_delivery_mode(2);
            ch.publish_with(publish("", queue), &one, format!("{vhost} {queue}"));
        }
        ch.confirmed(1, queues.len() as u64);
        // What only others have is not there.
        let text = format!("NOT_FOUND - no queue 'own' in vhost '{vhost}'");
        let mut ch = conn.channel(2);
        ch.refused(queue::Declare { passive: true, ..declare("own") }, 404, &text);
    }
    here.connect().channel(1).declare(queue::Declare { durable: true, ..declare("own") });
    let (_directory, here) = here.restart(directory);
    for vhost in vhosts {
        let mut conn = here.connect_to(vhost);
        let mut ch = conn.channel(1);
        for queue in queues {
            assert_eq!(ch.got(queue).text(), format!("{vhost} {queue}"));
            assert!(ch.get(queue, true).is_none());
        }
        for name in ["own", "//own", "/own", "../own", "%2Fown", "../../own"] {
            let text = format!("NOT_FOUND - no queue '{name}' in vhost '{vhost}'");
            let mut ch = conn.channel(2);
            ch.refused(get(name), 404, &text);
        }
    }
}

#[test]
fn what_is_said_of_a_virtual_host_survives() {
    let directory = Directory::new();
    let here = Here::start(&directory.0);
    here.create("v");
    let spec = VhostSpec {
        name: "v".to_owned(),
        description: "for tests".to_owned(),
        tags: vec!["a".to_owned(), "b".to_owned()],
        default_queue_type: Some("quorum".to_owned()),
        protected: true,
    };
    here.node.create_vhost("operator", spec.clone()).expect("a change");
    let (_directory, here) = here.restart(directory);
    assert_eq!(*here.node.vhost("v").expect("it").spec(), spec);
    assert_eq!(here.vhost.spec().description, "Default virtual host");
    let refused = here.node.delete_vhost("operator", "v").expect_err("a refusal");
    let text = "Refusing to delete virtual host 'v' because it is protected from deletion";
    assert_eq!(refused.to_string(), text);
    here.node.create_vhost("operator", VhostSpec { protected: false, ..spec }).expect("a change");
    assert_eq!(here.node.delete_vhost("operator", "v"), Ok(()));
    let missing = VhostError::Missing("v".to_owned());
    assert_eq!(here.node.delete_vhost("operator", "v"), Err(missing));
}

#[test]
fn a_virtual_host_goes_with_all_that_it_has() {
    let directory = Directory::new();
    let here = Here::start(&directory.0);
    here.create("v");
    fill(&mut here.connect(), "of /");
    let (mut kept, mut conn, mut other) =
        (here.connect(), here.connect_to("v"), here.connect_to("v"));
    fill(&mut conn, "of v");
    let mut ch = conn.ch(1);
    ch.exchange("x", "direct");
    ch.declare(queue::Declare { exclusive: true, ..declare("mine") });
    let mut consuming = other.channel(1);
    consuming.consume_with(consume("q", "c"));
    assert_eq!(consuming.delivery().text(), "of v");
    here.node.delete_vhost("operator", "v").expect("done");
    let _: basic::Cancel = consuming.expect();
    for mut conn in [conn, other] {
        conn.expect_close(320, "CONNECTION_FORCED - vhost 'v' is deleted", (0, 0));
    }
    here.refused("v", "vhost v not found");
    let of_guest = here.node.access().permissions();
    assert!(of_guest.iter().all(|permission| permission.vhost == "/"), "{of_guest:?}");
    assert_eq!(kept.channel(2).got("q").text(), "of /");
    // One of the same name has nothing of it.
    here.create("v");
    let missing = "NOT_FOUND - no queue 'q' in vhost 'v'";
    here.connect_to("v").channel(1).refused(look("q"), 404, missing);
    let (directory, here) = here.restart(directory);
    here.connect_to("v").channel(1).refused(look("q"), 404, missing);
    here.node.delete_vhost("operator", "v").expect("done");
    let (_directory, here) = here.restart(directory);
    assert_eq!(here.names(), ["/"]);
}

#[test]
fn virtual_hosts_have_no_more_connections_and_queues_than_they_may() {
    let directory = Directory::new();
    let here = Here::start(&directory.0);
    here.create("v");
    let limit = |here: &Here, max_connections, max_queues| {
        let limits = VhostLimits { max_connections, max_queues };
        here.node.set_vhost_limits("operator", "v", limits).expect("done");
    };
    limit(&here, Some(2), Some(1));
    let refused = "access to vhost 'v' refused for user 'guest': connection limit (2) is reached";
    let (one, mut two) = (here.connect_to("v"), here.connect_to("v"));
    here.refused("v", refused);
    one.close();
    let one = here.connect_to("v");
    let mut ch = two.channel(1);
    ch.declare(durable("q"));
    let full = |name: &str| {
        format!(
            "PRECONDITION_FAILED - cannot declare queue '{name}': queue limit in vhost 'v' (1) is reached"
        )
    };
    ch.refused(declare("more"), 406, &full("more"));
    ch.reopen();
    ch.declare(durable("q"));
    drop((one, two));
    let (_directory, here) = here.restart(directory);
    let (_one, mut two) = (here.connect_to("v"), here.connect_to("v"));
    here.refused("v", refused);
    let mut ch = two.channel(1);
    ch.refused(declare("more"), 406, &full("more"));
    ch.reopen();
    let _: queue::DeleteOk = ch.call(delete("q"));
    ch.declare(durable("more"));
    limit(&here, None, None);
    let _three = here.connect_to("v");
    ch.declare(declare("q"));
    limit(&here, Some(0), Some(0));
    here.refused(
        "v",
        "access to vhost 'v' refused for user 'guest': connection limit (0) is reached",
    );
    ch.declare(durable("more"));
}

#[test]
fn users_have_no_more_connections_and_channels_than_they_may() {
    let directory = Directory::new();
    let here = Here::start(&directory.0);
    let limits =
        lepus::access::limits::UserLimits { max_connections: Some(2), max_channels: Some(2) };
    here.node.usage().set_limits("guest", limits);
    let (mut one, mut two) = (here.connect(), here.connect());
    here.refused("/", "connection refused for user 'guest': user connection limit (2) is reached");
    one.channel(1);
    two.channel(1);
    one.ch(1).close();
    one.channel(2);
    one.send(3, channel::Open {});
    let text = "NOT_ALLOWED - number of channels opened for user 'guest' has reached the maximum \
                allowed user limit of (2)";
    one.expect_close(530, text, (0, 0));
    one.finish_close();
    two.channel(2);
    assert_eq!((here.node.usage().of("guest").1, here.node.channel_count()), (2, 2));
}

#[test]
fn a_node_has_no_more_than_it_may() {
    let directory = Directory::new();
    let config = Config {
        connection_max: Some(2),
        channel_max_per_node: Some(1),
        queue_max: Some(1),
        vhost_max: Some(2),
        ..Config::default()
    };
    let here = Here::start_with(&directory.0, config);
    here.create("v");
    let refused = here.node.create_vhost("operator", VhostSpec::new("w")).expect_err("a refusal");
    assert_eq!(refused.to_string(), "cannot create vhost 'w': vhost limit of 2 is reached");
    let (mut one, mut two) = (here.connect(), here.connect_to("v"));
    here.refused("/", "connection refused: node connection limit (2) is reached");
    let mut ch = one.channel(1);
    ch.declare(declare("q"));
    let text =
        "PRECONDITION_FAILED - cannot declare queue 'more': queue limit in cluster (1) is reached";
    ch.refused(declare("more"), 406, text);
    ch.reopen();
    two.send(1, channel::Open {});
    let text = "NOT_ALLOWED - number of channels opened on node 'rabbit@localhost' has reached the \
                maximum allowed limit of 1";
    two.expect_close(530, text, (0, 0));
}

#[test]
fn queues_get_the_type_of_their_virtual_host() {
    let directory = Directory::new();
    let here = Here::start(&directory.0);
    let quorum = Some("quorum".to_owned());
    let spec = VhostSpec { default_queue_type: quorum, ..VhostSpec::new("v") };
    here.create_with("operator", spec.clone());
    let mut conn = here.connect_to("v");
    let mut ch = conn.channel(1);
    let typed = |name: &str, kind: &str| queue::Declare {
        arguments: table([("x-queue-type", text(kind))]),
        ..durable(name)
    };
    ch.declare(durable("q"));
    ch.declare(typed("q", "quorum"));
    // What cannot be one stays what it is.
    ch.declare(declare("transient"));
    ch.declare(queue::Declare { exclusive: true, ..durable("exclusive") });
    ch.declare(queue::Declare { auto_delete: true, ..durable("auto-delete") });
    ch.declare(typed("classic", "classic"));
    let refusal = "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'classic' in vhost 'v': \
                   received 'quorum' but current is 'classic'";
    ch.refused(durable("classic"), 406, refusal);
    let unknown = VhostSpec { default_queue_type: Some("no".to_owned()), ..spec };
    assert!(here.node.create_vhost("operator", unknown).is_err());
    assert!(here.node.vhost("v").expect("it").policies(Kind::User).is_empty());
}

#[test]
fn parameters_carry_limits_and_operators_policies() {
    let directory = Directory::new();
    let here = Here::start(&directory.0);
    here.create("v");
    let id = |component: &str, name: &str| ParameterId::new(component, "v", name);
    let set = |here: &Here, id: &ParameterId, value| here.node.set_parameter("operator", id, value);
    let policy = json!({
        "pattern": "^q", "apply-to": "queues", "priority": 1, "definition": {"max-length": 2},
    });
    set(&here, &id("operator_policy", "op"), policy.clone()).expect("a policy");
    set(&here, &id("vhost-limits", "limits"), json!({"max-queues": 1, "max-connections": -1}))
        .expect("limits");
    set(&here, &id("shovel", "s"), json!({"src-uri": "amqp://"})).expect("something to keep");
    here.node.set_global_parameter("operator", "cluster_name", json!("c"));
    let invalid = "Validation failed\n\ncomponent nocomp not found\n";
    for (id, why) in [
        (id("nocomp", "n"), invalid),
        (ParameterId::new("shovel", "no", "s"), "Virtual host 'no' does not exist"),
    ] {
        assert_eq!(set(&here, &id, json!({})).expect_err("a refusal").to_string(), why);
    }
    let (_directory, here) = here.restart(directory);
    let mut conn = here.connect_to("v");
    let mut ch = conn.channel(1);
    ch.declare(durable("q"));
    ch.publish_all("q", ["1", "2", "3"]);
    ch.expect_counts("q", (2, 0));
    ch.send(declare("more"));
    ch.expect_close(
        406,
        "PRECONDITION_FAILED - cannot declare queue 'more': queue limit in vhost 'v' (1) is reached",
        (50, 10),
    );
    let ids: Vec<_> = here.node.parameters().into_iter().map(|(id, _)| id).collect();
    let all = [id("operator_policy", "op"), id("shovel", "s"), id("vhost-limits", "limits")];
    assert_eq!(ids, all);
    assert_eq!(here.node.parameters()[0].1, policy);
    assert_eq!(here.node.global_parameters(), [("cluster_name".to_owned(), json!("c"))]);
    for id in &all {
        assert_eq!(here.node.clear_parameter("operator", id), Ok(()));
        assert_eq!(here.node.clear_parameter("operator", id), Err(ParameterError::Missing));
    }
    assert_eq!(here.node.clear_global_parameter("operator", "cluster_name"), Ok(()));
    ch.reopen();
    ch.declare(durable("more"));
    ch.publish_all("q", ["4"]);
    ch.expect_counts("q", (3, 0));
}

/// The headers that are the same each time, by routing key, as RabbitMQ 3.10.8 has them.
#[test]
fn what_happens_to_virtual_hosts_is_told() {
    let directory = Directory::new();
    let here = Here::start(&directory.0);
    let mut conn = here.connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    for key in ["vhost.#", "parameter.*", "operator.#", "queue.deleted", "exchange.deleted"] {
        ch.bind(&queue, "amq.rabbitmq.event", key);
    }
    let description = "d".to_owned();
    let spec = VhostSpec { description, tags: vec!["t".to_owned()], ..VhostSpec::new("v") };
    here.create_with("me", spec);
    here.connect_to("v").channel(1).declare(durable("q"));
    let limits = ParameterId::limits("v");
    for _ in 0..2 {
        // Said again, it is no news.
        here.node.set_parameter("me", &limits, json!({"max-queues": 5})).expect("done");
    }
    let policy = json!({"pattern": "^zz", "priority": 0, "definition": {"max-length": 5}});
    let id = ParameterId::new("operator_policy", "v", "op");
    here.node.set_parameter("me", &id, policy).expect("done");
    here.node.set_global_parameter("me", "g", json!({"a": 1}));
    here.node.delete_vhost("me", "v").expect("done");

    let told: Vec<_> = std::iter::from_fn(|| ch.get(&queue, true)).collect();
    let keys: Vec<&str> = told.iter().map(|event| event.method.routing_key.as_str()).collect();
    let gone = ["exchange.deleted"; 6];
    let before = ["vhost.created", "parameter.set", "vhost.limits.set", "parameter.set"];
    let after = ["vhost.deleted", "parameter.cleared", "vhost.limits.cleared", "parameter.cleared"];
    let expected = [&before[..], &["parameter.set", "queue.deleted"], &gone, &after];
    assert_eq!(keys, [&expected.concat()[..], &["operator.policy.cleared"]].concat());
    let headers = |at: usize| {
        let mut headers = told[at].properties.headers().clone().expect("headers").inner().clone();
        assert!(headers.remove("timestamp_in_ms").is_some());
        FieldTable::from(headers)
    };
    let me = ("user_who_performed_action", text("me"));
    let created = table([
        ("name", text("v")),
        ("description", text("d")),
        ("tags", list([text("t")])),
        ("default_queue_type", text("undefined")),
        ("tracing", flag(false)),
        ("cluster_state", table([("rabbit@localhost", text("running"))]).into()),
        me.clone(),
    ]);
    assert_eq!(headers(0), created);
    let component = ("component", text("vhost-limits"));
    let value = ("value", table([("max-queues", long(5))]).into());
    let (vhost, name) = (("vhost", text("v")), ("name", text("limits")));
    let set = [vhost.clone(), component.clone(), name.clone(), value, me.clone()];
    assert_eq!(headers(1), table(set));
    assert_eq!(headers(2), table([name.clone(), ("max-queues", long(5)), me.clone()]));
    let value = ("value", table([("a", long(1))]).into());
    let set = [("component", text("global")), ("name", text("g")), value, me.clone()];
    assert_eq!(headers(4), table(set));
    assert_eq!(headers(12), table([("name", text("v")), me.clone()]));
    assert_eq!(headers(13), table([vhost, component, name.clone(), me.clone()]));
    assert_eq!(headers(14), table([name, me]));
}

#[test]
fn virtual_hosts_begin_with_what_the_configuration_has_for_them() {
    let limits = |pattern: Option<&str>, max_queues| DefaultLimits {
        pattern: pattern.map(str::to_owned),
        max_connections: None,
        max_queues: Some(max_queues),
    };
    let policy = DefaultPolicy {
        vhost_pattern: Some("^(v|/)$".to_owned()),
        queue_pattern: None,
        definition: [("max-length".to_owned(), 3)].into(),
    };
    let config = Config {
        default_limits: [
            ("a".to_owned(), limits(Some("^v"), 1)),
            ("b".to_owned(), limits(None, 2)),
        ]
        .into(),
        default_policies: [("op".to_owned(), policy)].into(),
        ..Config::default()
    };
    let directory = Directory::new();
    let here = Here::start_with(&directory.0, config);
    ["v", "v2", "w"].into_iter().for_each(|name| here.create(name));
    let max = |name: &str| here.node.vhost_limits(name).map(|limits| limits["max-queues"].clone());
    let maxima = ["/", "v", "v2", "w"].map(max);
    assert_eq!(maxima, [2, 1, 1, 2].map(|max| Some(json!(max))));
    let policies = |name: &str| here.node.vhost(name).expect("it").policies(Kind::Operator).len();
    assert_eq!(["/", "v", "v2", "w"].map(policies), [1, 1, 0, 0]);
}
