//! Users and permissions as operators set them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::password::{Algorithm, PasswordHash};
use super::*;
use crate::config::Config;
use crate::node::Node;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

fn node() -> Arc<Node> {
    Node::in_memory(Config { memory_watermark: u64::MAX, ..Config::default() })
}

fn user(name: &str, password: Option<&str>) -> User {
    let hash = |password: &str| PasswordHash::new(Algorithm::Sha256, &password.into());
    let (tags, limits) = (vec!["monitoring".to_owned()], UserLimits::default());
    User { name: name.into(), password: password.map(hash), tags, limits }
}

fn permission(user: &str, [configure, write, read]: [&str; 3]) -> Permission {
    let [configure, write, read] = [configure, write, read].map(str::to_owned);
    Permission { user: user.into(), vhost: "/".into(), configure, write, read }
}

fn topic(user: &str, write: &str, read: &str) -> TopicPermission {
    let (vhost, exchange) = ("/".to_owned(), "amq.topic".to_owned());
    TopicPermission { user: user.into(), vhost, exchange, write: write.into(), read: read.into() }
}

fn log_in(node: &Node, user: &str, password: Option<&str>) -> Result<Identity, Refused> {
    log_in_from(node, user, password, HERE)
}

fn log_in_from(
    node: &Node,
    user: &str,
    password: Option<&str>,
    from: IpAddr,
) -> Result<Identity, Refused> {
    let attempt = Attempt { user: user.into(), password: password.map(Into::into) };
    node.access().log_in(&node.config(), &attempt, from)
}

#[test]
fn the_default_user_is_there_and_comes_from_this_machine_only() {
    let node = node();
    let guest = log_in(&node, "guest", Some("guest")).unwrap();
    assert_eq!((guest.user.as_str(), guest.tags), ("guest", vec!["administrator".to_owned()]));
    for address in ["::1", "::ffff:127.0.0.1", "127.9.9.9"] {
        assert!(log_in_from(&node, "guest", Some("guest"), address.parse().unwrap()).is_ok());
    }
    let refused = log_in_from(&node, "guest", Some("guest"), ELSEWHERE).unwrap_err();
    assert_eq!(refused.0, "user 'guest' can only connect via localhost");
    node.access().put_user("t", &node, user("u", Some("p")));
    assert!(log_in_from(&node, "u", Some("p"), ELSEWHERE).is_ok());
}

#[test]
fn wrong_passwords_empty_ones_and_those_of_users_without_one_are_refused() {
    let node = node();
    node.access().put_user("t", &node, user("u", Some("p")));
    node.access().put_user("t", &node, user("none", None));
    let empty = PasswordHash::decode(Algorithm::Sha256, "").unwrap();
    node.access().put_user("t", &node, User { password: Some(empty), ..user("empty", None) });
    for (name, password) in [
        ("u", "P"),
        ("u", ""),
        ("none", ""),
        ("none", "p"),
        ("empty", ""),
        ("empty", "p"),
        ("nobody", "p"),
        ("", "p"),
        ("", ""),
    ] {
        assert!(log_in(&node, name, Some(password)).is_err(), "{name:?} {password:?}");
    }
    // A certificate has proven who they are.
    assert!(log_in(&node, "none", None).is_ok());
    assert!(log_in(&node, "nobody", None).is_err());
}

#[test]
fn a_changed_password_counts_at_once_and_permissions_stay() {
    let node = node();
    node.access().put_user("t", &node, user("u", Some("p")));
    node.access().set_permission("t", &node, permission("u", [".*", "", ""])).unwrap();
    let version = node.access().version();
    node.access().put_user("t", &node, user("u", Some("q")));
    assert!(node.access().version() > version);
    assert!(log_in(&node, "u", Some("p")).is_err());
    let identity = log_in(&node, "u", Some("q")).unwrap();
    assert_eq!(identity.ask(|authority| authority.vhost("/", HERE)), Answer::Allow);
}

