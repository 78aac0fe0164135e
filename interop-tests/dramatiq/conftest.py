"""A Dramatiq broker with queues of its own, and workers of threads in this process."""

import dramatiq
import pika
import pytest
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.middleware import Retries

from interop import broker_url, unique, wait_until


class Work:
    """Actors on one queue of the test's own, and what they were called with."""

    def __init__(self, **options):
        # No results, no time limits (they need signals to threads): retries are what is under test.
        self.broker = RabbitmqBroker(url=broker_url(), confirm_delivery=True, middleware=[Retries()], **options)
        self.queue = unique("dramatiq")
        self.workers = []

    def actor(self, **options):
        return dramatiq.actor(broker=self.broker, queue_name=self.queue, **options)

    def start(self, threads=2):
        worker = dramatiq.Worker(self.broker, worker_timeout=100, worker_threads=threads)
        worker.start()
        self.workers.append(worker)
        return worker

    def counts(self):
        """Messages ready in the queue, in its delay queue and in that of the dead."""
        return self.broker.get_queue_message_counts(self.queue)

    def dead(self):
        """Takes out one dead message: its headers and the message."""
        connection = pika.BlockingConnection(pika.URLParameters(broker_url()))
        channel = connection.channel()
        name = f"{self.queue}.XQ"
        method, properties, body = wait_until(
            lambda: (got := channel.basic_get(name, auto_ack=True))[0] and got, f"a message in {name}"
        )
        connection.close()
        return properties.headers, dramatiq.Message.decode(body)

    def end(self):
        for worker in self.workers:
            worker.stop()
        for name in [self.queue, f"{self.queue}.DQ", f"{self.queue}.XQ"]:
            self.broker.channel.queue_delete(name)
        self.broker.close()


@pytest.fixture
def make_work():
    made = []

    def make(**options):
        made.append(Work(**options))
        return made[-1]

    yield make
    for work in made:
        work.end()


@pytest.fixture
def work(make_work):
    return make_work()
