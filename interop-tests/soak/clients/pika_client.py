"""The soak's client on pika."""

import sys
import time

import pika

from soak_client import DEAD, PAUSE, PREFETCH, QUEUES, URL, Pace, body, complain, delivered, over, read, say, watch_input

ERRORS = (pika.exceptions.AMQPError, OSError)
PROPERTIES = pika.BasicProperties(delivery_mode=2)


def publish(connection, number):
    channel = connection.channel()
    channel.confirm_delivery()
    pace = Pace()
    while not over.is_set():
        number[0] += 1
        queue = QUEUES[number[0] % len(QUEUES)]
        try:
            channel.basic_publish("", queue, body(number[0]), PROPERTIES, mandatory=True)
            say(f"c {number[0]} {number[0]}")
        except pika.exceptions.NackError:
            say(f"n {number[0]}")
        pace.wait()
        if number[0] % 20 == 0:
            connection.process_data_events(0)


def consume(connection, _):
    channel = connection.channel()
    channel.basic_qos(prefetch_count=PREFETCH)

    def on_message(channel, method, _, text):
        message = read(text)
        number = message[1]
        if number % 50 == 7 and method.routing_key != DEAD:
            channel.basic_reject(method.delivery_tag, requeue=False)
        elif number % 50 == 8 and not method.redelivered:
            channel.basic_nack(method.delivery_tag, requeue=True)
        else:
            delivered(message, method.redelivered)
            channel.basic_ack(method.delivery_tag)
        time.sleep(PAUSE)

    for queue in [*QUEUES, DEAD]:
        channel.basic_consume(queue, on_message)
    while not over.is_set():
        connection.process_data_events(0.2)


def main(work):
    watch_input()
    parameters = pika.URLParameters(URL)
    parameters.socket_timeout = parameters.stack_timeout = 5
    number, again = [0], False
    while not over.is_set():
        try:
            connection = pika.BlockingConnection(parameters)
            if again:
                say("r")
            again = True
            work(connection, number)
            connection.close()
        except ERRORS as error:
            complain(error)
            over.wait(0.3)


main({"publish": publish, "consume": consume}[sys.argv[1]])
