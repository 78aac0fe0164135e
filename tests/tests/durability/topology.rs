//! Exchanges and queues.

use super::*;

#[test]
fn durable_exchanges_of_every_kind_stay_as_they_were() {
    both_ways(|broker, restart| {
        let kinds = [
            "direct",
            "fanout",
            "topic",
            "headers",
            "x-consistent-hash",
            "x-modulus-hash",
            "x-random",
            "x-recent-history",
        ];
        let names = kinds.map(unique);
        let mut conn = broker.connect();
        for (name, kind) in names.iter().zip(kinds) {
            let _: exchange::DeclareOk = conn.channel(1).call(durable_exchange(name, kind));
            conn.ch(1).close();
        }
        restart(broker);
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        for (name, kind) in names.iter().zip(kinds) {
            let _: exchange::DeclareOk = ch.call(durable_exchange(name, kind));
            let text = format!(
                "PRECONDITION_FAILED - inequivalent arg 'durable' for exchange '{name}' in vhost '/': \
                 received 'false' but current is 'true'"
            );
            ch.refused(declare_exchange(name, kind), 406, &text);
            ch.reopen();
            let _: exchange::DeleteOk = ch.call(delete_exchange(name));
        }
    });
}

#[test]
fn flags_and_arguments_of_an_exchange_stay() {
    both_ways(|broker, restart| {
        let (name, other) = (unique("internal"), unique("alternate"));
        let declared = || exchange::Declare {
            internal: true,
            auto_delete: true,
            arguments: table([("alternate-exchange", text(&other))]),
            ..durable_exchange(&name, "topic")
        };
        let _: exchange::DeclareOk = broker.connect().channel(1).call(declared());
        restart(broker);
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        let _: exchange::DeclareOk = ch.call(declared());
        let text = format!(
            "PRECONDITION_FAILED - inequivalent arg 'internal' for exchange '{name}' in vhost '/': \
             received 'false' but current is 'true'"
        );
        ch.refused(exchange::Declare { internal: false, ..declared() }, 406, &text);
        ch.reopen();
        let text = format!(
            "PRECONDITION_FAILED - inequivalent arg 'alternate-exchange' for exchange '{name}' in vhost '/': \
             received none but current is the value '{other}' of type 'longstr'"
        );
        let without = exchange::Declare { arguments: table([]), ..declared() };
        ch.refused(without, 406, &text);
        ch.reopen();
        let _: exchange::DeleteOk = ch.call(delete_exchange(&name));
    });
}

#[test]
fn transient_exchange_is_gone() {
    both_ways(|broker, restart| {
        let name = unique("transient");
        broker.connect().channel(1).exchange(&name, "topic");
        restart(broker);
        no_exchange(&mut broker.connect().channel(1), &name);
    });
}

#[test]
fn durable_queue_stays_with_its_arguments() {
    both_ways(|broker, restart| {
        let name = unique("arguments");
        let declared = |ttl| queue::Declare {
            arguments: table([("x-message-ttl", int(ttl)), ("x-custom", text("kept"))]),
            ..durable(&name)
        };
        broker.connect().channel(1).declare(declared(600_000));
        restart(broker);
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        assert_eq!(ch.declare(declared(600_000)).message_count, 0);
        let text = format!(
            "PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue '{name}' in vhost '/': \
             received '5000' but current is '600000'"
        );
        ch.refused(declared(5_000), 406, &text);
        tidy(broker, &[&name]);
    });
}

#[test]
fn transient_queues_are_gone() {
    both_ways(|broker, restart| {
        let (plain, auto_delete) = (unique("plain"), unique("auto-delete"));
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        ch.queue(&plain);
        ch.declare(queue::Declare { auto_delete: true, ..declare(&auto_delete) });
        ch.publish_with(publish("", &plain), &persistent(), "persistent, but its queue is not");
        restart(broker);
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        no_queue(&mut ch, &plain);
        no_queue(&mut ch, &auto_delete);
    });
}

#[test]
fn exclusive_queues_are_gone_durable_or_not() {
    both_ways(|broker, restart| {
        let (transient, lasting) = (unique("transient"), unique("durable"));
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        ch.declare(queue::Declare { exclusive: true, ..declare(&transient) });
        ch.declare(queue::Declare { exclusive: true, ..durable(&lasting) });
        restart(broker);
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        no_queue(&mut ch, &transient);
        no_queue(&mut ch, &lasting);
        // The name is free: nothing of the old queue is left, not even its owner.
        assert_eq!(ch.declare(durable(&lasting)).message_count, 0);
        tidy(broker, &[&lasting]);
    });
}

#[test]
fn durable_auto_delete_queue_that_was_never_consumed_stays() {
    both_ways(|broker, restart| {
        let name = unique("auto-delete");
        let declared = || queue::Declare { auto_delete: true, ..durable(&name) };
        broker.connect().channel(1).declare(declared());
        restart(broker);
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        ch.declare(declared());
        ch.consume(&name, "t");
        let _: basic::CancelOk = ch.call(cancel("t"));
        no_queue(&mut ch, &name);
    });
}

#[test]
fn durable_queue_that_the_server_named_stays() {
    both_ways(|broker, restart| {
        let name = broker.connect().channel(1).declare(durable("")).queue.to_string();
        put(broker, &name, ["kept"]);
        restart(broker);
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        ch.expect_counts(&name, (1, 0));
        let next = ch.declare(durable("")).queue.to_string();
        assert_ne!(next, name, "a name is not given twice");
        assert_eq!(drained(broker, &name), ["kept"]);
        tidy(broker, &[&name, &next]);
    });
}

#[test]
fn what_was_deleted_stays_deleted() {
    both_ways(|broker, restart| {
        let (queue, exchange) = (unique("queue"), unique("exchange"));
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        ch.declare(durable(&queue));
        let _: exchange::DeclareOk = ch.call(durable_exchange(&exchange, "direct"));
        put(broker, &queue, ["dropped"]);
        let _: queue::DeleteOk = ch.call(delete(&queue));
        let _: exchange::DeleteOk = ch.call(delete_exchange(&exchange));
        restart(broker);
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        no_queue(&mut ch, &queue);
        no_exchange(&mut ch, &exchange);
    });
}

#[test]
fn queue_declared_again_after_its_deletion_has_only_its_own_messages() {
    both_ways(|broker, restart| {
        let queue = new_queue(broker, "again");
        put(broker, &queue, ["old 1", "old 2", "old 3"]);
        let _: queue::DeleteOk = broker.connect().channel(1).call(delete(&queue));
        broker.connect().channel(1).declare(durable(&queue));
        put(broker, &queue, ["new 1", "new 2"]);
        restart(broker);
        assert_eq!(drained(broker, &queue), ["new 1", "new 2"]);
        tidy(broker, &[&queue]);
    });
}

#[test]
fn durable_queue_declared_again_as_transient_is_refused_after_a_restart_too() {
    both_ways(|broker, restart| {
        let name = new_queue(broker, "durable");
        restart(broker);
        let text = format!(
            "PRECONDITION_FAILED - inequivalent arg 'durable' for queue '{name}' in vhost '/': \
             received 'false' but current is 'true'"
        );
        broker.connect().channel(1).refused(declare(&name), 406, &text);
        tidy(broker, &[&name]);
    });
}
