//! What may be declared, declared again, and deleted.

use super::*;
use crate::limits::BINDINGS_MAX;

const DEFAULT_REFUSED: &str = "operation not permitted on the default exchange";

#[test]
fn every_virtual_host_has_its_exchanges() {
    let topology = topology();
    for (name, kind) in [
        ("amq.direct", ExchangeKind::Direct),
        ("amq.fanout", ExchangeKind::Fanout),
        ("amq.topic", ExchangeKind::Topic),
        ("amq.headers", ExchangeKind::Headers),
        ("amq.match", ExchangeKind::Headers),
        ("amq.rabbitmq.trace", ExchangeKind::Topic),
        ("amq.rabbitmq.event", ExchangeKind::Topic),
    ] {
        let spec = &topology.exchange(name).expect(name).spec;
        let internal = name.starts_with("amq.rabbitmq.");
        assert_eq!((spec.kind, spec.durable, spec.internal), (kind, true, internal), "{name}");
    }
}

#[test]
fn a_delivery_rate_is_a_positive_integer() {
    for (rate, refusal) in [
        (AMQPValue::LongInt(0), "{value_zero,0}"),
        (AMQPValue::LongInt(-1), "{value_negative,-1}"),
        (AMQPValue::Boolean(true), "\"expected integer, got bool\""),
    ] {
        let spec = QueueSpec { arguments: table("x-max-delivery-rate", rate), ..queue("q") };
        let text = refused(topology().declare_queue(spec, |_| 1)).1;
        assert!(
            text.contains("'x-max-delivery-rate' for queue 'q'") && text.ends_with(refusal),
            "{text}"
        );
    }
}

#[test]
fn an_exchange_is_declared_once() {
    let mut topology = topology();
    assert_eq!(topology.declare_exchange(exchange("x", ExchangeKind::Topic)), Ok(true));
    assert_eq!(topology.declare_exchange(exchange("x", ExchangeKind::Topic)), Ok(false));
}

#[test]
fn an_exchange_declared_differently_is_refused_in_rabbitmqs_words() {
    let mut topology = topology();
    let x = || exchange("x", ExchangeKind::Topic);
    topology.add_exchange(x());
    let with_alternate = ExchangeSpec { arguments: table("alternate-exchange", text("y")), ..x() };
    for (spec, property, received, current) in [
        (exchange("x", ExchangeKind::Direct), "type", "'direct'", "'topic'"),
        (ExchangeSpec { durable: true, ..x() }, "durable", "'true'", "'false'"),
        (ExchangeSpec { auto_delete: true, ..x() }, "auto_delete", "'true'", "'false'"),
        (ExchangeSpec { internal: true, ..x() }, "internal", "'true'", "'false'"),
        (with_alternate, "alternate-exchange", "the value 'y' of type 'longstr'", "none"),
    ] {
        let expected = format!(
            "inequivalent arg '{property}' for exchange 'x' in vhost '/': \
             received {received} but current is {current}"
        );
        let refusal = refused(topology.declare_exchange(spec));
        assert_eq!(refusal, (ReplyCode::PreconditionFailed, expected));
    }
    // Arguments without a meaning are not compared.
    let other = ExchangeSpec { arguments: table("x-other", text("y")), ..x() };
    assert_eq!(topology.declare_exchange(other), Ok(false));
}

#[test]
fn a_queue_declared_differently_is_refused_in_rabbitmqs_words() {
    let mut topology = topology();
    let ttl = |ms| table("x-message-ttl", AMQPValue::LongInt(ms));
    let q = || QueueSpec { arguments: ttl(100), ..queue("q") };
    assert_eq!(topology.declare_queue(q(), |_| 1), Ok((1, true)));
    assert_eq!(topology.declare_queue(q(), |_| 2), Ok((1, false)));
    // The width of an integer does not matter.
    let wide = table("x-message-ttl", AMQPValue::LongLongInt(100));
    assert_eq!(topology.declare_queue(QueueSpec { arguments: wide, ..q() }, |_| 2), Ok((1, false)));
    let was = "the value '100' of type 'signedint'";
    for (spec, property, received, current) in [
        (QueueSpec { durable: true, ..q() }, "durable", "'true'", "'false'"),
        (QueueSpec { auto_delete: true, ..q() }, "auto_delete", "'true'", "'false'"),
        (queue("q"), "x-message-ttl", "none", was),
        // Types are only told where a value stands against none.
        (QueueSpec { arguments: ttl(7), ..q() }, "x-message-ttl", "'7'", "'100'"),
    ] {
        let expected = format!(
            "inequivalent arg '{property}' for queue 'q' in vhost '/': \
             received {received} but current is {current}"
        );
        let refusal = refused(topology.declare_queue(spec, |_| 2));
        assert_eq!(refusal, (ReplyCode::PreconditionFailed, expected));
    }
}

#[test]
fn a_queue_with_senseless_arguments_does_not_come_to_be() {
    let mut topology = topology();
    let spec = QueueSpec { arguments: table("x-expires", AMQPValue::LongInt(0)), ..queue("q") };
    let (code, reason) = refused(topology.declare_queue(spec, |_| 1));
    assert_eq!(code, ReplyCode::PreconditionFailed);
    assert_eq!(reason, "invalid arg 'x-expires' for queue 'q' in vhost '/': {value_zero,0}");
    let spec = ExchangeSpec {
        arguments: table("alternate-exchange", AMQPValue::Boolean(true)),
        ..exchange("x", ExchangeKind::Direct)
    };
    assert_eq!(refused(topology.declare_exchange(spec)).0, ReplyCode::PreconditionFailed);
    assert!(topology.queue("q", ANYONE).is_err() && !topology.has_exchange("x"));
    topology.check_books();
}

