"""A broker as tools see it from outside: its HTTP API, its metrics, and something going on in it."""

import os
import threading
from urllib.parse import urlsplit

import pika
import pytest

from interop import broker_url, unique


def address(variable):
    """`host:port` of one of the broker's services; the runner says where it is."""
    found = os.environ.get(variable)
    if not found:
        pytest.skip(f"{variable} is not set")
    return urlsplit(found).netloc


@pytest.fixture(scope="session")
def api():
    return address("LEPUS_HTTP_URL")


@pytest.fixture(scope="session")
def metrics():
    return address("LEPUS_METRICS_URL")


@pytest.fixture(scope="session")
def login():
    url = urlsplit(broker_url())
    return url.username, url.password


@pytest.fixture
def channel():
    with pika.BlockingConnection(pika.URLParameters(broker_url())) as connection:
        yield connection.channel()


@pytest.fixture
def queue(channel):
    """A queue with three messages."""
    name = unique("seen")
    channel.confirm_delivery()
    channel.queue_declare(name, durable=True)
    for number in range(3):
        channel.basic_publish("", name, f"m{number}".encode())
    yield name
    channel.queue_delete(name)


class Traffic(threading.Thread):
    """Messages of every kind that is counted, over and over."""

    def __init__(self):
        super().__init__(daemon=True)
        self.done = threading.Event()
        self.connection = pika.BlockingConnection(pika.URLParameters(broker_url()))

    def run(self):
        channel = self.connection.channel()
        channel.confirm_delivery()
        names = [channel.queue_declare(unique("traffic"), durable=True).method.queue for _ in range(4)]
        waiting, consumed, dead, empty = names
        arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
        source = channel.queue_declare(unique("source"), arguments=arguments).method.queue
        channel.basic_qos(prefetch_count=10)
        channel.basic_consume(consumed, lambda ch, method, *_: ch.basic_ack(method.delivery_tag))
        held = channel.queue_declare("", exclusive=True).method.queue
        channel.basic_consume(held, lambda *_: None)
        durable = pika.BasicProperties(delivery_mode=2)
        while not self.done.is_set():
            for name in [waiting, consumed, source, held]:
                channel.basic_publish("", name, b"x" * 200, durable)
            try:
                channel.basic_publish("", "nobody", b"", mandatory=True)
            except pika.exceptions.UnroutableError:
                pass
            with self.connection.channel() as other:
                other.basic_publish("amq.direct", "nobody", b"")
                method, _, _ = other.basic_get(source)
                other.basic_reject(method.delivery_tag, requeue=True)
                method, _, _ = other.basic_get(source)
                other.basic_reject(method.delivery_tag, requeue=False)
                other.basic_get(waiting, auto_ack=True)
                other.basic_get(empty)
                short = other.queue_declare("", exclusive=True).method.queue
                other.queue_delete(short)
            self.connection.process_data_events(0.05)
        for name in [*names, source]:
            channel.queue_delete(name)
        self.connection.close()

    def stop(self):
        self.done.set()
        self.join(30)


@pytest.fixture(scope="session")
def traffic():
    going_on = Traffic()
    going_on.start()
    yield going_on
    going_on.stop()
