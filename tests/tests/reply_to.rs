//! Direct reply-to: `amq.rabbitmq.reply-to`.

use lepus_tests::*;

const REPLY_TO: &str = "amq.rabbitmq.reply-to";

fn requester(conn: &mut Conn) -> Chan<'_> {
    let mut ch = conn.channel(1);
    ch.consume_with(consume_no_ack(REPLY_TO, "replies"));
    ch
}

fn request(ch: &mut Chan<'_>, queue: &str, body: &str) {
    ch.publish_with(publish("", queue), &props().with_reply_to(REPLY_TO.into()), body);
}

fn reply_address(message: &Message<basic::GetOk>) -> String {
    message.properties.reply_to().as_ref().unwrap().to_string()
}

#[test]
fn reply_goes_to_the_requesting_channel() {
    let (mut client, mut server) = (shared().connect(), shared().connect());
    let mut server = server.channel(1);
    let queue = server.queue(&unique("requests"));
    let mut client = requester(&mut client);
    request(&mut client, &queue, "ping");
    client.barrier(&queue);
    let asked = server.got(&queue);
    let address = reply_address(&asked);
    assert!(address.starts_with("amq.rabbitmq.reply-to."), "{address}");
    server.publish_with(publish("", &address), &props().with_correlation_id("7".into()), "pong");
    let reply = client.delivery();
    let expected = basic::Deliver {
        consumer_tag: "replies".into(),
        delivery_tag: 1,
        redelivered: false,
        exchange: "".into(),
        routing_key: address.as_str().into(),
    };
    assert_eq!((&reply.method, reply.text()), (&expected, "pong"));
    assert_eq!(reply.properties, props().with_correlation_id("7".into()));
    let _: queue::DeleteOk = server.call(delete(&queue));
}

#[test]
fn several_replies_may_come() {
    let mut conn = shared().connect();
    let queue = conn.channel(2).temp_queue();
    request(&mut requester(&mut conn), &queue, "ping");
    conn.ch(1).barrier(&queue);
    let address = reply_address(&conn.ch(2).got(&queue));
    conn.ch(2).publish_all(&address, ["one", "two"]);
    conn.ch(1).deliveries(["one", "two"]);
}

#[test]
fn address_is_the_same_for_all_requests_of_a_channel() {
    let mut conn = shared().connect();
    let mut ch = requester(&mut conn);
    let queue = ch.temp_queue();
    request(&mut ch, &queue, "1");
    request(&mut ch, &queue, "2");
    let addresses = [ch.got(&queue), ch.got(&queue)].map(|message| reply_address(&message));
    assert_eq!(addresses[0], addresses[1]);
}

#[test]
fn consumer_must_not_acknowledge() {
    let mut conn = shared().connect();
    let text = "PRECONDITION_FAILED - reply consumer cannot acknowledge";
    conn.channel(1).refused(consume(REPLY_TO, "t"), 406, text);
}

#[test]
fn second_reply_consumer_is_refused() {
    let mut conn = shared().connect();
    let mut ch = requester(&mut conn);
    let text = "PRECONDITION_FAILED - reply consumer already set";
    ch.refused(consume_no_ack(REPLY_TO, "other"), 406, text);
}

#[test]
fn request_without_a_reply_consumer_is_refused() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    request(&mut ch, &queue, "ping");
    ch.expect_close(406, "PRECONDITION_FAILED - fast reply consumer does not exist", (60, 40));
}

#[test]
fn reply_consumer_can_be_cancelled() {
    let mut conn = shared().connect();
    let mut ch = requester(&mut conn);
    let queue = ch.temp_queue();
    let _: basic::CancelOk = ch.call(cancel("replies"));
    request(&mut ch, &queue, "ping");
    ch.expect_close(406, "PRECONDITION_FAILED - fast reply consumer does not exist", (60, 40));
}

#[test]
fn reply_consumer_may_come_again_after_cancel() {
    let mut conn = shared().connect();
    let mut ch = requester(&mut conn);
    let _: basic::CancelOk = ch.call(cancel("replies"));
    ch.consume_with(consume_no_ack(REPLY_TO, "replies"));
}

#[test]
fn server_names_the_reply_consumer() {
    let mut conn = shared().connect();
    let tag = conn.channel(1).consume_with(consume_no_ack(REPLY_TO, ""));
    assert!(tag.starts_with("amq.ctag-"), "{tag}");
}

#[test]
fn passive_declare_of_the_pseudo_queue_is_fine() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let ok = ch.declare(look(REPLY_TO));
    assert_eq!((ok.queue.as_str(), ok.message_count, ok.consumer_count), (REPLY_TO, 0, 1));
}

#[test]
fn declare_of_the_pseudo_queue_is_fine_too() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    assert_eq!(ch.declare(declare(REPLY_TO)).queue.as_str(), REPLY_TO);
}

