"""The queues by which other languages' frameworks delay and retry, declared and used as these frameworks do it."""

import time

import pika
import pytest

from conftest import connect
from interop import unique, wait_until

PERSISTENT = 2


@pytest.fixture
def made():
    """Names of queues and exchanges to delete afterwards."""
    queues, exchanges = [], []
    yield queues, exchanges
    connection = connect()
    channel = connection.channel()
    for queue in queues:
        channel.queue_delete(queue)
    for exchange in exchanges:
        channel.exchange_delete(exchange)
    connection.close()


def take(channel, queue, what="a message"):
    """basic.get until there is one, as PHP's workers poll."""

    def probe():
        method, properties, body = channel.basic_get(queue)
        return method and (method, properties, body)

    return wait_until(probe, f"{what} in {queue}")


def is_gone(channel, queue):
    """Whether nothing can be routed there: a declaration, a passive one too, would renew the queue's lease."""
    try:
        channel.basic_publish("", queue, b"probe", mandatory=True)
    except pika.exceptions.UnroutableError:
        return True
    return False


class Symfony:
    """Messenger's AMQP transport: an exchange for messages, one for delays, and a queue for each delay."""

    def __init__(self, channel, made):
        self.channel = channel
        self.exchange = unique("messages")
        self.delays = unique("delays")
        self.queues, exchanges = made
        exchanges += [self.exchange, self.delays]
        channel.confirm_delivery()
        channel.exchange_declare(self.exchange, "fanout", durable=True)
        channel.exchange_declare(self.delays, "direct", durable=True)

    def transport(self):
        """A queue on the fanout exchange: each gets every message."""
        queue = unique("symfony")
        self.queues.append(queue)
        self.channel.queue_declare(queue, durable=True)
        self.channel.queue_bind(queue, self.exchange, "")
        return queue

    def send_later(self, body, delay, key="", retry=False):
        name = f"delay_{self.exchange}_{key}_{delay}_{'retry' if retry else 'delay'}"
        self.queues.append(name)
        arguments = {
            "x-message-ttl": delay,
            "x-expires": delay + 10_000,
            "x-dead-letter-exchange": "" if retry else self.exchange,
            "x-dead-letter-routing-key": key,
        }
        # Declared before each message: that renews its lease.
        self.channel.queue_declare(name, durable=True, arguments=arguments)
        self.channel.queue_bind(name, self.delays, name)
        headers = {"type": "App\\Message\\Work"}
        properties = pika.BasicProperties(delivery_mode=PERSISTENT, timestamp=int(time.time()), headers=headers)
        self.channel.basic_publish(self.delays, name, body, properties, mandatory=True)
        return name


def test_symfony_delays_reach_every_transport(channel, made):
    symfony = Symfony(channel, made)
    transports = [symfony.transport(), symfony.transport()]
    sent = time.time()
    delayed = symfony.send_later(b"later", 400)
    assert symfony.send_later(b"later still", 400) == delayed
    for queue in transports:
        for body in [b"later", b"later still"]:
            method, properties, found = take(channel, queue)
            assert time.time() - sent >= 0.4
            assert (found, method.exchange, method.routing_key) == (body, symfony.exchange, "")
            death = properties.headers["x-death"][0]
            assert (death["queue"], death["reason"], death["count"]) == (delayed, "expired", 1)
            assert (death["exchange"], death["routing-keys"]) == (symfony.delays, [delayed])
            assert properties.headers["type"] == "App\\Message\\Work"
            channel.basic_ack(method.delivery_tag)


def test_symfony_retries_go_to_the_queue_that_failed_alone(channel, made):
    symfony = Symfony(channel, made)
    failing, other = symfony.transport(), symfony.transport()
    # The key of a retry is the queue itself, by the default exchange.
    symfony.send_later(b"again", 200, key=failing, retry=True)
    method, _, body = take(channel, failing)
    assert (body, method.exchange, method.routing_key) == (b"again", "", failing)
    assert channel.basic_get(other) == (None, None, None)


class Laravel:
    """laravel-queue-rabbitmq: a queue `Q.delay.MS` for each delay, which expires when it is not used."""

    def __init__(self, channel, made, **arguments):
        self.channel = channel
        self.queue = unique("laravel")
        self.queues = made[0]
        self.queues.append(self.queue)
        channel.queue_declare(self.queue, durable=True, arguments=arguments)

    def later(self, body, delay, attempts=0):
        name = f"{self.queue}.delay.{delay}"
        self.queues.append(name)
        arguments = {
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": self.queue,
            "x-message-ttl": delay,
            "x-expires": 2 * delay,
        }
        self.channel.queue_declare(name, durable=True, arguments=arguments)
        self.publish(name, body, attempts)
        return name

    def publish(self, queue, body, attempts=0):
        headers = {"laravel": {"attempts": attempts}}
        properties = pika.BasicProperties(
            delivery_mode=PERSISTENT, content_type="application/json", headers=headers, priority=attempts
        )
        self.channel.basic_publish("", queue, body, properties, mandatory=True)


def test_laravel_delays_come_in_the_order_of_their_times(channel, made):
    laravel = Laravel(channel, made)
    sent = time.time()
    delays = {b"third": 2400, b"first": 800, b"second": 1600}
    queues = [laravel.later(body, delay) for body, delay in delays.items()]
    for body in [b"first", b"second", b"third"]:
        method, properties, found = take(channel, laravel.queue)
        assert found == body
        assert time.time() - sent >= delays[body] / 1000
        assert properties.headers["laravel"] == {"attempts": 0}
        channel.basic_ack(method.delivery_tag)
    # Nobody used them for twice their delay.
    channel.confirm_delivery()
    for queue in queues:
        wait_until(lambda queue=queue: is_gone(channel, queue), f"{queue} to expire")


