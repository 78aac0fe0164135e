"""An application on quorum queues: its tasks with a countdown wait in the broker, not in the worker."""

import os
import time

from celery import Celery

app = Celery("interop-quorum", broker=os.environ["LEPUS_URL"], backend="rpc://")
app.conf.update(
    task_default_queue=os.environ.get("LEPUS_QUORUM_QUEUE", "interop-quorum"),
    task_default_queue_type="quorum",
    # Delays are in the routing key: a direct exchange could not read them.
    task_default_exchange_type="topic",
    result_expires=600,
    broker_connection_retry_on_startup=True,
    broker_connection_timeout=5,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
)


@app.task
def started_at():
    return time.time()


@app.task(bind=True, max_retries=2)
def fail_twice(self):
    if self.request.retries < 2:
        raise self.retry(countdown=1)
    return self.request.retries
