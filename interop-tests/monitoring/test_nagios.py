"""nagios-plugins-rabbitmq, as Debian has it."""

import shutil
import subprocess

import pytest

OK, WARNING, CRITICAL = 0, 1, 2


@pytest.fixture
def check(api, login):
    def run(name, *options):
        plugin = shutil.which(f"check_rabbitmq_{name}")
        if plugin is None:
            pytest.skip("nagios-plugins-rabbitmq is not installed")
        host, port = api.split(":")
        to = ["-H", host, "--port", port, "-u", login[0], "-p", login[1]]
        done = subprocess.run([plugin, *to, *options], capture_output=True, text=True)
        print(done.stdout, done.stderr)
        return done.returncode, done.stdout

    return run


def test_alive(check):
    status, said = check("aliveness")
    assert status == OK and "vhost: /" in said


def test_overview(check, queue):
    status, said = check("overview")
    assert status == OK and "messages=" in said
    assert check("overview", "-w", "0,0,0", "-c", "1,-1,-1")[0] == CRITICAL


def test_objects(check, queue):
    status, said = check("objects")
    assert status == OK and all(what in said for what in ["vhost=", "exchange=", "binding=", "queue=", "channel="])


def test_a_queue(check, queue):
    status, said = check("queue", "--queue", queue)
    assert status == OK and "messages=3" in said
    assert check("queue", "--queue", queue, "-w", "2,-1,-1,-1")[0] == WARNING
    status, said = check("queue", "--queue", "nosuch")
    assert status == CRITICAL and "Not Found" in said


def test_connections(check, channel):
    status, said = check("connections")
    assert status == OK and "connections=" in said


def test_the_node(check, channel):
    # They make the node's name of the host's.
    for name in ["server", "watermark", "partition"]:
        status, said = check(name, "-n", "localhost")
        assert status == OK, said
