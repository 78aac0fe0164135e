"""Consuming: acknowledgements, requeueing, prefetch, cancellation, direct reply-to."""

import pika
import pytest

from conftest import Inbox, fence, fill, pump, ready
from interop import wait_until


def test_consume_and_ack(channel, queue):
    inbox = Inbox(channel, queue)
    bodies = [f"m{index}".encode() for index in range(50)]
    for body in bodies:
        channel.basic_publish("", queue, body)
    for expected, (method, _, body) in enumerate(inbox.wait(50), start=1):
        assert method.delivery_tag == expected
        assert method.consumer_tag == inbox.tag
        channel.basic_ack(method.delivery_tag)
    assert inbox.bodies == bodies
    channel.basic_cancel(inbox.tag)
    assert ready(channel, queue) == 0


def test_no_ack(channel, queue):
    fill(channel, queue, 5)
    inbox = Inbox(channel, queue, auto_ack=True)
    inbox.wait(5)
    channel.close()
    channel = inbox.channel.connection.channel()
    assert ready(channel, queue) == 0


def test_ack_multiple(channel, connection, queue):
    fill(channel, queue, 10)
    inbox = Inbox(channel, queue)
    inbox.wait(10)
    channel.basic_ack(7, multiple=True)
    channel.close()
    reader = connection.channel()
    wait_until(lambda: ready(reader, queue) == 3, "the three that were not acknowledged")
    assert reader.basic_get(queue)[2] == b"m7"


@pytest.mark.parametrize("settle", ["reject", "nack"])
def test_requeue_is_redelivered_in_its_place(channel, queue, settle):
    fill(channel, queue, 3)
    method, _, body = channel.basic_get(queue)
    assert (body, method.redelivered, method.message_count) == (b"m0", False, 2)
    getattr(channel, f"basic_{settle}")(method.delivery_tag, requeue=True)
    wait_until(lambda: ready(channel, queue) == 3, "the requeued message")
    again, _, body = channel.basic_get(queue)
    assert (body, again.redelivered) == (b"m0", True)
    assert channel.basic_get(queue)[0].redelivered is False


def test_nack_multiple_without_requeue(channel, queue):
    fill(channel, queue, 5)
    inbox = Inbox(channel, queue)
    inbox.wait(5)
    channel.basic_nack(0, multiple=True, requeue=False)
    channel.basic_cancel(inbox.tag)
    assert ready(channel, queue) == 0


def test_unacked_return_in_order_when_the_channel_ends(channel, connection, queue):
    bodies = fill(channel, queue, 5)
    inbox = Inbox(channel, queue)
    inbox.wait(5)
    channel.close()
    reader = connection.channel()
    wait_until(lambda: ready(reader, queue) == 5, "five messages back")
    again = [reader.basic_get(queue) for _ in range(5)]
    assert [body for _, _, body in again] == bodies
    assert all(method.redelivered for method, _, _ in again)


def test_unacked_return_when_the_connection_ends(other_connection, channel, shared_queue):
    fill(channel, shared_queue, 3)
    Inbox(other_connection.channel(), shared_queue).wait(3)
    other_connection.close()
    wait_until(lambda: ready(channel, shared_queue) == 3, "three messages back")


def test_recover(channel, queue):
    fill(channel, queue, 2)
    inbox = Inbox(channel, queue)
    inbox.wait(2)
    channel.basic_recover(requeue=True)
    inbox.wait(4)
    assert inbox.bodies == [b"m0", b"m1", b"m0", b"m1"]
    assert [method.redelivered for method, _, _ in inbox.messages] == [False, False, True, True]


def test_get_from_empty(channel, queue):
    assert channel.basic_get(queue) == (None, None, None)


def test_prefetch_per_consumer(channel, queue):
    fill(channel, queue, 10)
    channel.basic_qos(prefetch_count=2)
    inbox = Inbox(channel, queue)
    inbox.wait(2)
    fence(channel, queue)
    assert len(inbox) == 2 and ready(channel, queue) == 8
    channel.basic_ack(inbox.messages[0][0].delivery_tag)
    inbox.wait(3)
    fence(channel, queue)
    assert len(inbox) == 3


def test_prefetch_per_consumer_counts_each_one(channel, queue):
    fill(channel, queue, 10)
    channel.basic_qos(prefetch_count=2)
    first, second = Inbox(channel, queue), Inbox(channel, queue)
    wait_until(lambda: len(first) + len(second) == 4, "four deliveries", pump=lambda: pump(channel.connection))
    fence(channel, queue)
    assert (len(first), len(second)) == (2, 2)


