"""Workers as processes of their own, on a task queue that no other test uses."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

from interop import broker_url, unique, wait_until

HERE = pathlib.Path(__file__).parent
TASK_QUEUE = unique("celery")
os.environ["LEPUS_TASK_QUEUE"] = TASK_QUEUE
QUORUM_QUEUE = unique("celery.quorum")
os.environ["LEPUS_QUORUM_QUEUE"] = QUORUM_QUEUE


class Worker:
    """`celery worker`, ready once it answers a ping."""

    def __init__(self, app, log, queue=TASK_QUEUE, pool="prefork", concurrency=2, module="tasks", **environment):
        self.name = f"{unique('worker')}@interop"
        self.log = log
        self._output = log.open("wb")
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "-A", module, "worker"),
                *("--hostname", self.name, "--pool", pool, "--concurrency", str(concurrency)),
                *("--queues", queue, "--loglevel", "INFO"),
            ],
            cwd=HERE,
            env={**os.environ, **environment},
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        wait_until(lambda: self._answers(app), f"{self.name} to answer", deadline=30)

    def _answers(self, app):
        if self._process.poll() is not None:
            raise AssertionError(f"the worker ended early:\n{self.log.read_text()}")
        return app.control.inspect(destination=[self.name], timeout=0.3).ping()

    def kill(self):
        """All its processes at once, as the kernel would when memory runs out."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._output.close()

    def stop(self):
        """A warm shutdown; what will not stop is killed."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        self._output.close()
        return self._process.returncode


@pytest.fixture(scope="session")
def app():
    broker_url()
    from tasks import app

    yield app
    delete(app, TASK_QUEUE)


def delete(app, queue):
    """The queue and the exchange that Celery names after it."""
    with app.connection() as connection:
        channel = connection.channel()
        channel.queue_delete(queue)
        channel.exchange_delete(queue)


@pytest.fixture
def own_queue(app):
    """A task queue that the shared worker does not read."""
    queue = unique("celery")
    yield queue
    delete(app, queue)


@pytest.fixture(scope="session")
def worker(app, tmp_path_factory):
    """The worker that most tests share."""
    worker = Worker(app, tmp_path_factory.mktemp("worker") / "worker.log")
    yield worker
    assert worker.stop() == 0, worker.log.read_text()


@pytest.fixture
def start_worker(app, own_queue, tmp_path):
    """Start a worker on the test's own queue; what still runs afterwards is stopped."""
    workers = []

    def start(**options):
        log = tmp_path / f"worker-{len(workers)}.log"
        workers.append(Worker(app, log, queue=own_queue, **options))
        return workers[-1]

    yield start
    for each in workers:
        each.stop()


@pytest.fixture(scope="session")
def quorum_worker(tmp_path_factory):
    """A worker whose tasks wait in RabbitMQ's delay ladder; it stays there, others may use it too."""
    broker_url()
    from quorum_tasks import app

    log = tmp_path_factory.mktemp("quorum") / "worker.log"
    worker = Worker(app, log, queue=QUORUM_QUEUE, module="quorum_tasks")
    yield worker
    assert worker.stop() == 0, worker.log.read_text()
    delete(app, QUORUM_QUEUE)
