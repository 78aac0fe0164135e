"""py-amqp connections and kombu connections to the broker under test."""

import socket
from urllib.parse import urlsplit

import amqp
import kombu
import pytest

from interop import broker_url, unique, wait_until


def amqp_connect(**options):
    url = urlsplit(broker_url())
    connection = amqp.Connection(
        host=f"{url.hostname}:{url.port}", userid=url.username, password=url.password, **options
    )
    connection.connect()
    return connection


def pump(connection):
    """Read one frame if one comes soon."""
    try:
        connection.drain_events(timeout=0.02)
    except (socket.timeout, TimeoutError):
        pass


def ready(channel, queue):
    return channel.queue_declare(queue, passive=True).message_count


class Inbox:
    """A py-amqp consumer that keeps what it is handed, in order."""

    def __init__(self, channel, queue, **consume):
        self.channel = channel
        self.messages = []
        self.tag = channel.basic_consume(queue, callback=self.messages.append, **consume)

    def __len__(self):
        return len(self.messages)

    @property
    def bodies(self):
        return [message.body for message in self.messages]

    def wait(self, count):
        wait_until(
            lambda: len(self) >= count,
            f"{count} deliveries",
            pump=lambda: pump(self.channel.connection),
        )
        return self.messages[:count]


def fence(channel, queue):
    """After this, whatever the queue had already handed to this connection has been read."""
    for _ in range(2):
        ready(channel, queue)
    pump(channel.connection)


def fill(channel, queue, count):
    bodies = [f"m{index}" for index in range(count)]
    for body in bodies:
        channel.basic_publish(amqp.Message(body), routing_key=queue)
    wait_until(lambda: ready(channel, queue) == count, f"{count} messages ready")
    return bodies


def drain_until(connection, probe, what):
    """The same wait for a kombu connection."""

    def pump_kombu():
        try:
            connection.drain_events(timeout=0.02)
        except (socket.timeout, TimeoutError):
            pass

    return wait_until(probe, what, pump=pump_kombu)


@pytest.fixture
def raw():
    """A py-amqp connection."""
    connection = amqp_connect()
    yield connection
    if connection.connected:
        connection.close()


@pytest.fixture
def channel(raw):
    return raw.channel()


@pytest.fixture
def queue(channel):
    return channel.queue_declare(unique("amqp"), exclusive=True, auto_delete=False).queue


@pytest.fixture
def connection():
    """A kombu connection."""
    with kombu.Connection(broker_url()) as connection:
        yield connection
