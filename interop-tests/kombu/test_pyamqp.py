"""py-amqp, the wire library under kombu and Celery."""

import datetime
import decimal

import amqp
import pytest

from conftest import Inbox, amqp_connect, fence, fill, pump, ready
from interop import large_body, unique, wait_until, whole_second_utc


def get_one(channel, queue):
    return wait_until(lambda: channel.basic_get(queue, no_ack=True), f"a message in {queue}")


@pytest.mark.parametrize("login_method", ["PLAIN", "AMQPLAIN"])
def test_login(login_method):
    connection = amqp_connect(login_method=login_method)
    assert connection.server_properties["product"] == "RabbitMQ"
    assert connection.server_properties["capabilities"]["consumer_cancel_notify"] is True
    connection.close()


def test_publish_consume_ack(channel, queue):
    bodies = fill(channel, queue, 20)
    inbox = Inbox(channel, queue)
    for message in inbox.wait(20):
        assert message.delivery_info["consumer_tag"] == inbox.tag
        channel.basic_ack(message.delivery_tag)
    assert inbox.bodies == bodies
    channel.basic_cancel(inbox.tag)
    assert ready(channel, queue) == 0


def test_get_and_get_empty(channel, queue):
    assert channel.basic_get(queue) is None
    fill(channel, queue, 2)
    message = get_one(channel, queue)
    assert (message.body, message.delivery_info["message_count"]) == ("m0", 1)


def test_confirms(raw, queue):
    channel = raw.channel()
    for index in range(50):
        channel.basic_publish_confirm(amqp.Message(str(index)), routing_key=queue)
    assert ready(channel, queue) == 50


def test_mandatory_return(channel):
    returned = []
    channel.events["basic_return"].add(lambda *parts: returned.append(parts))
    key = unique("nobody")
    channel.basic_publish(amqp.Message("back"), routing_key=key, mandatory=True)
    wait_until(lambda: returned, "basic.return", pump=lambda: pump(channel.connection))
    error, exchange, routing_key, message = returned[0]
    assert (error.reply_code, error.reply_text) == (312, "NO_ROUTE")
    assert (exchange, routing_key, message.body) == ("", key, "back")


def test_immediate_is_not_implemented():
    connection = amqp_connect()
    channel = connection.channel()
    channel.basic_publish(amqp.Message("x"), routing_key="x", immediate=True)
    with pytest.raises(amqp.exceptions.AMQPNotImplementedError) as caught:
        wait_until(lambda: False, "connection.close", pump=lambda: connection.drain_events(timeout=5))
    assert caught.value.code == 540


def test_transaction(raw, channel, queue):
    writer = raw.channel()
    writer.tx_select()
    writer.basic_publish(amqp.Message("rolled back"), routing_key=queue)
    writer.tx_rollback()
    writer.basic_publish(amqp.Message("committed"), routing_key=queue)
    assert ready(channel, queue) == 0
    writer.tx_commit()
    assert get_one(channel, queue).body == "committed"
    assert channel.basic_get(queue) is None


def test_direct_reply_to(raw, channel, queue):
    server = raw.channel()
    requests = Inbox(server, queue, no_ack=True)
    replies = Inbox(channel, "amq.rabbitmq.reply-to", no_ack=True)
    channel.basic_publish(
        amqp.Message("6*7", reply_to="amq.rabbitmq.reply-to", correlation_id="c1"), routing_key=queue
    )
    asked = requests.wait(1)[0]
    server.basic_publish(
        amqp.Message("42", correlation_id=asked.properties["correlation_id"]),
        routing_key=asked.properties["reply_to"],
    )
    answer = replies.wait(1)[0]
    assert (answer.body, answer.properties["correlation_id"]) == ("42", "c1")


def test_prefetch_per_consumer(channel, queue):
    fill(channel, queue, 10)
    channel.basic_qos(0, 2, False)
    inbox = Inbox(channel, queue)
    inbox.wait(2)
    fence(channel, queue)
    assert len(inbox) == 2
    channel.basic_ack(inbox.messages[1].delivery_tag, multiple=True)
    inbox.wait(4)
    fence(channel, queue)
    assert len(inbox) == 4


def test_prefetch_of_the_channel_grows_live(channel, queue):
    fill(channel, queue, 10)
    channel.basic_qos(0, 2, True)
    inbox = Inbox(channel, queue)
    inbox.wait(2)
    fence(channel, queue)
    assert len(inbox) == 2
    channel.basic_qos(0, 6, True)
    inbox.wait(6)
    fence(channel, queue)
    assert len(inbox) == 6


def test_reject_requeues_redelivered(channel, queue):
    fill(channel, queue, 2)
    message = channel.basic_get(queue)
    assert message.delivery_info["redelivered"] is False
    channel.basic_reject(message.delivery_tag, requeue=True)
    wait_until(lambda: ready(channel, queue) == 2, "the requeued message")
    again = channel.basic_get(queue)
    assert (again.body, again.delivery_info["redelivered"]) == ("m0", True)
    channel.basic_reject(again.delivery_tag, requeue=False)
    assert channel.basic_get(queue).body == "m1"


