"""Flower: its page of the broker lists queues by the HTTP API."""

import socket
import subprocess
import sys

import pytest
import requests

from interop import broker_url, unique, wait_until


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def flower(api, login, queue, tmp_path):
    """Flower for an application whose tasks go to the queue with three messages."""
    port = free_port()
    (tmp_path / "seen.py").write_text(
        "from celery import Celery\n"
        f"app = Celery('seen', broker={broker_url()!r})\n"
        f"app.conf.task_default_queue = {queue!r}\n"
    )
    command = [sys.executable, "-m", "celery", "-A", "seen", "flower", "--address=127.0.0.1"]
    command += [f"--port={port}", f"--broker-api=http://{login[0]}:{login[1]}@{api}/api/"]
    with open(tmp_path / "flower.log", "wb") as log:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(30)
    print((tmp_path / "flower.log").read_text())


def test_the_brokers_page_lists_the_queue(flower, queue):
    def page():
        try:
            text = requests.get(f"{flower}/broker", timeout=10).text
        except requests.ConnectionError:
            return None
        return text if queue in text else None

    text = wait_until(page, "the queue on Flower's page", deadline=60)
    row = text[text.index(f'id="{queue}"') if f'id="{queue}"' in text else text.index(queue) :]
    assert ">3<" in row.replace(" ", "").replace("\n", "")
