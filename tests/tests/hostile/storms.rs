//! Clients that all come at once, again and again.

use lepus_tests::*;

#[test]
fn clients_that_reconnect_in_a_storm() {
    let broker = Broker::start();
    others_go_on(&broker, || {
        let mut conns: Vec<Conn> = (0..scaled(1_000)).map(|_| broker.dial()).collect();
        let login = Login::default();
        conns.iter_mut().for_each(|conn| conn.send_raw(b"AMQP\0\0\x09\x01"));
        for conn in &mut conns {
            let _: connection::Start = conn.expect(0);
            conn.send(0, login.start_ok());
        }
        for conn in &mut conns {
            let _: connection::Tune = conn.expect(0);
            conn.send(0, login.tune_ok());
            conn.send(0, connection::Open { virtual_host: "/".into() });
        }
        for conn in &mut conns {
            let _: connection::OpenOk = conn.expect(0);
            conn.send(1, channel::Open {});
        }
        for conn in &mut conns {
            let _: channel::OpenOk = conn.expect(1);
        }
    });
    broker.wait_for_metric("rabbitmq_connections", 0.0);
    broker.wait_for_metric("rabbitmq_channels", 0.0);
}