fn address_of(ch: &mut Chan<'_>) -> String {
    let queue = ch.temp_queue();
    request(ch, &queue, "ping");
    reply_address(&ch.got(&queue))
}

#[test]
fn passive_declare_tells_whether_the_requester_is_there() {
    let (mut client, mut server) = (shared().connect(), shared().connect());
    let address = address_of(&mut requester(&mut client));
    let mut server = server.channel(1);
    let ok = server.declare(look(&address));
    assert_eq!((ok.queue.as_str(), ok.message_count, ok.consumer_count), (address.as_str(), 0, 1));
    client.close();
    server.refused(look(&address), 404, &format!("NOT_FOUND - no queue '{address}' in vhost '/'"));
}

#[test]
fn reply_to_nobody_is_dropped() {
    let (mut client, mut server) = (shared().connect(), shared().connect());
    let address = address_of(&mut requester(&mut client));
    client.close();
    let mut server = server.channel(1);
    server.publish("", &address, "too late");
    let _: basic::QosOk = server.call(qos(1));
}

#[test]
fn mandatory_reply_to_nobody_comes_back() {
    let (mut client, mut server) = (shared().connect(), shared().connect());
    let address = address_of(&mut requester(&mut client));
    client.close();
    let mut server = server.channel(1);
    server.publish_with(
        basic::Publish { mandatory: true, ..publish("", &address) },
        &props(),
        "back",
    );
    assert_eq!(server.returned().text(), "back");
}

#[test]
fn mandatory_reply_arrives() {
    let (mut client, mut server) = (shared().connect(), shared().connect());
    let mut client = requester(&mut client);
    let address = address_of(&mut client);
    let mandatory = basic::Publish { mandatory: true, ..publish("", &address) };
    server.channel(1).publish_with(mandatory, &props(), "here");
    client.deliveries(["here"]);
}

#[test]
fn reply_is_confirmed() {
    let mut conn = shared().connect();
    let address = address_of(&mut requester(&mut conn));
    let mut ch = conn.channel(2);
    ch.confirm_select();
    ch.publish("", &address, "confirmed");
    ch.confirmed(1, 1);
    conn.ch(1).deliveries(["confirmed"]);
}

#[test]
fn invented_address_goes_nowhere() {
    lepus_only!("RabbitMQ ends the connection with an internal error");
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let address = "amq.rabbitmq.reply-to.nonsense.nonsense==";
    ch.publish_with(basic::Publish { mandatory: true, ..publish("", address) }, &props(), "back");
    assert_eq!(ch.returned().text(), "back");
}

#[test]
fn get_and_bind_of_the_pseudo_queue_are_not_found() {
    let text = "NOT_FOUND - no queue 'amq.rabbitmq.reply-to' in vhost '/'";
    shared().connect().channel(1).refused(get(REPLY_TO), 404, text);
    shared().connect().channel(1).refused(bind(REPLY_TO, "amq.direct", "k"), 404, text);
    shared().connect().channel(1).refused(purge(REPLY_TO), 404, text);
}

#[test]
fn another_reply_to_is_left_alone() {
    let mut conn = shared().connect();
    let mut ch = requester(&mut conn);
    let queue = ch.temp_queue();
    let properties = props().with_reply_to("my.own.queue".into());
    ch.publish_with(publish("", &queue), &properties, "ping");
    assert_eq!(ch.got(&queue).properties, properties);
}

#[test]
fn reply_with_cc_reaches_the_requester_and_the_queue() {
    let mut conn = shared().connect();
    let copies = conn.channel(2).temp_queue();
    let mut ch = requester(&mut conn);
    let address = address_of(&mut ch);
    ch.publish_with(publish("", &address), &headers([("CC", list([text(&copies)]))]), "to both");
    assert_eq!(ch.delivery().text(), "to both");
    ch.barrier(&copies);
    assert_eq!(ch.got(&copies).text(), "to both");
}

#[test]
fn address_in_cc_gets_a_copy() {
    let mut conn = shared().connect();
    let queue = conn.channel(2).temp_queue();
    let mut ch = requester(&mut conn);
    let address = address_of(&mut ch);
    ch.publish_with(publish("", &queue), &headers([("CC", list([text(&address)]))]), "copy");
    assert_eq!(ch.delivery().text(), "copy");
}

#[test]
fn requester_that_does_not_read_is_bounded() {
    lepus_only!("RabbitMQ keeps them all");
    let broker = Broker::with_config("vm_memory_high_watermark.absolute = 300MiB\n");
    let (mut stuck, mut server) = (broker.connect(), broker.connect());
    let address = address_of(&mut requester(&mut stuck));
    let mut ch = server.channel(1);
    ch.confirm_select();
    for _ in 0..1000 {
        ch.publish("", &address, vec![7; 1 << 20]);
    }
    // A thousand MiB and no alarm: confirms go on.
    ch.confirmed(1, 1000);
}
