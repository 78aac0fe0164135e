//! Publishing: properties, returns, and what a message may not say.

use lepus_tests::*;

fn all_properties() -> BasicProperties {
    props()
        .with_content_type("text/plain".into())
        .with_content_encoding("gzip".into())
        .with_headers(table([("key", text("value"))]))
        .with_delivery_mode(2)
        .with_priority(200)
        .with_correlation_id("correlation".into())
        .with_reply_to("reply".into())
        .with_expiration("600000".into())
        .with_message_id("id".into())
        .with_timestamp(u64::MAX)
        .with_type("type".into())
        .with_user_id("guest".into())
        .with_app_id("app".into())
        .with_cluster_id("cluster".into())
}

/// Publishes and returns what came, after checking that the properties came byte for byte.
fn round_trip(properties: &BasicProperties) -> Message<basic::GetOk> {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish_with(publish("", &queue), properties, "body");
    let message = ch.got(&queue);
    let sent = header_frame(1, 4, properties);
    assert_eq!(message.raw_properties, sent[19..sent.len() - 1], "properties differ");
    message
}

#[test]
fn all_fourteen_properties_arrive_byte_for_byte() {
    let message = round_trip(&all_properties());
    assert_eq!(message.properties, all_properties());
}

#[test]
fn no_properties_arrive_as_none() {
    assert_eq!(round_trip(&props()).raw_properties, [0, 0]);
}

#[test]
fn empty_property_values_arrive_as_empty() {
    round_trip(&props().with_content_type("".into()).with_headers(FieldTable::default()));
}

#[test]
fn headers_of_every_field_type_arrive_byte_for_byte() {
    let nested = table([("inner", list([int(1), text("two"), AMQPValue::Void]))]);
    round_trip(&headers([
        ("bool", flag(true)),
        ("i8", AMQPValue::ShortShortInt(-5)),
        ("u8", AMQPValue::ShortShortUInt(250)),
        ("i16", AMQPValue::ShortInt(-300)),
        ("u16", AMQPValue::ShortUInt(60_000)),
        ("i32", int(-70_000)),
        ("u32", AMQPValue::LongUInt(4_000_000_000)),
        ("i64", long(i64::MIN)),
        ("f32", AMQPValue::Float(1.5)),
        ("f64", AMQPValue::Double(-2.25)),
        ("decimal", AMQPValue::DecimalValue(DecimalValue { scale: 2, value: 12_345 })),
        ("text", text("long string")),
        ("array", list([flag(false), long(7)])),
        ("time", AMQPValue::Timestamp(1_700_000_000)),
        ("table", AMQPValue::FieldTable(nested)),
        ("bytes", AMQPValue::ByteArray(vec![0, 1, 255].into())),
        ("void", AMQPValue::Void),
    ]));
}

#[test]
fn headers_nested_sixty_levels_arrive() {
    let mut value = text("bottom");
    for _ in 0..60 {
        value = AMQPValue::FieldTable(table([("t", value)]));
    }
    let properties = headers([("deep", value)]);
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish_with(publish("", &queue), &properties, "");
    assert_eq!(ch.got(&queue).properties, properties);
}

/// A field table of tables in tables, as bytes: too deep for any encoder that recurses.
fn deep_table(levels: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for level in (0..levels).rev() {
        bytes.extend(b"\x01aF");
        bytes.extend(u32::try_from(level * 7).unwrap().to_be_bytes());
    }
    bytes
}

#[test]
fn thousands_of_nested_tables_do_not_break_the_broker() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let table = deep_table(12_000);
    let mut payload = vec![0, 60, 0, 0];
    payload.extend([0; 8]);
    payload.extend([0x20, 0]);
    payload.extend(u32::try_from(table.len()).unwrap().to_be_bytes());
    payload.extend(&table);
    ch.send(publish("amq.headers", ""));
    ch.conn.send_raw(&frame(HEADER, 1, &payload));
    let mut arguments = b"\0\0\0\x02".to_vec();
    arguments.extend(u32::try_from(table.len()).unwrap().to_be_bytes());
    arguments.extend(&table);
    ch.send_bytes(50, 10, &arguments);
    // Refusing it is as good as taking it; the broker must live.
    let _ = ch.conn.next_frame();
    shared().connect().close();
}

#[test]
fn priority_of_any_value_is_kept() {
    round_trip(&props().with_priority(255));
}

#[test]
fn delivery_mode_is_1_or_2() {
    round_trip(&props().with_delivery_mode(1));
    for mode in [0, 77] {
        let text =
            format!("PRECONDITION_FAILED - invalid message: {{delivery_mode_unknown,{mode}}}");
        refused(&props().with_delivery_mode(mode), &text);
    }
}

#[test]
fn mandatory_message_without_a_queue_comes_back() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let key = unique("nowhere");
    let properties = all_properties();
    ch.publish_with(
        basic::Publish { mandatory: true, ..publish("amq.direct", &key) },
        &properties,
        "back",
    );
    let returned = ch.returned();
    assert_eq!(
        (returned.method.reply_code, returned.method.reply_text.as_str()),
        (312, "NO_ROUTE")
    );
    let route = (returned.method.exchange.as_str(), returned.method.routing_key.as_str());
    assert_eq!(route, ("amq.direct", key.as_str()));
    assert_eq!((returned.properties.clone(), returned.text()), (properties, "back"));
}

