//! Handshakes that never end.

use std::thread::sleep;
use std::time::Duration;

use lepus_tests::*;

/// Between one octet and the next.
const DRIP: Duration = Duration::from_millis(300);

/// Each octet comes in time, but the whole never does: it is the whole that has a time.
#[test]
fn handshakes_that_drip_end_at_the_timeout() {
    lepus_only!("the setting is Lepus' here");
    let broker = Broker::with_config("handshake_timeout = 4000\n");
    others_go_on(&broker, || {
        let mut headers: Vec<Conn> = (0..scaled(150)).map(|_| broker.dial()).collect();
        let mut logins: Vec<Conn> = (0..scaled(150)).map(|_| broker.dial()).collect();
        logins.iter_mut().for_each(|conn| drop(conn.start()));
        let start_ok = Login::default().start_ok().bytes(0);
        for number in 0..15 {
            // Of the protocol header the last octet never comes.
            headers.iter_mut().for_each(|conn| {
                conn.send_raw(&[b"AMQP\0\0\x09"[number % 7]][..usize::from(number < 7)])
            });
            logins.iter_mut().for_each(|conn| conn.send_raw(&start_ok[number..=number]));
            sleep(DRIP);
        }
        headers.iter_mut().chain(&mut logins).for_each(Conn::expect_eof);
    });
    broker.wait_for_metric("rabbitmq_connections", 0.0);
}
