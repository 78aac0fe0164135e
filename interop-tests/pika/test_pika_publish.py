"""Publishing: routing, confirms, returns, transactions, properties and sizes."""

import datetime
import decimal

import pika
import pytest

from conftest import Inbox, fence, fill, parameters, ready
from interop import large_body, unique, wait_until, whole_second_utc


def get_one(channel, queue):
    def probe():
        found = channel.basic_get(queue, auto_ack=True)
        return found if found[0] else None

    return wait_until(probe, f"a message in {queue}")


def test_default_exchange_and_get(channel, queue):
    channel.basic_publish("", queue, b"hello")
    method, _, body = get_one(channel, queue)
    assert (method.exchange, method.routing_key, method.redelivered, method.message_count) == ("", queue, False, 0)
    assert body == b"hello"


def test_empty_body(channel, queue):
    channel.basic_publish("", queue, b"")
    assert get_one(channel, queue)[2] == b""


@pytest.mark.parametrize(
    ("kind", "binding", "hits", "misses"),
    [
        ("direct", "a", ["a"], ["b", ""]),
        ("fanout", "", ["a", "anything"], []),
        ("topic", "a.*.c.#", ["a.b.c", "a.b.c.d.e"], ["a.c", "a.b.d"]),
    ],
)
def test_exchange_kinds(channel, queue, kind, binding, hits, misses):
    exchange = unique(kind)
    channel.exchange_declare(exchange, kind, auto_delete=True)
    channel.queue_bind(queue, exchange, binding)
    channel.confirm_delivery()
    for key in misses + hits:
        channel.basic_publish(exchange, key, key.encode())
    assert ready(channel, queue) == len(hits)
    assert [get_one(channel, queue)[2].decode() for _ in hits] == hits


def test_headers_exchange(channel, queue):
    exchange = unique("headers")
    channel.exchange_declare(exchange, "headers", auto_delete=True)
    channel.queue_bind(queue, exchange, arguments={"x-match": "all", "format": "pdf", "pages": 3})
    channel.confirm_delivery()
    for body, headers in [
        (b"no", {"format": "pdf"}),
        (b"yes", {"format": "pdf", "pages": 3, "more": True}),
        (b"no", {"format": "pdf", "pages": 4}),
    ]:
        channel.basic_publish(exchange, "", body, pika.BasicProperties(headers=headers))
    assert ready(channel, queue) == 1
    assert get_one(channel, queue)[2] == b"yes"


def test_exchange_to_exchange(channel, queue):
    source, destination = unique("source"), unique("destination")
    channel.exchange_declare(source, "topic", auto_delete=True)
    channel.exchange_declare(destination, "fanout")
    try:
        channel.exchange_bind(destination, source, "order.#")
        channel.queue_bind(queue, destination)
        channel.basic_publish(source, "order.paid", b"through two")
        assert get_one(channel, queue)[2] == b"through two"
        channel.exchange_unbind(destination, source, "order.#")
    finally:
        channel.exchange_delete(destination)


def test_unbind(channel, queue):
    channel.queue_bind(queue, "amq.direct", queue)
    channel.queue_unbind(queue, "amq.direct", queue)
    channel.confirm_delivery()
    channel.basic_publish("amq.direct", queue, b"nowhere")
    assert ready(channel, queue) == 0


def test_confirms(channel, queue):
    channel.confirm_delivery()
    for index in range(100):
        channel.basic_publish("", queue, str(index).encode())
    assert ready(channel, queue) == 100


def test_unroutable_without_mandatory_is_confirmed(channel):
    channel.confirm_delivery()
    channel.basic_publish("", unique("nobody"), b"dropped")


def test_mandatory_is_returned_before_the_confirm(channel):
    channel.confirm_delivery()
    key = unique("nobody")
    with pytest.raises(pika.exceptions.UnroutableError) as caught:
        channel.basic_publish("", key, b"back", pika.BasicProperties(message_id="7"), mandatory=True)
    (returned,) = caught.value.messages
    assert (returned.method.reply_code, returned.method.reply_text) == (312, "NO_ROUTE")
    assert (returned.method.exchange, returned.method.routing_key) == ("", key)
    assert (returned.properties.message_id, returned.body) == ("7", b"back")


def test_mandatory_without_confirms(channel):
    returned = []
    channel.add_on_return_callback(lambda *parts: returned.append(parts))
    channel.basic_publish("", unique("nobody"), b"back", mandatory=True)
    wait_until(lambda: returned, "basic.return", pump=lambda: channel.connection.process_data_events(0.02))
    assert returned[0][3] == b"back"


def test_transaction_commit_and_rollback(channel, connection, queue):
    reader = connection.channel()
    channel.tx_select()
    channel.basic_publish("", queue, b"rolled back")
    assert ready(reader, queue) == 0
    channel.tx_rollback()
    channel.basic_publish("", queue, b"committed 1")
    channel.basic_publish("", queue, b"committed 2")
    assert ready(reader, queue) == 0
    channel.tx_commit()
    assert [get_one(reader, queue)[2] for _ in range(2)] == [b"committed 1", b"committed 2"]
    assert reader.basic_get(queue)[0] is None


def test_transaction_holds_acks(channel, connection, queue):
    fill(channel, queue, 2)
    channel.tx_select()
    first = channel.basic_get(queue)[0]
    channel.basic_ack(first.delivery_tag)
    channel.tx_rollback()
    channel.basic_ack(first.delivery_tag)
    channel.tx_commit()
    channel.close()
    reader = connection.channel()
    wait_until(lambda: ready(reader, queue) == 1, "one message left")
    assert get_one(reader, queue)[2] == b"m1"


def test_large_message(channel, queue):
    body = large_body()
    inbox = Inbox(channel, queue)
    channel.basic_publish("", queue, body)
    inbox.wait(1)
    assert inbox.bodies == [body]
    channel.basic_ack(inbox.last_tag)
    fence(channel, queue)


def test_headers_of_all_types(channel, queue):
    headers = {
        "long string": "räksmörgås",
        "bytes": b"\x00\xff",
        "true": True,
        "false": False,
        "int": 42,
        "negative": -7,
        "int64": 2**40,
        "negative int64": -(2**40),
        "decimal": decimal.Decimal("3.14"),
        "timestamp": whole_second_utc(),
        "void": None,
        "table": {"inner": {"deep": "er"}, "n": 1},
        "array": [1, "two", None, [3], {"four": 4}],
        "empty table": {},
        "empty array": [],
    }
    channel.basic_publish("", queue, b"x", pika.BasicProperties(headers=headers))
    got = get_one(channel, queue)[1].headers
    # pika reads timestamps back without their zone.
    got["timestamp"] = got["timestamp"].replace(tzinfo=datetime.timezone.utc)
    assert got == headers


def test_every_property(channel, queue):
    sent = pika.BasicProperties(
        content_type="application/json",
        content_encoding="utf-8",
        headers={"k": "v"},
        delivery_mode=2,
        priority=5,
        correlation_id="c-1",
        reply_to="r-1",
        expiration="600000",
        message_id="m-1",
        timestamp=1_700_000_000,
        type="t-1",
        user_id=parameters().credentials.username,
        app_id="a-1",
        cluster_id="cl-1",
    )
    channel.basic_publish("", queue, b"x", sent)
    assert get_one(channel, queue)[1] == sent
