"""What the container promises: its data stays, and guest is at home on its machine only."""

import socket
from urllib.parse import urlsplit

import pika
import pytest

from interop import broker_url

QUEUE = "container.kept"


def connect(host=None):
    parameters = pika.URLParameters(broker_url())
    parameters.host = host or parameters.host
    return pika.BlockingConnection(parameters)


def own_address():
    """This machine's address as others see it. No packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but its own loopback")
        return probe.getsockname()[0]


def test_before_the_container_goes():
    with connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare(QUEUE, durable=True)
        channel.basic_publish("", QUEUE, b"kept", pika.BasicProperties(delivery_mode=2))


def test_after_another_came():
    with connect() as connection:
        _, _, body = connection.channel().basic_get(QUEUE, auto_ack=True)
        assert body == b"kept"


def test_guest_is_refused_from_elsewhere():
    connect().close()
    with pytest.raises(pika.exceptions.ProbableAuthenticationError):
        connect(own_address())


def test_guest_is_welcome_if_it_is_said():
    assert urlsplit(broker_url()).username == "guest"
    connect(own_address()).close()