#[test]
fn names_that_begin_amq_are_the_brokers() {
    let mut topology = topology();
    let refusal = refused(topology.declare_exchange(exchange("amq.mine", ExchangeKind::Direct)));
    let reason = "exchange name 'amq.mine' contains reserved prefix 'amq.*'";
    assert_eq!(refusal, (ReplyCode::AccessRefused, reason.to_owned()));
    // Those that there are may be declared as they are.
    let spec = ExchangeSpec { durable: true, ..exchange("amq.topic", ExchangeKind::Topic) };
    assert_eq!(topology.declare_exchange(spec), Ok(false));
    for name in ["amq.topic", "amq.mine"] {
        let refusal = refused(topology.delete_exchange(name, false));
        let reason = format!("deletion of system exchange '{name}' in vhost '/' not allowed");
        assert_eq!(refusal, (ReplyCode::AccessRefused, reason));
    }
}

#[test]
fn the_default_exchange_is_not_touched() {
    let mut topology = topology();
    topology.add_queue("q", 1);
    topology.add_exchange(exchange("x", ExchangeKind::Fanout));
    let arguments = &FieldTable::default();
    let spec = |source, target| BindingSpec { source, target, key: "q", arguments };
    let to_queue = spec("", Target::Queue("q"));
    let to_default = spec("x", Target::Exchange(""));
    for result in [
        topology.declare_exchange(exchange("", ExchangeKind::Direct)).map(drop),
        topology.delete_exchange("", false),
        topology.bind(to_queue, ANYONE).map(drop),
        topology.unbind(to_queue, ANYONE),
        topology.bind(to_default, ANYONE).map(drop),
        topology.unbind(to_default, ANYONE),
    ] {
        assert_eq!(refused(result), (ReplyCode::AccessRefused, DEFAULT_REFUSED.to_owned()));
    }
}

#[test]
fn an_exclusive_queue_is_its_owners() {
    let mut topology = topology();
    let owned = |owner| QueueSpec { owner: Some(owner), ..queue("q") };
    assert_eq!(topology.declare_queue(owned(1), |_| 10), Ok((10, true)));
    assert_eq!(topology.declare_queue(owned(1), |_| 11), Ok((10, false)));
    let reason = "cannot obtain exclusive access to locked queue 'q' in vhost '/'. It could be \
                  originally declared on another connection or the exclusive property value does \
                  not match that of the original declaration.";
    let arguments = &FieldTable::default();
    let target = Target::Queue("q");
    let binding = BindingSpec { source: "amq.fanout", target, key: "", arguments };
    for result in [
        topology.declare_queue(owned(2), |_| 12).map(drop),
        topology.declare_queue(queue("q"), |_| 12).map(drop),
        topology.queue("q", 2).map(drop),
        topology.bind(binding, 2).map(drop),
        topology.unbind(binding, 2),
    ] {
        assert_eq!(refused(result), (ReplyCode::ResourceLocked, reason.to_owned()));
    }
    assert_eq!((topology.queue("q", 1), topology.bind(binding, 1)), (Ok(10), Ok(true)));
    assert_eq!(topology.to("amq.fanout", ""), [10]);
    topology.add_queue("common", 20);
    assert_eq!((topology.owned_by(1), topology.owned_by(2)), (vec![10], vec![]));
}

#[test]
fn a_queue_for_all_is_not_taken_by_one() {
    let mut topology = topology();
    topology.add_queue("q", 1);
    let spec = QueueSpec { owner: Some(3), ..queue("q") };
    assert_eq!(refused(topology.declare_queue(spec, |_| 2)).0, ReplyCode::ResourceLocked);
}

#[test]
fn what_is_missing_is_named() {
    let mut topology = topology();
    topology.add_exchange(exchange("x", ExchangeKind::Direct));
    let none = &FieldTable::default();
    let mut missing = |source, target| {
        let (code, reason) = refused(topology.bind_with(source, target, "", none));
        assert_eq!(code, ReplyCode::NotFound);
        reason
    };
    assert_eq!(missing("x", Target::Queue("q")), "no queue 'q' in vhost '/'");
    assert_eq!(missing("x", Target::Exchange("y")), "no exchange 'y' in vhost '/'");
    assert_eq!(missing("y", Target::Queue("q")), "no exchange 'y' in vhost '/'");
    let route = topology.routed("y", &[b""]);
    assert_eq!(refused(route).1, "no exchange 'y' in vhost '/'");
    // To take away what is not there is no mistake.
    topology.unbound("x", Target::Queue("q"), "");
    topology.unbound("y", Target::Exchange("x"), "");
    assert_eq!(topology.delete_exchange("y", true), Ok(()));
}

#[test]
fn the_number_of_bindings_is_limited() {
    let mut topology = topology();
    topology.add_queue("q", 1);
    topology.bindings = BINDINGS_MAX - 1;
    topology.bound("amq.direct", Target::Queue("q"), "a");
    let none = FieldTable::default();
    let over = topology.bind_with("amq.direct", Target::Queue("q"), "b", &none);
    let reason = "limit of bindings reached".to_owned();
    assert_eq!(refused(over), (ReplyCode::PreconditionFailed, reason));
    assert!(topology.to("amq.direct", "b").is_empty());
    topology.unbound("amq.direct", Target::Queue("q"), "a");
    topology.bound("amq.direct", Target::Queue("q"), "b");
}
