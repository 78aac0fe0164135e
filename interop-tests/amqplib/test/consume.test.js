'use strict';
// Consuming: acknowledgements, requeueing, prefetch, cancellation, direct reply-to.

const assert = require('node:assert/strict');
const test = require('node:test');
const { fence, fill, inbox, openChannel, ready, waitUntil, withQueue } = require('../support');

test('consume and ack', withQueue(async ({ channel, queue }) => {
  const received = await inbox(channel, queue);
  const bodies = await fillWhileConsuming(channel, queue, 50);
  for (const message of await received.wait(50)) {
    assert.equal(message.fields.consumerTag, received.consumerTag);
    channel.ack(message);
  }
  assert.deepEqual(received.bodies(), bodies);
  await channel.cancel(received.consumerTag);
  assert.equal(await ready(channel, queue), 0);
}));

function fillWhileConsuming(channel, queue, count) {
  const bodies = Array.from({ length: count }, (_, index) => `m${index}`);
  for (const body of bodies) channel.sendToQueue(queue, Buffer.from(body));
  return bodies;
}

test('no-ack', withQueue(async ({ connection, channel, queue }) => {
  await fill(channel, queue, 5);
  await (await inbox(channel, queue, { noAck: true })).wait(5);
  await channel.close();
  assert.equal(await ready(await openChannel(connection), queue), 0);
}));

test('ack up to a message; the rest comes back with the channel', withQueue(async ({ connection, channel, queue }) => {
  await fill(channel, queue, 10);
  const messages = await (await inbox(channel, queue)).wait(10);
  channel.ack(messages[6], true);
  await channel.close();
  const reader = await openChannel(connection);
  await waitUntil(async () => (await ready(reader, queue)) === 3, 'three messages back');
  const first = await reader.get(queue);
  assert.deepEqual([first.content.toString(), first.fields.redelivered], ['m7', true]);
}));

for (const settle of ['reject', 'nack']) {
  test(`${settle} with requeue is redelivered in its place`, withQueue(async ({ channel, queue }) => {
    await fill(channel, queue, 3);
    const message = await channel.get(queue);
    assert.equal(message.fields.redelivered, false);
    if (settle === 'nack') channel.nack(message, false, true);
    else channel.reject(message, true);
    await waitUntil(async () => (await ready(channel, queue)) === 3, 'the requeued message');
    const again = await channel.get(queue);
    assert.deepEqual([again.content.toString(), again.fields.redelivered], ['m0', true]);
  }));
}

test('nack all without requeue', withQueue(async ({ channel, queue }) => {
  await fill(channel, queue, 5);
  const received = await inbox(channel, queue);
  await received.wait(5);
  channel.nackAll(false);
  await channel.cancel(received.consumerTag);
  assert.equal(await ready(channel, queue), 0);
}));

test('recover', withQueue(async ({ channel, queue }) => {
  await fill(channel, queue, 2);
  const received = await inbox(channel, queue);
  await received.wait(2);
  await channel.recover();
  await received.wait(4);
  assert.deepEqual(received.bodies(), ['m0', 'm1', 'm0', 'm1']);
  assert.equal(received.messages[2].fields.redelivered, true);
}));

test('prefetch per consumer', withQueue(async ({ channel, queue }) => {
  await fill(channel, queue, 10);
  await channel.prefetch(2);
  const first = await inbox(channel, queue);
  const second = await inbox(channel, queue);
  await waitUntil(() => first.messages.length + second.messages.length === 4, 'four deliveries');
  await fence(channel, queue);
  assert.deepEqual([first.messages.length, second.messages.length], [2, 2]);
  channel.ack(first.messages[0]);
  await first.wait(3);
  await fence(channel, queue);
  assert.deepEqual([first.messages.length, second.messages.length], [3, 2]);
}));

test('prefetch of the channel grows live', withQueue(async ({ channel, queue }) => {
  await fill(channel, queue, 10);
  await channel.prefetch(2, true);
  const received = await inbox(channel, queue);
  await received.wait(2);
  await fence(channel, queue);
  assert.equal(received.messages.length, 2);
  await channel.prefetch(6, true);
  await received.wait(6);
  await fence(channel, queue);
  assert.equal(received.messages.length, 6);
  await channel.prefetch(0, true);
  await received.wait(10);
}));

test('consumer priority', withQueue(async ({ channel, queue }) => {
  const low = await inbox(channel, queue, { noAck: true });
  const high = await inbox(channel, queue, { noAck: true, priority: 5 });
  fillWhileConsuming(channel, queue, 10);
  await high.wait(10);
  assert.equal(low.messages.length, 0);
}));

test('cancel stops deliveries', withQueue(async ({ channel, queue }) => {
  const received = await inbox(channel, queue);
  await channel.cancel(received.consumerTag);
  await fill(channel, queue, 1);
  await fence(channel, queue);
  assert.equal(received.messages.length, 0);
}));

test('cancel notify when the queue is deleted', withQueue(async ({ connection, channel, queue }) => {
  const received = await inbox(channel, queue);
  await (await openChannel(connection)).deleteQueue(queue);
  await waitUntil(() => received.cancelled.length === 1, 'basic.cancel from the broker');
  assert.equal((await channel.assertQueue('', { exclusive: true })).consumerCount, 0);
}));

test('direct reply-to', withQueue(async ({ connection, channel, queue }) => {
  const server = await openChannel(connection);
  await server.consume(queue, (asked) => {
    const { replyTo, correlationId } = asked.properties;
    server.sendToQueue(replyTo, Buffer.from(`${asked.content}=42`), { correlationId });
    server.ack(asked);
  });
  const replies = await inbox(channel, 'amq.rabbitmq.reply-to', { noAck: true });
  for (let number = 0; number < 10; number++) {
    channel.sendToQueue(queue, Buffer.from('6*7'), { replyTo: 'amq.rabbitmq.reply-to', correlationId: `c${number}` });
  }
  const answers = await replies.wait(10);
  assert.deepEqual(
    answers.map((answer) => [answer.content.toString(), answer.properties.correlationId]),
    Array.from({ length: 10 }, (_, number) => ['6*7=42', `c${number}`]),
  );
}));

test('direct reply-to with acknowledgements is refused', withQueue(async ({ channel }) => {
  await assert.rejects(channel.consume('amq.rabbitmq.reply-to', () => {}), /PRECONDITION_FAILED/);
}));