#[test]
fn mandatory_message_with_a_queue_does_not_come_back() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish_with(basic::Publish { mandatory: true, ..publish("", &queue) }, &props(), "routed");
    assert_eq!(ch.got(&queue).text(), "routed");
}

#[test]
fn message_without_a_queue_is_dropped_silently() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish("", &unique("nowhere"), "dropped");
    ch.expect_silence(&queue);
}

#[test]
fn return_comes_before_the_confirm() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    ch.confirm_select();
    let nowhere = publish("", &unique("nowhere"));
    ch.publish_with(basic::Publish { mandatory: true, ..nowhere }, &props(), "back");
    assert_eq!(ch.returned().text(), "back");
    ch.confirmed(1, 1);
}

#[test]
fn immediate_is_not_implemented() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    ch.publish_with(basic::Publish { immediate: true, ..publish("", "q") }, &props(), "");
    ch.conn.expect_close(540, "NOT_IMPLEMENTED - immediate=true", (60, 40));
}

/// Publishes to a queue and expects the channel's end.
#[track_caller]
fn refused(properties: &BasicProperties, text: &str) {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish_with(publish("", &queue), properties, "body");
    ch.expect_close(406, text, (60, 40));
}

#[test]
fn user_id_of_another_user_is_refused() {
    let text =
        "PRECONDITION_FAILED - user_id property set to 'bob' but authenticated user was 'guest'";
    refused(&props().with_user_id("bob".into()), text);
}

#[test]
fn expiration_must_be_a_number() {
    for (value, why) in [("abc", "no_integer"), ("", "no_integer"), ("-5", "{value_negative,-5}")] {
        let text = format!("PRECONDITION_FAILED - invalid expiration '{value}': {why}");
        refused(&props().with_expiration(value.into()), &text);
    }
}

#[test]
fn expiration_with_something_after_the_number_is_refused() {
    refused(
        &props().with_expiration("12x".into()),
        "PRECONDITION_FAILED - invalid expiration '12x': {leftover_string,\"x\"}",
    );
}

#[test]
fn expiration_beyond_ten_years_is_refused() {
    refused(
        &props().with_expiration("315360000001".into()),
        "PRECONDITION_FAILED - invalid expiration '315360000001': {value_too_large,315360000001}",
    );
}

#[test]
fn cc_and_bcc_route_too_and_bcc_is_taken_out() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queues = [ch.temp_queue(), ch.temp_queue(), ch.temp_queue()];
    let properties = headers([
        ("CC", list([text(&queues[1])])),
        ("BCC", list([text(&queues[2])])),
        ("other", int(1)),
    ]);
    ch.publish_with(publish("", &queues[0]), &properties, "copies");
    let seen = headers([("CC", list([text(&queues[1])])), ("other", int(1))]);
    for queue in &queues {
        let message = ch.got(queue);
        assert_eq!(message.properties, seen);
        assert_eq!(message.method.routing_key.as_str(), queues[0]);
    }
}

#[test]
fn queue_named_twice_gets_one_copy() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    let properties =
        headers([("CC", list([text(&queue), text(&queue)])), ("BCC", list([text(&queue)]))]);
    ch.publish_with(publish("", &queue), &properties, "once");
    assert_eq!(ch.drain(&queue), ["once"]);
}

#[test]
fn cc_must_be_an_array() {
    refused(
        &headers([("CC", text("key"))]),
        "PRECONDITION_FAILED - invalid message: {unacceptable_type_in_header,\"CC\",longstr}",
    );
    refused(
        &headers([("BCC", int(1))]),
        "PRECONDITION_FAILED - invalid message: {unacceptable_type_in_header,\"BCC\",signedint}",
    );
}

#[test]
fn cc_of_other_than_strings_is_ignored() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (queue, other) = (ch.temp_queue(), ch.temp_queue());
    let properties = headers([("CC", list([int(5), text(&other)]))]);
    ch.publish_with(publish("", &queue), &properties, "copies");
    assert_eq!((ch.drain(&queue).len(), ch.drain(&other).len()), (1, 1));
}

#[test]
fn cc_of_too_many_keys_is_refused() {
    lepus_only!("RabbitMQ takes as many as there is room for");
    let keys = |count: usize| list((0..count).map(|_| text("")));
    let mut conn = shared().connect();
    let mut ch = conn.channel_confirming(1);
    ch.publish_with(publish("", ""), &headers([("CC", keys(1000)), ("BCC", keys(24))]), "most");
    ch.confirmed(1, 1);
    refused(
        &headers([("CC", keys(1000)), ("BCC", keys(25))]),
        "PRECONDITION_FAILED - 1025 routing keys in CC and BCC, of at most 1024",
    );
}

#[test]
fn order_of_one_channel_is_kept_through_a_queue() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    for number in 0..500 {
        ch.publish("", &queue, number.to_string());
    }
    let expected: Vec<String> = (0..500).map(|number| number.to_string()).collect();
    assert_eq!(ch.drain(&queue), expected);
}

#[test]
fn body_of_all_byte_values_arrives() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    let body: Vec<u8> = (0..=255).collect();
    ch.publish("", &queue, &body);
    assert_eq!(ch.got(&queue).body, body);
}

#[test]
fn body_of_several_megabytes_arrives() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    let body: Vec<u8> = (0..5_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24).to_be_bytes()[3])
        .collect();
    ch.publish("", &queue, &body);
    assert!(ch.got(&queue).body == body);
}
