//! `lepus store dump`: queues and messages as JSON lines.

use serde_json::{Value, json};

use super::*;

fn dump(broker: &Broker, args: &[&str]) -> Vec<Value> {
    let output = broker.store("dump", args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of_kind(lines: &[Value], kind: &str) -> Vec<Value> {
    lines.iter().filter(|line| line["kind"] == kind).cloned().collect()
}

#[test]
fn dump_has_queues_and_messages_with_all_they_have() {
    lepus_only!("a command of its own");
    let mut broker = Broker::start();
    let (queue, other) = (unique("dumped"), unique("other"));
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    let arguments = table([("x-max-length", int(1000))]);
    ch.declare(queue::Declare { arguments, ..durable(&queue) });
    ch.declare(durable(&other));
    ch.confirm_select();
    let properties = headers([("number", int(7)), ("text", text("t"))]).with_delivery_mode(2);
    ch.publish_with(publish("", &queue), &properties.with_content_type("a/b".into()), "one");
    ch.publish_with(publish("", &queue), &persistent(), [0xff, 0x00]);
    ch.publish_with(publish("", &queue), &persistent(), "three");
    ch.publish_with(publish("", &other), &persistent(), "other");
    ch.confirmed(1, 4);
    // Handed out and put back.
    let first = ch.got(&queue);
    ch.send(basic::Nack {
        delivery_tag: first.method.delivery_tag,
        multiple: false,
        requeue: true,
    });
    ch.close();
    drop(conn);
    broker.stop();

    let lines = dump(&broker, &[]);
    let queues = of_kind(&lines, "queue");
    assert_eq!(queues.len(), 2);
    let found = queues.iter().find(|line| line["name"] == *queue).unwrap();
    assert_eq!((&found["vhost"], &found["durable"]), (&json!("/"), &json!(true)));
    assert_eq!((&found["messages"], &found["octets"]), (&json!(3), &json!(10)));
    let argument = &found["arguments"]["x-max-length"];
    assert_eq!(*argument, json!({ "type": "signedint", "value": 1000 }));

    let messages = dump(&broker, &["--queue", &queue, "--vhost", "/"]);
    let messages = of_kind(&messages, "message");
    assert_eq!(messages.len(), 3);
    let one = &messages[0];
    assert_eq!((&one["body"], &one["encoding"]), (&json!("one"), &json!("string")));
    assert_eq!((&one["exchange"], &one["routing_key"]), (&json!(""), &json!(queue)));
    assert_eq!((&one["redelivered"], &one["position"]), (&json!(true), &json!(0)));
    assert_eq!(one["returns"], json!(1));
    let expected = json!({
        "content_type": "a/b",
        "delivery_mode": 2,
        "headers": {
            "number": { "type": "signedint", "value": 7 },
            "text": { "type": "longstr", "value": "t" },
        },
    });
    assert_eq!(one["properties"], expected);
    assert_eq!(
        (&messages[1]["body"], &messages[1]["encoding"]),
        (&json!("/wA="), &json!("base64"))
    );
    assert_eq!(messages[2]["redelivered"], json!(false));

    let limited = dump(&broker, &["--limit", "1"]);
    assert_eq!(of_kind(&limited, "message").len(), 2);
    assert!(dump(&broker, &["--vhost", "none"]).is_empty());
    // Nothing was changed by it.
    broker.restart();
    broker.connect().channel(1).expect_counts(&queue, (3, 0));
}