def test_recover(channel, queue):
    fill(channel, queue, 2)
    inbox = Inbox(channel, queue)
    inbox.wait(2)
    channel.basic_recover(requeue=True)
    inbox.wait(4)
    assert inbox.bodies == ["m0", "m1", "m0", "m1"]
    assert inbox.messages[2].delivery_info["redelivered"] is True


def test_cancel(channel, queue):
    inbox = Inbox(channel, queue)
    channel.basic_cancel(inbox.tag)
    fill(channel, queue, 1)
    fence(channel, queue)
    assert len(inbox) == 0


def test_cancel_notify(raw, channel, queue):
    cancelled = []
    tag = channel.basic_consume(queue, callback=lambda _: None, on_cancel=cancelled.append)
    raw.channel().queue_delete(queue)
    wait_until(lambda: cancelled, "basic.cancel from the broker", pump=lambda: pump(raw))
    assert cancelled == [tag]


def test_passive_declares(channel, queue):
    fill(channel, queue, 3)
    declared = channel.queue_declare(queue, passive=True)
    assert (declared.queue, declared.message_count, declared.consumer_count) == (queue, 3, 0)
    channel.exchange_declare("amq.topic", "topic", passive=True)


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (amqp.NotFound, lambda ch, queue: ch.queue_declare(unique("missing"), passive=True)),
        (amqp.NotFound, lambda ch, queue: ch.exchange_declare(unique("missing"), "direct", passive=True)),
        (amqp.NotFound, lambda ch, queue: ch.queue_bind(queue, unique("missing"))),
        (amqp.PreconditionFailed, lambda ch, queue: ch.queue_declare(queue, exclusive=True, auto_delete=True)),
        (amqp.PreconditionFailed, lambda ch, queue: (ch.basic_ack(9), ch.queue_declare(queue, passive=True))),
        (amqp.AccessRefused, lambda ch, queue: ch.queue_declare("amq.mine")),
    ],
)
def test_channel_errors_leave_the_connection(raw, queue, error, action):
    broken = raw.channel()
    with pytest.raises(error):
        action(broken, queue)
    assert raw.connected
    again = raw.channel(broken.channel_id)
    fill(again, queue, 1)
    assert get_one(again, queue).body == "m0"


def test_locked_to_another_connection(queue):
    other = amqp_connect()
    with pytest.raises(amqp.ResourceLocked):
        other.channel().queue_declare(queue, passive=True)
    other.close()


def test_exchange_bindings_and_fanout(channel, queue):
    source, destination = unique("source"), unique("destination")
    channel.exchange_declare(source, "fanout", auto_delete=True)
    channel.exchange_declare(destination, "topic", auto_delete=False)
    channel.exchange_bind(destination, source)
    channel.queue_bind(queue, destination, "a.#")
    channel.basic_publish(amqp.Message("through two"), source, "a.b.c")
    assert get_one(channel, queue).body == "through two"
    channel.exchange_unbind(destination, source)
    channel.exchange_delete(destination)


def test_flow_is_answered(channel):
    channel.flow(True)


def test_large_message(channel, queue):
    body = large_body()
    inbox = Inbox(channel, queue)
    channel.basic_publish(amqp.Message(body), routing_key=queue)
    received = inbox.wait(1)[0]
    assert bytes(received.body) == body
    channel.basic_ack(received.delivery_tag)


def test_headers_of_all_types(channel, queue):
    headers = {
        "string": "räksmörgås",
        "true": True,
        "false": False,
        "int": 42,
        "negative": -7,
        "int64": 2**40,
        "negative int64": -(2**40),
        "double": 3.25,
        "decimal": decimal.Decimal("3.14"),
        "timestamp": whole_second_utc().replace(tzinfo=None),
        "void": None,
        "table": {"inner": {"deep": "er"}, "n": 1},
        "array": [1, "two", None, [3.5], {"four": 4}],
        "empty table": {},
        "empty array": [],
    }
    message = amqp.Message("x", application_headers=headers, delivery_mode=2, priority=3, message_id="m-1")
    channel.basic_publish(message, routing_key=queue)
    got = get_one(channel, queue)
    received = got.properties["application_headers"]
    if isinstance(received["timestamp"], datetime.datetime):
        received["timestamp"] = received["timestamp"].replace(tzinfo=None)
    assert received == headers
    assert (got.properties["delivery_mode"], got.properties["priority"], got.properties["message_id"]) == (2, 3, "m-1")


def test_heartbeats_are_answered():
    """The connection is idle for longer than two heartbeats: the silence itself is what is tested."""
    connection = amqp_connect(heartbeat=3)
    assert connection.heartbeat == 3
    received = connection.bytes_recv

    def tick():
        connection.heartbeat_tick()
        pump(connection)

    wait_until(lambda: connection.bytes_recv >= received + 3, "three heartbeats", pump=tick)
    assert connection.channel().queue_declare("", exclusive=True).queue
    connection.close()
