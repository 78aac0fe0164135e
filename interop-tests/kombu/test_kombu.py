"""kombu: what Celery, oslo.messaging and nameko use."""

import queue as stdlib_queue

import kombu
import pytest
from kombu.common import QoS, eventloop
from kombu.pools import producers

from conftest import drain_until
from interop import broker_url, large_body, unique, wait_until


def temporary(name=None, **options):
    """A queue that goes with its last consumer or its connection."""
    return kombu.Queue(name or unique("kombu"), exclusive=True, durable=False, **options)


def test_channel_wide_prefetch_is_chosen(connection):
    """kombu decides from product and version whether a live worker may raise its prefetch."""
    assert connection.transport.qos_semantics_matches_spec(connection.connection) is False


def test_producer_consumer_json(connection):
    exchange = kombu.Exchange(unique("kombu"), "topic", durable=False, auto_delete=True)
    queue = temporary(exchange=exchange, routing_key="jobs.#")
    received = []
    with connection.Consumer(queue, callbacks=[lambda body, message: (received.append(body), message.ack())]):
        producer = connection.Producer(exchange=exchange, serializer="json")
        for number in range(10):
            producer.publish({"n": number}, routing_key=f"jobs.{number}", declare=[queue])
        drain_until(connection, lambda: len(received) == 10, "ten messages")
    assert received == [{"n": number} for number in range(10)]


def test_simple_queue(connection):
    simple = connection.SimpleQueue(unique("simple"), queue_opts={"durable": False, "exclusive": True})
    for number in range(3):
        simple.put({"n": number})
    wait_until(lambda: simple.qsize() == 3, "three messages")
    message = simple.get(block=True, timeout=5)
    assert message.payload == {"n": 0}
    message.requeue()
    rest = [simple.get(block=True, timeout=5) for _ in range(3)]
    assert sorted((each.payload["n"], bool(each.delivery_info["redelivered"])) for each in rest) == [
        (0, True),
        (1, False),
        (2, False),
    ]
    for each in rest:
        each.ack()
    with pytest.raises(stdlib_queue.Empty):
        simple.get(block=False)
    assert simple.clear() == 0
    simple.close()


def test_confirmed_publishing():
    with kombu.Connection(broker_url(), transport_options={"confirm_publish": True}) as connection:
        queue = temporary()(connection.default_channel)
        queue.declare()
        producer = connection.Producer()
        for number in range(50):
            producer.publish(number, routing_key=queue.name)
        assert queue.queue_declare(passive=True).message_count == 50


def test_mandatory_return(connection):
    returned = []
    producer = connection.Producer(on_return=lambda *parts: returned.append(parts))
    producer.publish("nobody", routing_key=unique("nobody"), mandatory=True)
    drain_until(connection, lambda: returned, "basic.return")
    error = returned[0][0]
    assert error.reply_code == 312


def test_prefetch_grows_as_an_eta_worker_grows_it(connection):
    """kombu's QoS is what Celery's worker uses while it holds ETA tasks unacked."""
    channel = connection.channel()
    queue = temporary()(channel)
    queue.declare()
    producer = connection.Producer(channel)
    for number in range(10):
        producer.publish(number, routing_key=queue.name)
    held = []
    consumer = connection.Consumer(queue, callbacks=[lambda _, message: held.append(message)], channel=channel)
    qos = QoS(lambda prefetch_count: consumer.qos(prefetch_count=prefetch_count, apply_global=True), 2)
    qos.update()
    with consumer:
        for expected in range(2, 8):
            drain_until(connection, lambda: len(held) == expected, f"{expected} held unacked")
            qos.increment_eventually()
            qos.update()
        drain_until(connection, lambda: len(held) == 8, "eight held unacked")
    assert [message.payload for message in held] == list(range(8))


def test_direct_reply_to(connection):
    server_queue = temporary()
    with kombu.Connection(broker_url()) as caller:

        def answer(body, message):
            connection.Producer().publish(
                body["x"] * 2,
                exchange="",
                routing_key=message.properties["reply_to"],
                correlation_id=message.properties["correlation_id"],
            )
            message.ack()

        with connection.Consumer(server_queue, callbacks=[answer]):
            channel = caller.channel()
            answers = []
            reply_to = kombu.Queue("amq.rabbitmq.reply-to", channel=channel, no_declare=True, no_ack=True)
            with caller.Consumer(
                reply_to, callbacks=[lambda body, _: answers.append(body)], no_ack=True, auto_declare=False, channel=channel
            ):
                caller.Producer(channel).publish(
                    {"x": 21}, routing_key=server_queue.name, reply_to="amq.rabbitmq.reply-to", correlation_id="c"
                )
                wait_until(lambda: answers, "the answer", pump=lambda: (turn(connection), turn(caller)))
    assert answers == [42]


def turn(connection):
    for _ in eventloop(connection, limit=1, timeout=0.02, ignore_timeouts=True):
        pass


def test_broadcast(connection):
    """As pidbox does it: a transient fanout exchange and one auto-delete queue for each worker."""
    exchange = kombu.Exchange(unique("pidbox"), "fanout", durable=False, auto_delete=True)
    arguments = {"x-expires": 10000, "x-message-ttl": 300000}
    queues = [
        kombu.Queue(unique("worker"), exchange, durable=False, auto_delete=True, queue_arguments=arguments)
        for _ in range(3)
    ]
    received = []
    with connection.Consumer(queues, callbacks=[lambda body, message: received.append(body)], no_ack=True):
        connection.Producer(exchange=exchange).publish({"method": "ping"})
        drain_until(connection, lambda: len(received) == 3, "one copy for each")


def test_missing_queue_then_reuse(connection):
    channel = connection.channel()
    with pytest.raises(connection.channel_errors):
        kombu.Queue(unique("missing"), channel=channel).queue_declare(passive=True)
    assert connection.connected
    queue = temporary()(connection.channel())
    queue.declare()
    assert queue.purge() == 0
    queue.delete()


def test_cancel_stops_deliveries(connection):
    queue = kombu.Queue(unique("kombu"), durable=False)(connection.default_channel)
    queue.declare()
    received = []
    consumer = connection.Consumer(queue, callbacks=[lambda body, message: received.append(body)])
    consumer.consume()
    consumer.cancel()
    connection.Producer().publish("later", routing_key=queue.name)
    wait_until(lambda: queue.queue_declare(passive=True).message_count == 1, "the message left alone")
    assert received == []
    queue.delete()


def test_large_and_compressed(connection):
    queue = temporary()(connection.default_channel)
    queue.declare()
    body = large_body()
    producer = connection.Producer(serializer="pickle")
    producer.publish(body, routing_key=queue.name, content_type="application/data", content_encoding="binary")
    message = wait_until(queue.get, "the large message")
    assert bytes(message.body) == body
    producer.publish({"k": "v" * 10_000}, routing_key=queue.name, serializer="json", compression="zlib")
    assert wait_until(queue.get, "the compressed message").payload == {"k": "v" * 10_000}


def test_producer_pool_and_reconnect(connection):
    queue = temporary()(connection.default_channel)
    queue.declare()
    with producers[kombu.Connection(broker_url())].acquire(block=True) as producer:
        producer.publish("one", routing_key=queue.name, retry=True)
        producer.connection.collect()
        producer.revive(producer.connection.ensure_connection(max_retries=3).default_channel)
        producer.publish("two", routing_key=queue.name, retry=True)
    wait_until(lambda: queue.queue_declare(passive=True).message_count == 2, "both messages")