def test_prefetch_of_the_channel_is_shared(channel, queue):
    fill(channel, queue, 10)
    channel.basic_qos(prefetch_count=3, global_qos=True)
    first, second = Inbox(channel, queue), Inbox(channel, queue)
    wait_until(lambda: len(first) + len(second) == 3, "three deliveries", pump=lambda: pump(channel.connection))
    fence(channel, queue)
    assert len(first) + len(second) == 3


def test_prefetch_of_the_channel_grows_and_shrinks_live(channel, queue):
    fill(channel, queue, 20)
    channel.basic_qos(prefetch_count=2, global_qos=True)
    inbox = Inbox(channel, queue)
    inbox.wait(2)
    fence(channel, queue)
    assert len(inbox) == 2
    channel.basic_qos(prefetch_count=6, global_qos=True)
    inbox.wait(6)
    fence(channel, queue)
    assert len(inbox) == 6
    channel.basic_qos(prefetch_count=1, global_qos=True)
    channel.basic_ack(inbox.messages[4][0].delivery_tag, multiple=True)
    fence(channel, queue)
    assert len(inbox) == 6
    channel.basic_ack(inbox.messages[5][0].delivery_tag)
    inbox.wait(7)
    fence(channel, queue)
    assert len(inbox) == 7
    channel.basic_qos(prefetch_count=0, global_qos=True)
    inbox.wait(20)


def test_two_consumers_share_the_work(channel, connection, queue):
    channel.basic_qos(prefetch_count=1)
    first, second = Inbox(channel, queue), Inbox(channel, queue)
    for index in range(2):
        connection.channel().basic_publish("", queue, str(index).encode())
    wait_until(lambda: len(first) == len(second) == 1, "one each", pump=lambda: pump(connection))


def test_consumer_priority(channel, queue):
    low = Inbox(channel, queue, auto_ack=True)
    high = Inbox(channel, queue, auto_ack=True, arguments={"x-priority": 10})
    for _ in range(10):
        channel.basic_publish("", queue, b"x")
    high.wait(10)
    assert len(low) == 0


def test_cancel_stops_deliveries(channel, queue):
    inbox = Inbox(channel, queue)
    channel.basic_publish("", queue, b"before")
    inbox.wait(1)
    channel.basic_cancel(inbox.tag)
    channel.basic_publish("", queue, b"after")
    wait_until(lambda: ready(channel, queue) == 1, "the message left alone")
    fence(channel, queue)
    assert inbox.bodies == [b"before"]
    channel.basic_ack(inbox.last_tag)


def test_cancel_notify_when_the_queue_is_deleted(channel, connection, queue):
    cancelled = []
    channel.add_on_cancel_callback(lambda frame: cancelled.append(frame.method.consumer_tag))
    inbox = Inbox(channel, queue)
    connection.channel().queue_delete(queue)
    wait_until(lambda: cancelled, "basic.cancel from the broker", pump=lambda: pump(connection))
    assert cancelled == [inbox.tag]
    assert channel.is_open


def test_direct_reply_to(channel, connection, other_connection, shared_queue):
    server = other_connection.channel()
    requests = Inbox(server, shared_queue, auto_ack=True)
    replies = Inbox(channel, "amq.rabbitmq.reply-to", auto_ack=True)
    channel.basic_publish(
        "", shared_queue, b"6*7", pika.BasicProperties(reply_to="amq.rabbitmq.reply-to", correlation_id="c1")
    )
    _, asked, body = requests.wait(1)[0]
    assert body == b"6*7"
    assert asked.reply_to.startswith("amq.rabbitmq.reply-to.")
    for answer in (b"forty", b"two"):
        server.basic_publish("", asked.reply_to, answer, pika.BasicProperties(correlation_id=asked.correlation_id))
    replies.wait(2)
    assert replies.bodies == [b"forty", b"two"]
    assert replies.messages[0][1].correlation_id == "c1"


def test_direct_reply_to_a_caller_that_left_is_returned(channel, other_connection, shared_queue):
    caller = other_connection.channel()
    Inbox(caller, "amq.rabbitmq.reply-to", auto_ack=True)
    caller.basic_publish("", shared_queue, b"?", pika.BasicProperties(reply_to="amq.rabbitmq.reply-to"))
    requests = Inbox(channel, shared_queue, auto_ack=True)
    address = requests.wait(1)[0][1].reply_to
    other_connection.close()
    channel.confirm_delivery()

    def refused():
        try:
            channel.basic_publish("", address, b"too late", mandatory=True)
        except pika.exceptions.UnroutableError:
            return True
        return False

    wait_until(refused, "the reply to come back")
