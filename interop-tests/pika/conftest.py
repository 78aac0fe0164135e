"""Connections, channels and queues for pika's suite."""

import pika
import pytest

from interop import broker_url, tls_context, unique, wait_until


def parameters():
    found = pika.URLParameters(broker_url())
    if broker_url().startswith("amqps:"):
        found.ssl_options = pika.SSLOptions(tls_context(), found.host)
    return found


def connect():
    return pika.BlockingConnection(parameters())


class Inbox:
    """A consumer that keeps what it is handed, in order."""

    def __init__(self, channel, queue, **consume):
        self.channel = channel
        self.messages = []
        self.tag = channel.basic_consume(queue, self._keep, **consume)

    def _keep(self, _channel, method, properties, body):
        self.messages.append((method, properties, body))

    def __len__(self):
        return len(self.messages)

    @property
    def bodies(self):
        return [body for _, _, body in self.messages]

    @property
    def last_tag(self):
        return self.messages[-1][0].delivery_tag

    def wait(self, count):
        wait_until(
            lambda: len(self) >= count,
            f"{count} deliveries (have {len(self)})",
            pump=lambda: pump(self.channel.connection),
        )
        return self.messages[:count]


def pump(connection):
    connection.process_data_events(time_limit=0.02)


def ready(channel, queue):
    """Messages waiting in the queue, by passive declare."""
    return channel.queue_declare(queue, passive=True).method.message_count


def fence(channel, queue):
    """After this, whatever the queue had already handed to this connection has been read from its socket.

    Two round trips: the first passes through the queue, the second behind what the queue sent before it."""
    for _ in range(2):
        ready(channel, queue)
    pump(channel.connection)


def fill(channel, queue, count):
    bodies = [f"m{index}".encode() for index in range(count)]
    for body in bodies:
        channel.basic_publish("", queue, body)
    wait_until(lambda: ready(channel, queue) == count, f"{count} messages ready")
    return bodies


@pytest.fixture
def connection():
    connection = connect()
    yield connection
    if connection.is_open:
        connection.close()


@pytest.fixture
def other_connection():
    connection = connect()
    yield connection
    if connection.is_open:
        connection.close()


@pytest.fixture
def channel(connection):
    return connection.channel()


@pytest.fixture
def queue(channel):
    """A queue that ends with the test's connection."""
    return channel.queue_declare(unique("pika"), exclusive=True).method.queue


@pytest.fixture
def shared_queue(channel):
    """A queue that another connection may use too."""
    name = channel.queue_declare(unique("pika"), auto_delete=False).method.queue
    yield name
    connection = connect()
    connection.channel().queue_delete(name)
    connection.close()
