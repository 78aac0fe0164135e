"""The soak's client on Celery: tasks with late acks, in a queue of their own."""

import os
import sys

from celery import Celery

from soak_client import ID, URL, Pace, body, complain, delivered, over, read, say, watch_input

QUEUE = "soak.celery"

app = Celery("soak", broker=URL)
app.conf.update(
    task_default_queue=QUEUE,
    task_acks_late=True,
    task_ignore_result=True,
    task_publish_retry=False,
    worker_prefetch_multiplier=20,
    worker_redirect_stdouts=False,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    broker_heartbeat=10,
    broker_connection_timeout=5,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={"confirm_publish": True},
)


@app.task(bind=True, name="soak")
def soak(self, text):
    delivered(read(text.encode()), self.request.delivery_info.get("redelivered", False))


def publish():
    watch_input()
    pace, number, again = Pace(), 0, False
    while not over.is_set():
        try:
            with app.connection_for_write() as connection:
                producer = app.amqp.Producer(connection)
                if again:
                    say("r")
                again = True
                while not over.is_set():
                    number += 1
                    soak.apply_async([body(number).decode()], producer=producer)
                    say(f"c {number} {number}")
                    pace.wait()
        except Exception as error:  # kombu lets whatever a transport raises through
            complain(error)
            over.wait(0.3)


def consume():
    # A worker ends by a signal.
    arguments = ["worker", "--pool", "solo", "--loglevel", "WARNING", "--hostname", f"soak{ID}@localhost"]
    app.worker_main([*arguments, "--without-gossip", "--without-mingle"])


if __name__ == "__main__":
    {"publish": publish, "consume": consume}[sys.argv[1]]()