def test_laravel_releases_count_attempts(channel, made):
    """A job that fails is sent to a delay queue with one attempt more, and the old one acknowledged."""
    laravel = Laravel(channel, made)
    laravel.publish(laravel.queue, b"job")
    for attempt in range(3):
        method, properties, body = take(channel, laravel.queue)
        assert (body, properties.headers["laravel"]["attempts"]) == (b"job", attempt)
        laravel.later(body, 1000 + 50 * attempt, attempt + 1)
        channel.basic_ack(method.delivery_tag)
    method, properties, _ = take(channel, laravel.queue)
    assert properties.headers["laravel"]["attempts"] == 3


def test_laravel_prioritizes_delayed_jobs(channel, made):
    """`prioritize_delayed`: what was tried before goes first."""
    laravel = Laravel(channel, made, **{"x-max-priority": 2})
    for number in range(3):
        laravel.publish(laravel.queue, f"new {number}".encode())
    delayed = laravel.later(b"tried", 1000, attempts=2)
    ready = lambda: channel.queue_declare(laravel.queue, passive=True).method.message_count
    wait_until(lambda: ready() == 4, f"the job of {delayed}")
    bodies = [take(channel, laravel.queue)[2] for _ in range(4)]
    assert bodies == [b"tried", b"new 0", b"new 1", b"new 2"]


def test_laravel_reroutes_failed_jobs(channel, made):
    failed = unique("laravel.failed")
    made[0].append(failed)
    channel.queue_declare(failed, durable=True)
    rerouted = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": failed}
    laravel = Laravel(channel, made, **rerouted)
    laravel.publish(laravel.queue, b"job")
    method, _, _ = take(channel, laravel.queue)
    channel.basic_reject(method.delivery_tag, requeue=False)
    _, properties, body = take(channel, failed)
    assert body == b"job"
    assert properties.headers["x-first-death-queue"] == laravel.queue
    assert properties.headers["x-death"][0]["reason"] == "rejected"


class Maxretry:
    """Kicks' (Sneakers') handler: the worker's queue, with a queue to wait in and one for what failed too often."""

    RETRIES = 3

    def __init__(self, channel, made, wait=100):
        self.channel = channel
        self.queue = unique("kicks")
        self.exchange = unique("kicks.x")
        retry, self.error, requeue = (f"{self.queue}-{name}" for name in ["retry", "error", "retry-requeue"])
        made[0].extend([self.queue, retry, self.error])
        made[1].extend([self.exchange, retry, self.error, requeue])
        channel.exchange_declare(self.exchange, "direct", durable=True)
        for exchange in [retry, self.error, requeue]:
            channel.exchange_declare(exchange, "topic", durable=True)
        channel.queue_declare(self.queue, durable=True, arguments={"x-dead-letter-exchange": retry})
        channel.queue_bind(self.queue, self.exchange, "work.key")
        waits = {"x-dead-letter-exchange": requeue, "x-message-ttl": wait}
        channel.queue_declare(retry, durable=True, arguments=waits)
        channel.queue_bind(retry, retry, "#")
        channel.queue_declare(self.error, durable=True)
        channel.queue_bind(self.error, self.error, "#")
        channel.queue_bind(self.queue, requeue, "#")

    def failures(self, properties):
        """How often this queue has failed it, by the counts of its deaths."""
        deaths = (properties.headers or {}).get("x-death", [])
        return sum(death["count"] for death in deaths if death["queue"] == self.queue)

    def fail(self, method, properties, body):
        attempts = self.failures(properties) + 1
        if attempts <= self.RETRIES:
            self.channel.basic_reject(method.delivery_tag, requeue=False)
        else:
            headers = {"retry_info": f"{attempts} attempts"}
            self.channel.basic_publish(self.error, method.routing_key, body, pika.BasicProperties(headers=headers))
            self.channel.basic_ack(method.delivery_tag)


def test_kicks_maxretry_counts_its_failures(channel, made):
    kicks = Maxretry(channel, made)
    properties = pika.BasicProperties(delivery_mode=PERSISTENT, expiration="60000", headers={"mine": 1})
    channel.basic_publish(kicks.exchange, "work.key", b"job", properties)
    for failures in range(Maxretry.RETRIES + 1):
        method, properties, body = take(channel, kicks.queue, f"attempt {failures + 1}")
        assert (method.routing_key, method.redelivered, body) == ("work.key", False, b"job")
        assert kicks.failures(properties) == failures
        assert properties.headers["mine"] == 1
        if failures:
            # The latest death first: it waited, after it was rejected.
            deaths = [(d["queue"], d["reason"], d["count"]) for d in properties.headers["x-death"]]
            assert deaths == [
                (f"{kicks.queue}-retry", "expired", failures),
                (kicks.queue, "rejected", failures),
            ]
            assert properties.headers["x-death"][1]["original-expiration"] == "60000"
            assert properties.expiration is None
        kicks.fail(method, properties, body)
    method, properties, body = take(channel, kicks.error)
    assert (body, method.routing_key) == (b"job", "work.key")
    assert properties.headers["retry_info"] == "4 attempts"
    assert channel.basic_get(kicks.queue) == (None, None, None)
