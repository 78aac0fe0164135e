"""What the Python clients of the soak share: what they are told, what they say, and the messages. See the README."""

import os
import sys
import threading
import time

URL = os.environ["SOAK_URL"]
ID = int(os.environ["SOAK_ID"])
RATE = float(os.environ["SOAK_RATE"])
PAUSE = float(os.environ["SOAK_PAUSE"])
QUEUES = os.environ["SOAK_QUEUES"].split(",")
DEAD = os.environ["SOAK_DEAD"]
PREFETCH = 50

over = threading.Event()


def watch_input():
    """The end of the input is the end of the work."""

    def read():
        while os.read(0, 4096):
            pass
        over.set()

    threading.Thread(target=read, daemon=True).start()


def say(line):
    os.write(1, f"@{line}\n".encode())


def complain(error):
    print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)


def size(number):
    return 150_000 if number % 997 == 0 else 40 + number * 7919 % 4000


def body(number):
    head = f"{ID} {number} {time.time_ns() // 1000} "
    return head.ljust(size(number), "x").encode()


def read(text):
    """(publisher, number, µs since it was sent), or a complaint."""
    head = text[:60].decode("ascii", "replace").split(" ")
    publisher, number, sent = (int(part) for part in head[:3])
    length = len(" ".join(head[:3])) + 1
    if len(text) != max(size(number), length) or text[length:].strip(b"x"):
        say(f"! {publisher} {number} is another one, of {len(text)} octets")
    return publisher, number, max(0, time.time_ns() // 1000 - sent)


def delivered(message, redelivered):
    publisher, number, age = message
    say(f"d {publisher} {number} {int(redelivered)} {age}")


class Pace:
    """So many a second, without making up for what was not possible."""

    def __init__(self):
        self.next = time.monotonic()

    def wait(self):
        self.next = max(self.next + 1 / RATE, time.monotonic() - 0.1)
        over.wait(max(0, self.next - time.monotonic()))
