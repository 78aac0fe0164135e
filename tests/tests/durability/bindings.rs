//! Bindings.

use super::*;

/// Publishes a persistent message and returns when it is confirmed.
#[track_caller]
fn send(broker: &Broker, exchange: &str, key: &str, properties: BasicProperties, body: &str) {
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    ch.confirm_select();
    ch.publish_with(publish(exchange, key), &properties.with_delivery_mode(2), body);
    ch.confirmed(1, 1);
}

#[test]
fn bindings_of_every_kind_route_as_before() {
    both_ways(|broker, restart| {
        let [direct, topic, fanout, by_header] =
            ["direct", "topic", "fanout", "headers"].map(|kind| {
                let name = unique(kind);
                let _: exchange::DeclareOk =
                    broker.connect().channel(1).call(durable_exchange(&name, kind));
                name
            });
        let queue = new_queue(broker, "bound");
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        ch.bind(&queue, &direct, "one");
        ch.bind(&queue, &direct, "two");
        ch.bind(&queue, &topic, "a.*.#");
        ch.bind(&queue, &fanout, "");
        let arguments = table([("x-match", text("any")), ("n", int(5)), ("s", text("x"))]);
        let _: queue::BindOk = ch.call(queue::Bind { arguments, ..bind(&queue, &by_header, "") });
        restart(broker);
        send(broker, &direct, "one", props(), "1");
        send(broker, &direct, "three", props(), "lost");
        send(broker, &direct, "two", props(), "2");
        send(broker, &topic, "a.b.c.d", props(), "3");
        send(broker, &topic, "a", props(), "lost");
        send(broker, &fanout, "whatever", props(), "4");
        send(broker, &by_header, "", headers([("n", int(5)), ("s", text("y"))]), "5");
        send(broker, &by_header, "", headers([("n", int(6))]), "lost");
        assert_eq!(drained(broker, &queue), ["1", "2", "3", "4", "5"]);
        let mut conn = broker.connect();
        for exchange in [direct, topic, fanout, by_header] {
            let _: exchange::DeleteOk = conn.channel(1).call(delete_exchange(&exchange));
            conn.ch(1).close();
        }
        tidy(broker, &[&queue]);
    });
}

#[test]
fn bindings_to_predeclared_exchanges_stay() {
    both_ways(|broker, restart| {
        let (queue, key) = (new_queue(broker, "bound"), unique("key"));
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        for exchange in ["amq.direct", "amq.topic"] {
            ch.bind(&queue, exchange, &key);
        }
        let arguments = table([("own", text(&key))]);
        let _: queue::BindOk =
            ch.call(queue::Bind { arguments, ..bind(&queue, "amq.headers", "") });
        restart(broker);
        send(broker, "amq.direct", &key, props(), "direct");
        send(broker, "amq.topic", &key, props(), "topic");
        send(broker, "amq.headers", "", headers([("own", text(&key))]), "headers");
        assert_eq!(drained(broker, &queue), ["direct", "topic", "headers"]);
        tidy(broker, &[&queue]);
    });
}

#[test]
fn bindings_between_durable_exchanges_stay() {
    both_ways(|broker, restart| {
        let (source, destination) = (unique("source"), unique("destination"));
        let queue = new_queue(broker, "bound");
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        let _: exchange::DeclareOk = ch.call(durable_exchange(&source, "topic"));
        let _: exchange::DeclareOk = ch.call(durable_exchange(&destination, "fanout"));
        ch.bind_exchange(&destination, &source, "#.end");
        ch.bind(&queue, &destination, "");
        restart(broker);
        send(broker, &source, "the.very.end", props(), "through both");
        assert_eq!(drained(broker, &queue), ["through both"]);
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        let _: exchange::DeleteOk = ch.call(delete_exchange(&source));
        let _: exchange::DeleteOk = ch.call(delete_exchange(&destination));
        tidy(broker, &[&queue]);
    });
}

