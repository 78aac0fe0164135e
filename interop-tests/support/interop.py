"""What the Python suites share: the broker's address, unique names, and waiting without sleeping blindly."""

import datetime
import os
import ssl
import time
import uuid

DEADLINE = 15.0

MIB = 1024 * 1024


def broker_url():
    """The broker under test; the runner (or a developer) says where it is."""
    url = os.environ.get("LEPUS_URL")
    if not url:
        raise RuntimeError("LEPUS_URL is not set, e.g. LEPUS_URL=amqp://guest:guest@127.0.0.1:5672")
    return url


def tls_context():
    """How to speak TLS to a broker at `amqps://`: whom to trust, and who we are."""
    folder = os.environ["LEPUS_CERTIFICATES"]
    context = ssl.create_default_context(cafile=os.path.join(folder, "ca.pem"))
    context.load_cert_chain(os.path.join(folder, "client.pem"), os.path.join(folder, "client.key"))
    return context


def unique(prefix):
    """A name that no other test, run or client uses."""
    return f"{prefix}.{uuid.uuid4().hex[:12]}"


def wait_until(probe, what, deadline=DEADLINE, pump=None):
    """Call `probe` until it is true. `pump` gives the client a moment to read its socket."""
    end = time.monotonic() + deadline
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {deadline} s")
        if pump:
            pump()
        else:
            time.sleep(0.01)


def whole_second_utc():
    """AMQP timestamps count whole seconds."""
    return datetime.datetime(2024, 2, 29, 12, 30, 45, tzinfo=datetime.timezone.utc)


def large_body():
    """1 MiB in which every misplaced or missing chunk shows."""
    return b"".join(index.to_bytes(8, "big") for index in range(MIB // 8))
