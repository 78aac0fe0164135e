"""Celery on quorum queues: a ladder of 28 queues, by time to live and dead letters, delays tasks in the broker."""

import time
from datetime import datetime, timedelta, timezone

# Beyond the countdown: enough for a machine that is busy with something else.
LATE = 10.0


def delays(sent, results):
    measured = [result.get(timeout=60) - sent for result in results]
    print("after", ", ".join(f"{delay:.3f} s" for delay in measured))
    return measured


def test_the_ladder_is_declared(quorum_worker):
    from quorum_tasks import app

    with app.connection() as connection:
        channel = connection.channel()
        for level in range(28):
            channel.queue_declare(f"celery_delayed_{level}", passive=True)
            channel.exchange_declare(f"celery_delayed_{level}", "topic", passive=True)
        channel.exchange_declare("celery_delayed_delivery", "topic", passive=True)


def test_a_countdown_of_three_seconds(quorum_worker):
    from quorum_tasks import started_at

    sent = time.time()
    (delay,) = delays(sent, [started_at.apply_async(countdown=3)])
    assert 3.0 <= delay < 3.0 + LATE


def test_countdowns_come_in_the_order_of_their_times(quorum_worker):
    from quorum_tasks import started_at

    sent = time.time()
    countdowns = [7, 1, 5, 3]
    measured = delays(sent, [started_at.apply_async(countdown=countdown) for countdown in countdowns])
    assert sorted(countdowns, key=lambda each: measured[countdowns.index(each)]) == [1, 3, 5, 7]
    for countdown, delay in zip(countdowns, measured):
        assert countdown <= delay < countdown + LATE


def test_delayed_tasks_are_not_held_by_the_worker(quorum_worker):
    """So more of them than it may hold do not keep it from others, though its prefetch stays as it is."""
    from quorum_tasks import started_at

    sent = time.time()
    waiting = [started_at.apply_async(countdown=30) for _ in range(6)]
    (delay,) = delays(sent, [started_at.delay()])
    assert delay < LATE
    for result in waiting:
        result.forget()


def test_eta(quorum_worker):
    from quorum_tasks import started_at

    eta = datetime.now(timezone.utc) + timedelta(seconds=2.5)
    started = started_at.apply_async(eta=eta).get(timeout=60)
    print(f"{started - eta.timestamp():.3f} s late")
    assert 0 <= started - eta.timestamp() < LATE


def test_a_retry_waits_in_the_ladder(quorum_worker):
    from quorum_tasks import fail_twice

    sent = time.time()
    assert fail_twice.delay().get(timeout=60) == 2
    assert time.time() - sent >= 2.0


def test_each_task_is_done_once(quorum_worker):
    """The queue is bound to its exchange by two keys that both match a delayed task."""
    from quorum_tasks import app, started_at

    state = app.control.inspect(destination=[quorum_worker.name], timeout=5)

    def total():
        return state.stats()[quorum_worker.name]["total"]["quorum_tasks.started_at"]

    started_at.delay().get(timeout=60)
    before = total()
    for result in [started_at.apply_async(countdown=1) for _ in range(10)]:
        result.get(timeout=60)
    started_at.delay().get(timeout=60)
    assert total() - before == 11