#[test]
fn unbound_stays_unbound() {
    both_ways(|broker, restart| {
        let (queue, stays, goes) = (new_queue(broker, "bound"), unique("stays"), unique("goes"));
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        ch.bind(&queue, "amq.direct", &stays);
        ch.bind(&queue, "amq.direct", &goes);
        let _: queue::UnbindOk = ch.call(unbind(&queue, "amq.direct", &goes));
        restart(broker);
        send(broker, "amq.direct", &goes, props(), "lost");
        send(broker, "amq.direct", &stays, props(), "kept");
        assert_eq!(drained(broker, &queue), ["kept"]);
        tidy(broker, &[&queue]);
    });
}

#[test]
fn bindings_end_with_what_did_not_survive() {
    both_ways(|broker, restart| {
        let (exchange, durable_one) = (unique("exchange"), new_queue(broker, "durable"));
        let (transient, key) = (unique("transient"), unique("key"));
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        ch.exchange(&exchange, "fanout");
        ch.bind(&durable_one, &exchange, "");
        ch.queue(&transient);
        ch.bind(&transient, "amq.direct", &key);
        restart(broker);
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        // Declared again, they begin without the bindings of the old ones.
        ch.exchange(&exchange, "fanout");
        ch.queue(&transient);
        send(broker, &exchange, "", props(), "lost");
        send(broker, "amq.direct", &key, props(), "lost");
        ch.expect_counts(&durable_one, (0, 0));
        ch.expect_counts(&transient, (0, 0));
        let _: exchange::DeleteOk = ch.call(delete_exchange(&exchange));
        tidy(broker, &[&durable_one, &transient]);
    });
}

#[test]
fn alternate_exchange_works_after_a_restart() {
    both_ways(|broker, restart| {
        let (first, second) = (unique("first"), unique("second"));
        let queue = new_queue(broker, "unrouted");
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        let _: exchange::DeclareOk = ch.call(durable_exchange(&second, "fanout"));
        let arguments = table([("alternate-exchange", text(&second))]);
        let _: exchange::DeclareOk =
            ch.call(exchange::Declare { arguments, ..durable_exchange(&first, "direct") });
        ch.bind(&queue, &second, "");
        restart(broker);
        send(broker, &first, "nobody", props(), "found a way");
        assert_eq!(drained(broker, &queue), ["found a way"]);
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        let _: exchange::DeleteOk = ch.call(delete_exchange(&first));
        let _: exchange::DeleteOk = ch.call(delete_exchange(&second));
        tidy(broker, &[&queue]);
    });
}

#[test]
fn hashes_lead_to_the_same_queues_as_before() {
    both_ways(|broker, restart| {
        let by_id = table([("hash-property", text("message_id"))]);
        for (kind, arguments) in [
            ("x-consistent-hash", by_id),
            ("x-consistent-hash", table([])),
            ("x-modulus-hash", table([])),
        ] {
            let exchange = unique("hash");
            let declare = exchange::Declare { arguments, ..durable_exchange(&exchange, kind) };
            let mut conn = broker.connect();
            let _: exchange::DeclareOk = conn.channel(1).call(declare);
            let queues = ["c", "a", "b"].map(|label| new_queue(broker, label));
            for (queue, weight) in queues.iter().zip(["1", "5", "2"]) {
                conn.ch(1).bind(queue, &exchange, weight);
            }
            let publish_all = |broker: &Broker| {
                let mut conn = broker.connect();
                let mut ch = conn.channel(1);
                ch.confirm_select();
                for number in 0..50 {
                    let id = number.to_string();
                    let properties = persistent().with_message_id(id.as_str().into());
                    ch.publish_with(publish(&exchange, &id), &properties, &id);
                }
                ch.confirmed(1, 50);
                queues.each_ref().map(|queue| drained(broker, queue))
            };
            let before = publish_all(broker);
            assert!(before.iter().filter(|bodies| !bodies.is_empty()).count() > 1);
            restart(broker);
            // What was taken without acknowledgement right before a kill may be there again.
            queues.iter().for_each(|queue| drop(drained(broker, queue)));
            assert_eq!(publish_all(broker), before, "{kind}");
            let _: exchange::DeleteOk =
                broker.connect().channel(1).call(delete_exchange(&exchange));
            tidy(broker, &queues.each_ref().map(String::as_str));
        }
    });
}
