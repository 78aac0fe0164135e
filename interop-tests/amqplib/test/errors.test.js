'use strict';
// Declarations, and errors that end a channel or a connection.

const assert = require('node:assert/strict');
const test = require('node:test');
const { amqp, defs, fill, inbox, openChannel, ready, unique, url, withConnection, withQueue } = require('../support');

test('passive declares', withQueue(async ({ channel, queue }) => {
  await fill(channel, queue, 3);
  assert.deepEqual(await channel.checkQueue(queue), { queue, messageCount: 3, consumerCount: 0 });
  await channel.checkExchange('amq.topic');
}));

/** `action` closes its channel with `code` and `text`; the connection then serves a new one. */
function refuses(code, text, action) {
  return withQueue(async ({ connection, queue }) => {
    const channel = await openChannel(connection);
    await Promise.resolve(action(channel, queue)).catch(() => {});
    await channel.closed;
    assert.equal(channel.errors.length, 1);
    assert.equal(channel.errors[0].code, code);
    assert.match(channel.errors[0].message, text);
    assert.deepEqual(connection.errors, []);
    const again = await openChannel(connection);
    await fill(again, queue, 1);
    assert.equal((await again.get(queue, { noAck: true })).content.toString(), 'm0');
  });
}

test('a missing queue', refuses(404, /NOT_FOUND - no queue 'nosuch\..*' in vhost '\/'/, (channel) =>
  channel.checkQueue(unique('nosuch')),
));

test('a missing exchange', refuses(404, /NOT_FOUND - no exchange 'nosuch\..*' in vhost '\/'/, (channel) =>
  channel.checkExchange(unique('nosuch')),
));

test('publishing to a missing exchange', refuses(404, /NOT_FOUND - no exchange/, (channel) => {
  channel.publish(unique('nosuch'), 'k', Buffer.from('x'));
}));

test('consuming from a missing queue', refuses(404, /NOT_FOUND - no queue/, (channel) =>
  channel.consume(unique('nosuch'), () => {}),
));

test('an unknown delivery tag', refuses(406, /PRECONDITION_FAILED - unknown delivery tag 99/, (channel) =>
  channel.ack({ fields: { deliveryTag: 99 } }),
));

test('an inequivalent declare', refuses(406, /PRECONDITION_FAILED - inequivalent arg 'auto_delete'/, (channel, queue) =>
  channel.assertQueue(queue, { exclusive: true, durable: false, autoDelete: true }),
));

test('an inequivalent argument', refuses(
  406,
  /inequivalent arg 'x-expires' for queue .* received the value '60000' of type 'signedint' but current is none/,
  (channel, queue) => channel.assertQueue(queue, { exclusive: true, durable: false, expires: 60000 }),
));

test('a reserved name', refuses(403, /ACCESS_REFUSED - queue name 'amq\.mine' contains reserved prefix/, (channel) =>
  channel.assertQueue('amq.mine'),
));

test('a queue with consumers and if-unused', refuses(406, /PRECONDITION_FAILED/, async (channel, queue) => {
  await inbox(channel, queue);
  await channel.deleteQueue(queue, { ifUnused: true });
}));

test('a queue locked to another connection', withQueue(({ queue }) =>
  withConnection(async (connection) => {
    const channel = await openChannel(connection);
    await assert.rejects(channel.checkQueue(queue), /RESOURCE_LOCKED/);
    assert.equal(channel.errors[0].code, 405);
  }),
));

test('an exclusive consumer', withQueue(async ({ connection, channel, queue }) => {
  await inbox(channel, queue, { exclusive: true });
  const other = await openChannel(connection);
  await assert.rejects(other.consume(queue, () => {}), /ACCESS_REFUSED - queue .* in exclusive use/);
}));

test('an exclusive queue is transient, whatever its declaration says', withQueue(async ({ channel, queue }) => {
  const again = await channel.assertQueue(queue, { exclusive: true, durable: true });
  assert.equal(again.queue, queue);
}));

test('messages of a failed channel come back', withQueue(async ({ connection, channel, queue }) => {
  await fill(channel, queue, 3);
  const broken = await openChannel(connection);
  await (await inbox(broken, queue)).wait(3);
  broken.ack({ fields: { deliveryTag: 99 } });
  await broken.closed;
  const messages = await (await inbox(channel, queue)).wait(3);
  assert.deepEqual(messages.map((message) => message.content.toString()), ['m0', 'm1', 'm2']);
  assert.ok(messages.every((message) => message.fields.redelivered));
}));

test('immediate is not implemented', () =>
  withConnection(async (connection) => {
    const channel = await openChannel(connection);
    channel.sendMessage(
      { exchange: '', routingKey: 'x', mandatory: false, immediate: true, ticket: 0 },
      {},
      Buffer.from('x'),
    );
    await connection.closed;
    assert.equal(connection.errors[0].code, 540);
    assert.match(connection.errors[0].message, /NOT_IMPLEMENTED - immediate=true/);
  }));

test('a method on a channel that was never opened', () =>
  withConnection(async (connection) => {
    connection.connection.sendBytes(defs.encodeMethod(defs.TxSelect, 77, {}));
    await connection.closed;
    assert.equal(connection.errors[0].code, 504);
  }));

test('a wrong password', async () => {
  const wrong = new URL(url);
  wrong.password = 'wrong';
  await assert.rejects(amqp.connect(wrong.href), /403 \(ACCESS-REFUSED\)/);
});

test('an unknown vhost', async () => {
  await assert.rejects(amqp.connect(`${url.replace(/\/$/, '')}/nowhere`), /ConnectionClose|NOT_ALLOWED/);
});

test('the smallest frame size that the protocol allows', () =>
  withConnection(
    async (connection) => {
      const channel = await openChannel(connection);
      const { queue } = await channel.assertQueue('', { exclusive: true });
      const body = Buffer.alloc(100_000, 'abcdefg');
      channel.sendToQueue(queue, body);
      const [message] = await (await inbox(channel, queue)).wait(1);
      assert.ok(message.content.equals(body));
    },
    { frameMax: 4096 },
  ));

test('many channels', () =>
  withConnection(async (connection) => {
    const channels = await Promise.all(Array.from({ length: 200 }, () => openChannel(connection)));
    const { queue } = await channels[0].assertQueue('', { exclusive: true });
    for (const channel of channels) channel.sendToQueue(queue, Buffer.from('x'));
    await Promise.all(channels.slice(1).map((channel) => channel.close()));
    assert.equal(await ready(channels[0], queue), 200);
  }));
