"""Dramatiq's RabbitMQ broker: messages done once, delayed (`Q.DQ`), retried with back-off, and dead (`Q.XQ`)."""

import time

import pytest

from interop import wait_until


def test_five_hundred_messages_none_lost(work):
    done = []

    @work.actor()
    def note(number):
        done.append(number)

    work.start()
    for number in range(500):
        note.send(number)
    wait_until(lambda: len(done) >= 500, "500 messages", deadline=60)
    assert sorted(done) == list(range(500))


def test_delayed_messages_wait_their_time(work):
    """They wait unacknowledged in the worker, which then sends them on to the queue itself."""
    done = {}

    @work.actor()
    def note(name):
        done[name] = time.time()

    sent = time.time()
    delays = {"last": 3000, "first": 1000, "middle": 2000}
    for name, delay in delays.items():
        note.send_with_options(args=(name,), delay=delay)
    assert work.counts() == (0, 3, 0)
    work.start()
    wait_until(lambda: len(done) == 3, "three delayed messages")
    assert sorted(done, key=done.get) == ["first", "middle", "last"]
    for name, at in done.items():
        print(f"{name}: {at - sent:.3f} s")
        assert at >= sent + delays[name] / 1000
    wait_until(lambda: work.counts() == (0, 0, 0), "empty queues")


def test_immediate_messages_pass_delayed_ones(work):
    done = []

    @work.actor()
    def note(name):
        done.append(name)

    for number in range(20):
        note.send_with_options(args=(f"late {number}",), delay=120_000)
    work.start()
    note.send("now")
    wait_until(lambda: done, "the immediate message")
    assert done == ["now"]


def test_retries_back_off(work):
    """Each try waits at least half of twice what the one before did; the last one does it."""
    tries = []

    @work.actor(max_retries=3, min_backoff=100, max_backoff=10_000)
    def flaky():
        tries.append(time.time())
        if len(tries) < 4:
            raise RuntimeError("not yet")

    flaky.send()
    work.start()
    wait_until(lambda: len(tries) == 4, "four tries", deadline=30)
    waits = [after - before for before, after in zip(tries, tries[1:])]
    print("waits:", [f"{wait:.3f} s" for wait in waits])
    # By Dramatiq's formula and its jitter.
    assert all(wait >= least for wait, least in zip(waits, [0.05, 0.1, 0.2]))
    wait_until(lambda: work.counts() == (0, 0, 0), "empty queues")


def test_exhausted_retries_end_among_the_dead(work):
    tries = []

    @work.actor(max_retries=2, min_backoff=20, max_backoff=50)
    def broken(value):
        tries.append(value)
        raise ValueError("never")

    sent = broken.send("it")
    work.start()
    wait_until(lambda: work.counts() == (0, 0, 1), "one dead message", deadline=30)
    assert tries == ["it"] * 3
    headers, message = work.dead()
    assert message.message_id == sent.message_id
    (death,) = headers["x-death"]
    assert (death["queue"], death["reason"], death["count"]) == (work.queue, "rejected", 1)
    assert (death["exchange"], death["routing-keys"]) == ("", [work.queue])
    assert headers["x-first-death-queue"] == work.queue


def test_what_never_retries_is_dead_at_once(work):
    @work.actor(max_retries=5, throws=KeyError)
    def unwanted():
        raise KeyError("no")

    unwanted.send()
    work.start()
    wait_until(lambda: work.counts() == (0, 0, 1), "one dead message")


def test_priorities(make_work):
    """`max_priority` declares all queues with x-max-priority; higher ones are done first."""
    work = make_work(max_priority=10)
    done = []

    @work.actor()
    def note(priority):
        done.append(priority)

    for priority in [0, 5, 10, 1, 9]:
        note.send_with_options(args=(priority,), broker_priority=priority)
    wait_until(lambda: work.counts()[0] == 5, "five messages")
    got = work.broker.consume(work.queue, prefetch=5, timeout=5000)
    order = []
    while len(order) < 5:
        message = next(got)
        if message is not None:
            order.append(message.args[0])
            got.ack(message)
    got.close()
    assert order == [10, 9, 5, 1, 0]


def test_a_queue_that_was_deleted_is_declared_again(work):
    """A returned publish (mandatory, with confirms) tells that it is gone."""
    done = []

    @work.actor()
    def note(name):
        done.append(name)

    note.send("before")
    work.broker.channel.queue_delete(work.queue)
    note.send("after")
    work.start()
    wait_until(lambda: done, "the message")
    assert done == ["after"]


def test_join_and_flush(work):
    @work.actor()
    def nothing():
        pass

    for _ in range(10):
        nothing.send()
    work.broker.flush(work.queue)
    assert work.counts() == (0, 0, 0)
    for _ in range(10):
        nothing.send()
    worker = work.start()
    work.broker.join(work.queue, timeout=30_000)
    worker.join()
    assert work.counts() == (0, 0, 0)


@pytest.mark.parametrize("threads", [1, 8])
def test_a_worker_that_stops_gives_back_what_it_held(work, threads):
    done = []

    @work.actor()
    def slow(number):
        time.sleep(0.01)
        done.append(number)

    for number in range(100):
        slow.send(number)
    first = work.start(threads=threads)
    wait_until(lambda: len(done) >= 5, "the first messages")
    first.stop()
    work.workers.remove(first)
    work.start()
    wait_until(lambda: len(set(done)) == 100, "all messages", deadline=30)
