"""Declarations, and errors that end a channel or a connection: codes, texts, and what lives on."""

import pika
import pytest

from conftest import Inbox, connect, fill, parameters, ready
from interop import unique


def refused(connection, code, action):
    """`action` on a new channel closes it with `code`; the connection lives on and is used again."""
    channel = connection.channel()
    with pytest.raises(pika.exceptions.ChannelClosedByBroker) as caught:
        action(channel)
        channel.queue_declare("amq.rabbitmq.reply-to", passive=True)
    assert caught.value.reply_code == code
    assert connection.is_open
    again = connection.channel()
    name = again.queue_declare("", exclusive=True).method.queue
    again.basic_publish("", name, b"still here")
    again.close()
    return caught.value.reply_text


def connection_refused(code, action):
    connection = connect()
    channel = connection.channel()
    with pytest.raises(pika.exceptions.ConnectionClosedByBroker) as caught:
        action(channel)
        channel.queue_declare("amq.rabbitmq.reply-to", passive=True)
    assert caught.value.reply_code == code
    assert connection.is_closed
    return caught.value.reply_text


def test_server_named_queue(channel):
    first = channel.queue_declare("", exclusive=True).method.queue
    second = channel.queue_declare("", exclusive=True).method.queue
    assert first.startswith("amq.gen-") and first != second


def test_declare_reports_counts(channel, queue):
    fill(channel, queue, 3)
    Inbox(channel, queue)
    declared = channel.queue_declare(queue, exclusive=True).method
    assert (declared.message_count, declared.consumer_count) == (0, 1)


def test_purge_and_delete_report_counts(channel):
    name = unique("pika")
    channel.queue_declare(name)
    fill(channel, name, 3)
    assert channel.queue_purge(name).method.message_count == 3
    fill(channel, name, 2)
    assert channel.queue_delete(name).method.message_count == 2
    assert channel.queue_delete(name).method.message_count == 0


def test_passive_declares(channel, queue):
    assert channel.queue_declare(queue, passive=True).method.queue == queue
    channel.exchange_declare("amq.topic", passive=True)
    channel.queue_declare("amq.rabbitmq.reply-to", passive=True)


def test_passive_declare_of_a_missing_queue(connection):
    name = unique("missing")
    text = refused(connection, 404, lambda ch: ch.queue_declare(name, passive=True))
    assert text == f"NOT_FOUND - no queue '{name}' in vhost '/'"


def test_passive_declare_of_a_missing_exchange(connection):
    name = unique("missing")
    text = refused(connection, 404, lambda ch: ch.exchange_declare(name, passive=True))
    assert text == f"NOT_FOUND - no exchange '{name}' in vhost '/'"


def test_publish_to_a_missing_exchange(connection):
    name = unique("missing")
    text = refused(connection, 404, lambda ch: ch.basic_publish(name, "k", b"x"))
    assert text == f"NOT_FOUND - no exchange '{name}' in vhost '/'"


def test_consume_from_a_missing_queue(connection):
    refused(connection, 404, lambda ch: ch.basic_consume(unique("missing"), lambda *_: None))


def test_unknown_delivery_tag(connection):
    text = refused(connection, 406, lambda ch: ch.basic_ack(99))
    assert text == "PRECONDITION_FAILED - unknown delivery tag 99"


def test_double_ack(connection, channel, queue):
    channel.basic_publish("", queue, b"x")

    def twice(ch):
        Inbox(ch, queue).wait(1)
        ch.basic_ack(1)
        ch.basic_ack(1)

    assert refused(connection, 406, twice) == "PRECONDITION_FAILED - unknown delivery tag 1"


def test_inequivalent_declare(connection, shared_queue):
    text = refused(connection, 406, lambda ch: ch.queue_declare(shared_queue, durable=True))
    assert text == (
        f"PRECONDITION_FAILED - inequivalent arg 'durable' for queue '{shared_queue}' in vhost '/':"
        " received 'true' but current is 'false'"
    )


def test_inequivalent_exchange(connection):
    refused(connection, 406, lambda ch: ch.exchange_declare("amq.direct", "fanout", durable=True))


def test_locked_to_another_connection(queue, other_connection):
    text = refused(other_connection, 405, lambda ch: ch.queue_declare(queue, passive=True))
    assert text.startswith(f"RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{queue}' in vhost '/'.")


def test_exclusive_consumer(connection, channel, queue):
    Inbox(channel, queue, exclusive=True)
    text = refused(connection, 403, lambda ch: ch.basic_consume(queue, lambda *_: None))
    assert text == f"ACCESS_REFUSED - queue '{queue}' in vhost '/' in exclusive use"


def test_reserved_names(connection):
    refused(connection, 403, lambda ch: ch.queue_declare("amq.mine"))
    refused(connection, 403, lambda ch: ch.exchange_declare("amq.mine"))
    refused(connection, 403, lambda ch: ch.exchange_delete("amq.direct"))


def test_delete_if_unused_and_if_empty(connection, channel, queue):
    Inbox(channel, queue)
    refused(connection, 406, lambda ch: ch.queue_delete(queue, if_unused=True))
    full = channel.queue_declare("", exclusive=True).method.queue
    fill(channel, full, 1)
    refused(connection, 406, lambda ch: ch.queue_delete(full, if_empty=True))
    assert ready(channel, full) == 1


def test_messages_of_a_channel_that_failed_come_back(connection, channel, queue):
    channel.basic_publish("", queue, b"safe")

    def take_then_fail(ch):
        Inbox(ch, queue).wait(1)
        ch.basic_ack(99)

    refused(connection, 406, take_then_fail)
    inbox = Inbox(channel, queue)
    method, _, body = inbox.wait(1)[0]
    assert (body, method.redelivered) == (b"safe", True)


def test_consumer_tag_used_twice(queue):
    def twice(channel):
        name = channel.queue_declare("", exclusive=True).method.queue
        for _ in range(2):
            # pika itself refuses a tag it knows, so the second goes to the wire by hand.
            method = pika.spec.Basic.Consume(queue=name, consumer_tag="same")
            channel._impl._send_method(method)

    assert connection_refused(530, twice).startswith("NOT_ALLOWED - attempt to reuse consumer tag 'same'")


def test_unknown_exchange_type():
    text = connection_refused(503, lambda ch: ch.exchange_declare(unique("x"), "x-no-such-kind"))
    assert text == "COMMAND_INVALID - unknown exchange type 'x-no-such-kind'"


def test_wrong_password():
    parameters = connect_parameters("guest", "wrong")
    with pytest.raises(pika.exceptions.ProbableAuthenticationError) as caught:
        pika.BlockingConnection(parameters)
    assert "403" in str(caught.value) and "ACCESS_REFUSED" in str(caught.value)


def test_unknown_vhost():
    wanted = parameters()
    wanted.virtual_host = "/nowhere"
    with pytest.raises(pika.exceptions.AMQPConnectionError) as caught:
        pika.BlockingConnection(wanted)
    assert "530" in str(caught.value)
    assert "NOT_ALLOWED - vhost /nowhere not found" in str(caught.value)


def connect_parameters(user, password):
    wanted = parameters()
    wanted.credentials = pika.PlainCredentials(user, password)
    return wanted
