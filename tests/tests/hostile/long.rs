//! Single methods that are work for long: nobody else waits until they are done.

use lepus_tests::*;

/// As many as would keep every thread of a small machine's broker busy.
const PEERS: usize = 3;

/// An empty message in full.
fn message(exchange: &str, key: &str) -> Vec<u8> {
    let mut octets = publish(exchange, key).bytes(1);
    octets.extend(header_frame(1, 0, &props()));
    octets
}

fn peers(broker: &Broker) -> Vec<Conn> {
    let mut peers: Vec<Conn> = (0..PEERS).map(|_| broker.connect()).collect();
    for conn in &mut peers {
        conn.channel(1);
    }
    peers
}

/// Queues that keep a message each, of all that the exchange gets.
fn bound(conn: &mut Conn, exchange: &str, queues: usize) {
    let mut octets = Vec::new();
    for number in 0..queues {
        let (queue, arguments) = (format!("q{number}"), table([("x-max-length", int(1))]));
        let declare = declare(&queue);
        octets.extend(
            queue::Declare { exclusive: true, nowait: true, arguments, ..declare }.bytes(1),
        );
        octets.extend(queue::Bind { nowait: true, ..bind(&queue, exchange, "") }.bytes(1));
    }
    conn.channel(1);
    conn.send_raw(&octets);
    let _: basic::QosOk = conn.ch(1).call(qos(0));
}

/// All of a transaction is carried out in one go.
#[test]
fn transactions_of_many_messages_to_many_queues() {
    let broker = Broker::start();
    let mut owner = broker.connect();
    bound(&mut owner, "amq.fanout", 200);
    let mut peers = peers(&broker);
    for conn in &mut peers {
        let _: tx::SelectOk = conn.ch(1).call(tx::Select {});
    }
    let messages = message("amq.fanout", "").repeat(scaled(500));
    others_go_on(&broker, || {
        for conn in &mut peers {
            conn.send_raw(&messages);
            conn.send(1, tx::Commit {});
        }
        for conn in &mut peers {
            let _: tx::CommitOk = conn.expect(1);
        }
    });
    owner.ch(1).expect_counts("q7", (1, 0));
}

/// A message is not left half-way.
#[test]
fn messages_to_masses_of_queues() {
    let broker = Broker::start();
    let mut owner = broker.connect();
    bound(&mut owner, "amq.fanout", scaled(5_000));
    let mut peers = peers(&broker);
    let messages = message("amq.fanout", "").repeat(10);
    others_go_on(&broker, || {
        for conn in &mut peers {
            conn.send_raw(&messages);
            conn.send(1, qos(0));
        }
        for conn in &mut peers {
            let _: basic::QosOk = conn.expect(1);
        }
    });
    owner.ch(1).expect_counts("q7", (1, 0));
}

/// All that a client holds comes back with one octet or two.
#[test]
fn verdicts_on_masses_of_messages() {
    let broker = Broker::start();
    let many = scaled(10_000);
    let mut peers = peers(&broker);
    for conn in &mut peers {
        let queue = conn.ch(1).temp_queue();
        conn.send_raw(&message("", &queue).repeat(many));
        conn.ch(1).consume(&queue, "t");
    }
    others_go_on(&broker, || {
        for conn in &mut peers {
            (0..many).for_each(|_| drop(conn.ch(1).delivery()));
        }
        for conn in &mut peers {
            conn.send(1, nack_up_to(0, true));
        }
    });
}
