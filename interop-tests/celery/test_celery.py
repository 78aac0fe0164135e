"""Celery with `rpc://` results: tasks done once, on time, and none lost."""

import subprocess
import sys
import time

import pytest
from celery import chain, group
from kombu import Exchange, Queue

from conftest import HERE, TASK_QUEUE
from interop import wait_until

TASKS = 1000


def test_a_thousand_tasks_none_lost(worker):
    from tasks import add

    results = [add.delay(number, 1) for number in range(TASKS)]
    assert [result.get(timeout=60) for result in results] == [number + 1 for number in range(TASKS)]


def test_groups_and_chains(worker):
    from tasks import add

    assert group(add.s(number, number) for number in range(50))().get(timeout=30) == [2 * n for n in range(50)]
    assert chain(add.s(1, 2), add.s(3), add.s(4))().get(timeout=30) == 10


def test_a_failure_reaches_the_caller(worker):
    from tasks import fail

    with pytest.raises(ValueError, match="on purpose"):
        fail.delay("on purpose").get(timeout=30)


def test_countdown_waits_its_time(worker):
    from tasks import started_at

    due = time.time() + 1.5
    started = started_at.apply_async(countdown=1.5).get(timeout=30)
    assert due - 0.1 <= started < due + 5


def test_eta_tasks_do_not_starve_immediate_ones(worker):
    """The worker holds ETA tasks unacked, twice its prefetch and more, and raises its prefetch while it runs."""
    from tasks import started_at

    due = time.time() + 6
    waiting = [started_at.apply_async(countdown=6) for _ in range(8)]
    assert started_at.delay().get(timeout=30) < due - 1
    for result in waiting:
        assert result.get(timeout=30) >= due - 0.1


def test_six_eta_tasks_leave_two_processes_free(app, start_worker, own_queue):
    """The worker has them all in hand, three times what it may prefetch, when something else is to be done."""
    from tasks import started_at

    worker = start_worker()
    for _ in range(6):
        started_at.apply_async(countdown=20, queue=own_queue)
    inspect = app.control.inspect(destination=[worker.name], timeout=2)
    scheduled = lambda: len((inspect.scheduled() or {}).get(worker.name, []))
    wait_until(lambda: scheduled() == 6, "six scheduled tasks")
    sent = time.time()
    delay = started_at.apply_async(queue=own_queue).get(timeout=30) - sent
    print(f"started after {delay:.3f} s")
    wait_until(lambda: scheduled() == 6, "six tasks still scheduled")


def test_priorities(start_worker, own_queue):
    from tasks import started_at

    queue = Queue(own_queue, Exchange(own_queue), routing_key=own_queue, max_priority=10)
    priorities = [0, 5, 10, 1, 9, None]
    results = [started_at.apply_async(queue=queue, priority=priority) for priority in priorities]
    start_worker(concurrency=1, LEPUS_MAX_PRIORITY="10")
    started = [result.get(timeout=30) for result in results]
    order = [priorities[started.index(each)] for each in sorted(started)]
    assert order == [10, 9, 5, 1, 0, None]


def test_retry(worker):
    from tasks import fail_once

    results = [fail_once.delay(number) for number in range(10)]
    assert [result.get(timeout=30) for result in results] == [[number, 1] for number in range(10)]


def test_inspect_ping(worker):
    """The command line, which broadcasts over pidbox and collects the replies."""
    done = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "tasks", "inspect", "ping", "--timeout", "5", "-d", worker.name],
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert worker.name in done.stdout and "pong" in done.stdout


def test_inspect_active_queues(app, worker):
    queues = app.control.inspect(destination=[worker.name], timeout=5).active_queues()
    assert [queue["name"] for queue in queues[worker.name]] == [TASK_QUEUE]


def test_events_reach_a_monitor(app, worker):
    from tasks import add

    seen = []
    app.control.enable_events(destination=[worker.name], reply=True, timeout=5)
    with app.connection() as connection:
        receiver = app.events.Receiver(connection, handlers={"task-succeeded": seen.append})
        with receiver.consumer_context() as (reading, _, _):
            result = add.delay(20, 22)
            wait_until(lambda: seen, "task-succeeded", pump=lambda: drain(reading))
            assert result.get(timeout=30) == 42
    app.control.disable_events(destination=[worker.name], reply=True, timeout=5)


def drain(connection):
    try:
        connection.drain_events(timeout=0.05)
    except TimeoutError:
        pass


def test_purge(app, own_queue):
    from tasks import add

    for number in range(5):
        add.apply_async((number, number), queue=own_queue)
    with app.connection() as connection:
        queue = app.amqp.queues[own_queue](connection.default_channel)
        wait_until(lambda: queue.queue_declare(passive=True).message_count == 5, "five tasks")
        assert queue.purge() == 5


@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_other_pools(start_worker, own_queue, pool):
    from tasks import add

    start_worker(pool=pool)
    results = [add.apply_async((number, number), queue=own_queue) for number in range(50)]
    assert [result.get(timeout=30) for result in results] == [2 * number for number in range(50)]


def test_a_killed_worker_loses_nothing(start_worker, own_queue):
    """Late acks: what a worker had in hand when it was killed is done by the next one."""
    from tasks import slow_echo

    first = start_worker()
    results = [slow_echo.apply_async((number,), queue=own_queue) for number in range(200)]
    results[20].get(timeout=30)
    first.kill()
    start_worker()
    assert [result.get(timeout=60) for result in results] == list(range(200))
