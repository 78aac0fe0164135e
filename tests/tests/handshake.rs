//! The handshake: protocol header, SASL, tuning, opening a vhost.

use lepus_tests::*;

const REFUSED: &str = "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. \
                       For details see the broker logfile.";

fn header_is_refused(bytes: &[u8]) {
    let mut conn = shared().dial();
    conn.send_raw(bytes);
    assert_eq!(conn.expect_raw(8), b"AMQP\0\0\x09\x01");
    conn.expect_eof();
}

#[test]
fn header_of_amqp_0_8_is_answered_with_0_9_1() {
    lepus_only!("RabbitMQ still speaks 0-8");
    header_is_refused(b"AMQP\x01\x01\x08\x00");
}

#[test]
fn header_of_amqp_0_9_is_answered_with_0_9_1() {
    header_is_refused(b"AMQP\x00\x00\x09\x00");
}

#[test]
fn header_of_amqp_1_0_is_answered_with_0_9_1() {
    header_is_refused(b"AMQP\x00\x01\x00\x00");
}

#[test]
fn header_of_amqp_1_0_sasl_is_answered_with_0_9_1() {
    header_is_refused(b"AMQP\x03\x01\x00\x00");
}

#[test]
fn tls_client_hello_is_answered_with_the_header() {
    header_is_refused(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
}

#[test]
fn http_request_is_answered_with_the_header() {
    header_is_refused(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
}

#[test]
fn header_may_come_byte_by_byte() {
    let mut conn = shared().dial();
    for byte in b"AMQP\0\0\x09" {
        conn.send_raw(&[*byte]);
    }
    conn.send_raw(&[1]);
    let _: connection::Start = conn.expect(0);
}

#[test]
fn start_names_version_mechanisms_and_locale() {
    let start = shared().dial().start();
    assert_eq!((start.version_major, start.version_minor), (0, 9));
    assert_eq!(start.mechanisms.as_bytes(), b"AMQPLAIN PLAIN");
    assert_eq!(start.locales.as_bytes(), b"en_US");
}

#[test]
fn start_carries_the_capabilities_as_true() {
    let start = shared().dial().start();
    let capabilities = start.server_properties.inner().get("capabilities").unwrap();
    let names = [
        "publisher_confirms",
        "exchange_exchange_bindings",
        "basic.nack",
        "consumer_cancel_notify",
        "connection.blocked",
        "consumer_priorities",
        "authentication_failure_close",
        "per_consumer_qos",
        "direct_reply_to",
    ];
    assert_eq!(*capabilities, AMQPValue::FieldTable(table(names.map(|name| (name, flag(true))))));
}

#[test]
fn start_carries_the_identity_clients_look_for() {
    let start = shared().dial().start();
    let properties = start.server_properties.inner();
    assert_eq!(properties["product"], text("RabbitMQ"));
    for name in ["version", "platform", "cluster_name", "copyright", "information"] {
        assert!(matches!(properties[name], AMQPValue::LongString(_)), "{name}");
    }
}

#[test]
fn identity_is_rabbitmq_3_13_7_and_the_broker_is_lepus() {
    lepus_only!("its identity is its own");
    let start = shared().dial().start();
    let properties = start.server_properties.inner();
    assert_eq!(properties["version"], text("3.13.7"));
    assert_eq!(properties["broker"], text("Lepus"));
    assert!(matches!(properties["broker_version"], AMQPValue::LongString(_)));
}

#[test]
fn tune_offers_2047_channels_131072_bytes_and_60_seconds() {
    let mut conn = shared().dial();
    conn.start();
    let tune: connection::Tune = conn.call(0, Login::default().start_ok());
    assert_eq!((tune.channel_max, tune.frame_max, tune.heartbeat), (2047, 131_072, 60));
}

fn amqplain(fields: &[(&str, &str)]) -> Login {
    let mut response = Vec::new();
    for (name, value) in fields {
        response.push(u8::try_from(name.len()).unwrap());
        response.extend(name.as_bytes());
        response.push(b'S');
        response.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
        response.extend(value.as_bytes());
    }
    Login { mechanism: "AMQPLAIN", response, ..Login::default() }
}

#[test]
fn amqplain_logs_in() {
    shared().login(&amqplain(&[("LOGIN", "guest"), ("PASSWORD", "guest")])).close();
}

#[test]
fn amqplain_fields_come_in_any_order() {
    shared().login(&amqplain(&[("X", "y"), ("PASSWORD", "guest"), ("LOGIN", "guest")])).close();
}

#[test]
fn guest_may_log_in_from_loopback() {
    shared().connect().close();
}

fn started(login: &Login) -> Conn {
    let mut conn = shared().dial();
    conn.start();
    conn.send(0, login.start_ok());
    conn
}

fn plain(response: &[u8]) -> Login {
    Login { response: response.to_vec(), ..Login::default() }
}

#[test]
fn client_properties_may_be_empty() {
    let mut conn = shared().dial();
    conn.start();
    let start_ok = Login::default().start_ok();
    let start_ok = connection::StartOk { client_properties: FieldTable::default(), ..start_ok };
    let _: connection::Tune = conn.call(0, start_ok);
}

#[test]
fn wrong_password_is_told_to_clients_with_the_capability() {
    started(&plain(b"\0guest\0wrong")).expect_close(403, REFUSED, (0, 0));
}

#[test]
fn unknown_user_is_told_as_a_wrong_password() {
    started(&plain(b"\0nobody\0guest")).expect_close(403, REFUSED, (0, 0));
}

#[test]
fn empty_user_and_password_are_refused() {
    started(&plain(b"\0\0")).expect_close(403, REFUSED, (0, 0));
}

#[test]
fn wrong_password_in_amqplain_names_amqplain() {
    let login = amqplain(&[("LOGIN", "guest"), ("PASSWORD", "wrong")]);
    started(&login).expect_close(403, &REFUSED.replace("PLAIN", "AMQPLAIN"), (0, 0));
}

#[test]
fn wrong_password_without_the_capability_ends_the_socket() {
    let login = Login { capabilities: vec![], ..plain(b"\0guest\0wrong") };
    started(&login).expect_eof();
}

#[test]
fn malformed_plain_response_ends_the_socket() {
    for response in [&b"guest"[..], b"", b"\0guest", b"\0guest\0guest\0x"] {
        started(&plain(response)).expect_eof();
    }
}

#[test]
fn malformed_amqplain_response_ends_the_socket() {
    let login = Login { mechanism: "AMQPLAIN", ..plain(b"\x05zz") };
    started(&login).expect_eof();
    started(&amqplain(&[("LOGIN", "guest")])).expect_eof();
}

#[test]
fn unknown_mechanism_ends_the_socket() {
    started(&Login { mechanism: "FOO", ..Login::default() }).expect_eof();
}

#[test]
fn mechanism_is_case_sensitive() {
    started(&Login { mechanism: "plain", ..Login::default() }).expect_eof();
}

#[test]
fn any_locale_is_accepted() {
    let mut conn = shared().dial();
    conn.start();
    let start_ok = connection::StartOk { locale: "xx_YY".into(), ..Login::default().start_ok() };
    let _: connection::Tune = conn.call(0, start_ok);
}

/// RabbitMQ only ends the socket; saying why is allowed.
fn tuning_is_refused(login: &Login, why: &str) {
    let mut conn = started(login);
    let _: connection::Tune = conn.expect(0);
    conn.send(0, login.tune_ok());
    let Some(close) = conn.close_or_eof() else { return };
    let text = format!("NOT_ALLOWED - failed to negotiate connection parameters: {why}");
    assert_eq!((close.reply_code, close.reply_text.as_str()), (530, text.as_str()));
    conn.finish_close();
}

#[test]
fn tune_ok_with_a_larger_frame_max_is_refused() {
    let login = Login { frame_max: 131_073, ..Login::default() };
    tuning_is_refused(
        &login,
        "negotiated frame_max = 131073 is higher than the maximum allowed value (131072)",
    );
}

#[test]
fn tune_ok_without_a_frame_max_is_refused() {
    let login = Login { frame_max: 0, ..Login::default() };
    tuning_is_refused(
        &login,
        "negotiated frame_max = 0 is higher than the maximum allowed value (131072)",
    );
}

#[test]
fn tune_ok_with_a_frame_max_below_4096_is_refused() {
    let login = Login { frame_max: 4095, ..Login::default() };
    tuning_is_refused(
        &login,
        "negotiated frame_max = 4095 is lower than the minimum allowed value (4096)",
    );
}

#[test]
fn tune_ok_with_a_larger_channel_max_is_refused() {
    let login = Login { channel_max: 2048, ..Login::default() };
    tuning_is_refused(
        &login,
        "negotiated channel_max = 2048 is higher than the maximum allowed value (2047)",
    );
}

#[test]
fn tune_ok_without_a_channel_max_is_refused() {
    let login = Login { channel_max: 0, ..Login::default() };
    tuning_is_refused(
        &login,
        "negotiated channel_max = 0 (no limit) is higher than the maximum allowed value (2047)",
    );
}

#[test]
fn tune_ok_may_ask_for_less() {
    let login = Login { channel_max: 1, frame_max: 4096, heartbeat: 65_535, ..Login::default() };
    shared().login(&login).close();
}

#[test]
fn heartbeats_before_the_login_are_ignored() {
    let mut conn = shared().dial();
    conn.start();
    conn.heartbeat();
    let _: connection::Tune = conn.call(0, Login::default().start_ok());
    conn.heartbeat();
    conn.send(0, Login::default().tune_ok());
    let _: connection::OpenOk = conn.call(0, connection::Open { virtual_host: "/".into() });
}

fn tuned() -> Conn {
    let mut conn = started(&Login::default());
    let _: connection::Tune = conn.expect(0);
    conn.send(0, Login::default().tune_ok());
    conn
}

#[test]
fn unknown_vhost_is_not_allowed() {
    let mut conn = tuned();
    conn.send(0, connection::Open { virtual_host: "nope".into() });
    conn.expect_close(530, "NOT_ALLOWED - vhost nope not found", (10, 40));
}

#[test]
fn empty_vhost_is_not_the_default_one() {
    let mut conn = tuned();
    conn.send(0, connection::Open { virtual_host: "".into() });
    conn.expect_close(530, "NOT_ALLOWED - vhost  not found", (10, 40));
}

#[test]
fn a_vhost_that_is_not_utf_8_is_a_frame_error() {
    let mut conn = tuned();
    // connection.open with the virtual host "/\xc3", as a whole frame.
    conn.send_raw(b"\x01\0\0\0\0\0\x09\0\x0a\0\x28\x02/\xc3\0\0\xce");
    conn.expect_close(501, "FRAME_ERROR - Malformed UTF-8 in shortstr", (10, 40));
}

#[test]
fn channel_open_before_connection_open_is_unexpected() {
    let mut conn = tuned();
    conn.send(1, channel::Open {});
    conn.expect_close(505, "UNEXPECTED_FRAME - type 1, all octets = <<0,20,0,10,0>>", (0, 0));
}

#[test]
fn close_before_connection_open_is_an_error() {
    let mut conn = tuned();
    let close =
        connection::Close { reply_code: 200, reply_text: "".into(), class_id: 0, method_id: 0 };
    conn.send(0, close);
    conn.expect_close(
        504,
        "CHANNEL_ERROR - unexpected method in connection state opening",
        (10, 50),
    );
}

#[test]
fn methods_out_of_order_in_the_handshake_end_the_socket() {
    let open: Vec<u8> = connection::Open { virtual_host: "/".into() }.bytes(0);
    let tune_ok = Login::default().tune_ok().bytes(0);
    for bytes in [open, tune_ok, channel::Open {}.bytes(1), frame(HEADER, 0, b"x")] {
        let mut conn = shared().dial();
        conn.start();
        conn.send_raw(&bytes);
        conn.expect_eof();
    }
}

#[test]
fn frame_over_4096_bytes_before_tuning_ends_the_socket() {
    let mut conn = shared().dial();
    conn.start();
    conn.send_raw(&frame(METHOD, 0, &[0; 4097]));
    conn.expect_eof();
}

#[test]
fn methods_of_the_handshake_are_errors_afterwards() {
    let text = "CHANNEL_ERROR - unexpected method in connection state running";
    let login = Login::default();
    shared().connect().ch(0).fatal(login.start_ok(), 504, text);
    shared().connect().ch(0).fatal(login.tune_ok(), 504, text);
    shared().connect().ch(0).fatal(connection::Open { virtual_host: "/".into() }, 504, text);
    shared().connect().ch(0).fatal(connection::CloseOk {}, 504, text);
    shared().connect().ch(0).fatal(connection::Blocked { reason: "x".into() }, 504, text);
}

#[test]
fn close_is_answered() {
    shared().connect().close();
}

#[test]
fn update_secret_is_answered() {
    let mut conn = shared().connect();
    let update = connection::UpdateSecret { new_secret: "guest".into(), reason: "rotation".into() };
    let _: connection::UpdateSecretOk = conn.call(0, update);
    conn.channel(1);
}

#[test]
fn protocol_header_may_come_in_parts() {
    let mut conn = shared().dial();
    for part in [&b"AM"[..], b"QP", b"\0", b"\0\x09\x01"] {
        conn.send_raw(part);
        assert!(
            part.ends_with(b"\x01") || !conn.hears_within(std::time::Duration::from_millis(20))
        );
    }
    let _: connection::Start = conn.expect(0);
}
