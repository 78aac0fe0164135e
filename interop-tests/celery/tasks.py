"""The application that the worker under test runs."""

import os
import time

from celery import Celery

app = Celery("interop", broker=os.environ["LEPUS_URL"], backend="rpc://")
app.conf.update(
    # None: no priorities.
    task_queue_max_priority=int(os.environ.get("LEPUS_MAX_PRIORITY", 0)) or None,
    task_default_queue=os.environ.get("LEPUS_TASK_QUEUE", "interop"),
    result_expires=600,
    broker_connection_retry_on_startup=True,
    broker_connection_timeout=5,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
)


@app.task
def add(x, y):
    return x + y


@app.task
def started_at():
    return time.time()


@app.task(bind=True, max_retries=1)
def fail_once(self, value):
    if self.request.retries == 0:
        raise self.retry(countdown=0.5)
    return [value, self.request.retries]


@app.task(acks_late=True, reject_on_worker_lost=True)
def slow_echo(value):
    time.sleep(0.01)
    return value


@app.task
def fail(text):
    raise ValueError(text)