#[test]
fn what_an_identity_may_do_is_what_is_set_now() {
    let node = node();
    let access = node.access();
    access.put_user("t", &node, user("u", Some("p")));
    let identity = log_in(&node, "u", Some("p")).unwrap();
    let may = |resource, kind| identity.ask(|by| by.resource("/", resource, kind)) == Answer::Allow;
    let connects = || identity.ask(|by| by.vhost("/", HERE)) == Answer::Allow;
    assert!(!connects() && !may(Resource::Queue("q"), Kind::Read));
    access.set_permission("t", &node, permission("u", ["^c", "^w", "^amq\\.default$"])).unwrap();
    assert!(connects());
    assert!(may(Resource::Queue("c"), Kind::Configure) && !may(Resource::Queue("c"), Kind::Write));
    assert!(may(Resource::Exchange("w"), Kind::Write) && !may(Resource::Exchange("w"), Kind::Read));
    assert!(may(Resource::Exchange(""), Kind::Read) && !may(Resource::Queue(""), Kind::Read));
    assert_eq!(identity.ask(|by| by.vhost("other", HERE)), Answer::Deny);
    assert!(access.clear_permission("t", &node, "u", "/") && !connects());
    assert!(!access.clear_permission("t", &node, "u", "/"));
    access.set_permission("t", &node, permission("u", [".*", ".*", ".*"])).unwrap();
    assert!(connects() && access.delete_user("t", &node, "u") && !connects());
    assert!(!access.delete_user("t", &node, "u"));
    // Who comes later under the same name has none of it.
    access.put_user("t", &node, user("u", Some("p")));
    assert!(!connects() && !may(Resource::Queue("q"), Kind::Read));
}

#[test]
fn topic_permissions_limit_the_exchange_that_they_name() {
    let node = node();
    let access = node.access();
    access.put_user("t", &node, user("u.1", Some("p")));
    let identity = log_in(&node, "u.1", Some("p")).unwrap();
    let may = |exchange, key, kind| {
        identity.ask(|by| by.topic("/", Topic { exchange, key }, kind)) == Answer::Allow
    };
    assert!(may("amq.topic", "any", Kind::Write));
    access.set_topic_permission("t", &node, topic("u.1", "^{username}\\.", "^{vhost}$")).unwrap();
    assert!(may("amq.topic", "u.1.x", Kind::Write) && !may("amq.topic", "u-1.x", Kind::Write));
    assert!(may("amq.topic", "/", Kind::Read) && !may("amq.topic", "u.1.x", Kind::Read));
    assert!(may("other", "any", Kind::Write));
    assert_eq!(access.topic_permissions().len(), 1);
    assert!(access.clear_topic_permissions("t", &node, ("u.1", "/"), Some("amq.topic")));
    assert!(may("amq.topic", "any", Kind::Write));
    assert!(!access.clear_topic_permissions("t", &node, ("u.1", "/"), None));
}

#[test]
fn permissions_are_for_users_and_virtual_hosts_that_exist_and_patterns_that_are_some() {
    let node = node();
    let access = node.access();
    let all = [".*", ".*", ".*"];
    assert_eq!(
        access.set_permission("t", &node, permission("nobody", all)),
        Err(SetError::NoSuchUser("nobody".into()))
    );
    let elsewhere = Permission { vhost: "nowhere".into(), ..permission("guest", all) };
    assert_eq!(
        access.set_permission("t", &node, elsewhere),
        Err(SetError::NoSuchVhost("nowhere".into()))
    );
    let broken = access.set_permission("t", &node, permission("guest", [".*", "[", ".*"]));
    assert!(matches!(broken, Err(SetError::InvalidPattern(pattern, _)) if pattern == "["));
    let broken = access.set_topic_permission("t", &node, topic("guest", "*", ".*"));
    assert!(matches!(broken, Err(SetError::InvalidPattern(..))));
    assert_eq!(access.permissions(), [permission("guest", all)]);
}

#[test]
fn permissions_go_with_their_virtual_host() {
    let node = node();
    let access = node.access();
    access.set_topic_permission("t", &node, topic("guest", ".*", ".*")).unwrap();
    assert_eq!(access.forget_vhost("t", &node, "/").len(), 2);
    assert!(access.permissions().is_empty() && access.topic_permissions().is_empty());
    assert!(access.user("guest").is_some());
}

#[test]
fn who_does_not_exist_is_judged_as_those_are_who_do() {
    let node = node();
    let attempt = |user: &str| Attempt { user: user.into(), password: Some("x".into()) };
    let is_slow = |user: &str| node.access().is_slow(&attempt(user));
    node.access().put_user("test", &node, user("quick", Some("right")));
    node.access().put_user("test", &node, user("none", None));
    assert!(!is_slow("quick") && !is_slow("nobody") && !is_slow("none"));
    let password = Some(PasswordHash::new(Algorithm::Argon2id, &"right".into()));
    node.access().put_user("test", &node, User { password, ..user("slow", None) });
    assert!(is_slow("slow") && is_slow("nobody") && is_slow("none") && !is_slow("quick"));
    assert!(log_in(&node, "nobody", Some("x")).is_err());
    assert!(log_in(&node, "none", Some("x")).is_err());
}
