//! Virtual hosts, their limits and parameters: a broker in this process, real connections, real files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod here;

use here::{Directory, Here};
use lepus::access::Permission;
use lepus::config::Config;
use lepus::node::VhostError;
use lepus::policy::Kind;
use lepus::vhost::{VhostLimits, VhostSpec};
use lepus_tests::*;

const CONNECTION_OPEN: (u16, u16) = (10, 40);

impl Here {
    fn create(&self, name: &str) {
        self.node.create_vhost("operator", VhostSpec::new(name)).expect("a new virtual host");
        self.open_to_guest(name);
    }

    fn open_to_guest(&self, name: &str) {
        let [user, vhost] = ["guest", name].map(str::to_owned);
        let [configure, write, read] = [".*"; 3].map(str::to_owned);
        let permission = Permission { user, vhost, configure, write, read };
        let access = self.node.access();
        access.set_permission("operator", &self.node, permission).expect("a permission");
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
    let text = "NOT_ALLOWED - number of channels opened on node 'lepus@localhost' has reached the \
                maximum allowed limit of 1";
    two.expect_close(530, text, (0, 0));
}

#[test]
fn queues_get_the_type_of_their_virtual_host() {
    let directory = Directory::new();
    let here = Here::start(&directory.0);
    let quorum = Some("quorum".to_owned());
    let spec = VhostSpec { default_queue_type: quorum, ..VhostSpec::new("v") };
    here.node.create_vhost("operator", spec.clone()).expect("done");
    here.open_to_guest("v");
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
