'use strict';
// What amqplib's suites share: connections, unique names, and waiting without sleeping blindly.

const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');
const path = require('node:path');
const amqp = require('amqplib');
// The codec is not exported, but some methods of the protocol have no other call.
const defs = require(path.join(path.dirname(require.resolve('amqplib')), 'lib', 'defs'));

const url = process.env.LEPUS_URL;
assert.ok(url, 'LEPUS_URL is not set, e.g. LEPUS_URL=amqp://guest:guest@127.0.0.1:5672');

const unique = (prefix) => `${prefix}.${randomUUID().slice(0, 13)}`;

/** Ask `probe` until it answers something true. */
async function waitUntil(probe, what, deadline = 15_000) {
  const end = Date.now() + deadline;
  for (;;) {
    const found = await probe();
    if (found) return found;
    assert.ok(Date.now() < end, `${what}: not within ${deadline} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** `promise`, or a failure when it takes too long. */
async function within(promise, what, deadline = 30_000) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${deadline} ms`)), deadline);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Run `body` with a connection of its own; errors that it expects are kept, not thrown. */
async function withConnection(body, options) {
  const connection = await amqp.connect(url, options);
  connection.errors = [];
  connection.on('error', (error) => connection.errors.push(error));
  connection.closed = new Promise((resolve) => connection.on('close', resolve));
  try {
    await within(body(connection), 'the test');
  } finally {
    await within(connection.close(), 'closing').catch(() => {});
  }
}

/** Run `body` with a channel and a queue that ends with the connection. */
function withQueue(body) {
  return () =>
    withConnection(async (connection) => {
      const channel = await openChannel(connection);
      const { queue } = await channel.assertQueue(unique('amqplib'), { exclusive: true, durable: false });
      await body({ connection, channel, queue });
    });
}

async function openChannel(connection, confirm = false) {
  const channel = confirm ? await connection.createConfirmChannel() : await connection.createChannel();
  channel.errors = [];
  channel.on('error', (error) => channel.errors.push(error));
  channel.closed = new Promise((resolve) => channel.on('close', resolve));
  return channel;
}

const ready = async (channel, queue) => (await channel.checkQueue(queue)).messageCount;

/** After this, whatever the queue had already handed to this connection has been read. */
async function fence(channel, queue) {
  await ready(channel, queue);
  await ready(channel, queue);
}

async function fill(channel, queue, count) {
  const bodies = Array.from({ length: count }, (_, index) => `m${index}`);
  for (const body of bodies) channel.sendToQueue(queue, Buffer.from(body));
  await waitUntil(async () => (await ready(channel, queue)) === count, `${count} messages ready`);
  return bodies;
}

/** A consumer that keeps what it is handed, in order. */
async function inbox(channel, queue, options) {
  const messages = [];
  const cancelled = [];
  const { consumerTag } = await channel.consume(
    queue,
    (message) => (message ? messages.push(message) : cancelled.push(consumerTag)),
    options,
  );
  return {
    messages,
    cancelled,
    consumerTag,
    bodies: () => messages.map((message) => message.content.toString()),
    wait: async (count) => {
      await waitUntil(() => messages.length >= count, `${count} deliveries`);
      return messages.slice(0, count);
    },
  };
}

module.exports = { amqp, defs, fence, fill, inbox, openChannel, ready, unique, url, waitUntil, withConnection, withQueue };
