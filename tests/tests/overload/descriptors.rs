//! More connections than descriptors.

use std::thread;

use lepus_tests::*;

/// Of 64 descriptors connections get 8.
#[test]
fn without_descriptors_newcomers_wait_and_others_go_on() {
    lepus_only!("the limit is set where it is started");
    let broker = Broker::with_descriptors(64, "storage.segment_bytes = 1MiB\n");
    let full = "rabbitmq_alarms_file_descriptor_limit";
    let mut conn = broker.connect();
    let queue = conn.channel_confirming(1).queue("short");
    conn.ch(1).consume_with(consume_no_ack(&queue, "t"));
    assert_eq!(broker.metric(full), 0.0);
    let idle: Vec<Conn> = (0..40).map(|_| broker.dial()).collect();
    broker.wait_for_log("connections are open: others wait until some end", 1);
    broker.wait_for_metric(full, 1.0);
    let mut waiting = broker.dial();
    waiting.send_raw(b"AMQP\0\0\x09\x01");
    for number in 1..=100 {
        conn.ch(1).publish("", &queue, number.to_string());
        conn.ch(1).confirmed(number, number);
        assert_eq!(conn.ch(1).delivery().text(), number.to_string());
    }
    assert!(!waiting.hears_within(std::time::Duration::from_millis(100)));
    thread::scope(|scope| {
        let served = scope.spawn(|| {
            let _: connection::Start = waiting.expect(0);
        });
        drop(idle);
        served.join().unwrap();
    });
    broker.wait_for_metric(full, 0.0);
    broker.connect().close();
}
