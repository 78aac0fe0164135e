//! Health checks without a login.

use lepus_tests::Broker;

use super::page::ask;

#[test]
fn whether_it_lives_and_is_ready_is_told_to_anybody() {
    let broker = Broker::start();
    for path in ["/health/live", "/health/ready"] {
        let answer = ask(&broker, path, &[]);
        assert_eq!((answer.status, &*answer.body), (200, &br#"{"status":"ok"}"#[..]), "{path}");
    }
    assert_eq!(ask(&broker, "/health", &[]).status, 404);
}

/// Consumers help against an alarm: who sends clients here must go on.
#[test]
fn an_alarm_does_not_send_clients_away() {
    let broker = Broker::with_config("disk_free_limit.absolute = 1000TB");
    broker.wait_for_log("disk alarm set", 1);
    assert_eq!(ask(&broker, "/health/ready", &[]).status, 200);
    let page = super::page::Page::of(&broker, "/metrics");
    assert_eq!(page.value("rabbitmq_alarms_free_disk_space_watermark"), 1.0);
    assert_eq!(page.value(r#"lepus_alarm{resource="disk"}"#), 1.0);
    assert_eq!(page.value("rabbitmq_alarms_memory_used_watermark"), 0.0);
}
