'use strict';
// Publishing: routing, confirms, returns, transactions, properties and sizes.

const assert = require('node:assert/strict');
const test = require('node:test');
const { defs, fill, inbox, openChannel, ready, unique, waitUntil, withQueue } = require('../support');

const getOne = (channel, queue) => waitUntil(() => channel.get(queue, { noAck: true }), `a message in ${queue}`);

test('default exchange and get', withQueue(async ({ channel, queue }) => {
  assert.equal(await channel.get(queue), false);
  channel.sendToQueue(queue, Buffer.from('hello'));
  const message = await getOne(channel, queue);
  assert.equal(message.content.toString(), 'hello');
  assert.deepEqual(
    [message.fields.exchange, message.fields.routingKey, message.fields.redelivered, message.fields.messageCount],
    ['', queue, false, 0],
  );
}));

for (const [kind, binding, hits, misses] of [
  ['direct', 'a', ['a'], ['b', '']],
  ['fanout', '', ['a', 'anything'], []],
  ['topic', 'a.*.c.#', ['a.b.c', 'a.b.c.d.e'], ['a.c', 'a.b.d']],
]) {
  test(`${kind} exchange`, withQueue(async ({ connection, queue }) => {
    const channel = await openChannel(connection, true);
    const { exchange } = await channel.assertExchange(unique(kind), kind, { durable: false, autoDelete: true });
    await channel.bindQueue(queue, exchange, binding);
    for (const key of [...misses, ...hits]) channel.publish(exchange, key, Buffer.from(key));
    await channel.waitForConfirms();
    assert.equal(await ready(channel, queue), hits.length);
    for (const key of hits) assert.equal((await getOne(channel, queue)).content.toString(), key);
  }));
}

test('headers exchange and exchange-to-exchange', withQueue(async ({ channel, queue }) => {
  const source = unique('source');
  const destination = unique('destination');
  await channel.assertExchange(source, 'headers', { durable: false, autoDelete: true });
  await channel.assertExchange(destination, 'fanout', { durable: false });
  await channel.bindExchange(destination, source, '', { 'x-match': 'any', colour: 'red', size: 3 });
  await channel.bindQueue(queue, destination, '');
  channel.publish(source, '', Buffer.from('no'), { headers: { colour: 'blue' } });
  channel.publish(source, '', Buffer.from('yes'), { headers: { colour: 'blue', size: 3 } });
  assert.equal((await getOne(channel, queue)).content.toString(), 'yes');
  await channel.unbindExchange(destination, source, '', { 'x-match': 'any', colour: 'red', size: 3 });
  await channel.deleteExchange(destination);
}));

test('confirms', withQueue(async ({ connection, queue }) => {
  const channel = await openChannel(connection, true);
  let confirmed = 0;
  for (let number = 0; number < 1000; number++) {
    channel.sendToQueue(queue, Buffer.from(String(number)), {}, (error) => {
      assert.equal(error, null);
      confirmed++;
    });
  }
  await channel.waitForConfirms();
  assert.equal(confirmed, 1000);
  assert.equal(await ready(channel, queue), 1000);
}));

test('mandatory messages are returned before they are confirmed', withQueue(async ({ connection }) => {
  const channel = await openChannel(connection, true);
  const events = [];
  channel.on('return', (message) => events.push(message));
  const key = unique('nobody');
  channel.publish('', key, Buffer.from('back'), { mandatory: true, messageId: '7' }, () => events.push('confirmed'));
  await channel.waitForConfirms();
  assert.equal(events.length, 2);
  assert.equal(events[1], 'confirmed');
  assert.equal(events[0].content.toString(), 'back');
  assert.equal(events[0].properties.messageId, '7');
  assert.deepEqual(
    [events[0].fields.replyCode, events[0].fields.replyText, events[0].fields.routingKey],
    [312, 'NO_ROUTE', key],
  );
}));

test('transactions', withQueue(async ({ connection, channel, queue }) => {
  // amqplib has no transaction calls; its codec does.
  const writer = await openChannel(connection);
  await writer.rpc(defs.TxSelect, {}, defs.TxSelectOk);
  writer.sendToQueue(queue, Buffer.from('rolled back'));
  await writer.rpc(defs.TxRollback, {}, defs.TxRollbackOk);
  writer.sendToQueue(queue, Buffer.from('committed'));
  assert.equal(await ready(channel, queue), 0);
  await writer.rpc(defs.TxCommit, {}, defs.TxCommitOk);
  assert.equal((await getOne(channel, queue)).content.toString(), 'committed');
  assert.equal(await channel.get(queue), false);
}));

test('a large message', withQueue(async ({ channel, queue }) => {
  const body = Buffer.alloc(1024 * 1024);
  for (let offset = 0; offset < body.length; offset += 4) body.writeUInt32BE(offset, offset);
  const received = await inbox(channel, queue);
  channel.sendToQueue(queue, body);
  const [message] = await received.wait(1);
  assert.ok(message.content.equals(body));
  channel.ack(message);
}));

test('headers of all types', withQueue(async ({ channel, queue }) => {
  const headers = {
    string: 'räksmörgås',
    yes: true,
    no: false,
    byte: { '!': 'byte', value: -7 },
    unsignedbyte: { '!': 'unsignedbyte', value: 200 },
    short: { '!': 'short', value: -3000 },
    unsignedshort: { '!': 'unsignedshort', value: 60000 },
    int: { '!': 'int', value: -70000 },
    unsignedint: { '!': 'unsignedint', value: 4000000000 },
    long: { '!': 'long', value: 2 ** 40 },
    'negative long': { '!': 'long', value: -(2 ** 40) },
    float: { '!': 'float', value: 1.5 },
    double: { '!': 'double', value: 3.25 },
    decimal: { '!': 'decimal', value: { places: 2, digits: 314 } },
    timestamp: { '!': 'timestamp', value: 1709209845 },
    nothing: null,
    bytes: Buffer.from([0, 255]),
    table: { inner: { deep: 'er' }, n: 1 },
    array: [1, 'two', null, [3.5], { four: 4 }],
    'empty table': {},
    'empty array': [],
  };
  const expected = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => {
      const bare = value?.['!'] && !['decimal', 'timestamp'].includes(value['!']);
      return [name, bare ? value.value : value];
    }),
  );
  channel.sendToQueue(queue, Buffer.from('x'), { headers });
  assert.deepEqual((await getOne(channel, queue)).properties.headers, expected);
}));

test('every property', withQueue(async ({ channel, queue }) => {
  const sent = {
    contentType: 'application/json',
    contentEncoding: 'utf-8',
    headers: { k: 'v' },
    deliveryMode: 2,
    priority: 5,
    correlationId: 'c-1',
    replyTo: 'r-1',
    expiration: '600000',
    messageId: 'm-1',
    timestamp: 1_700_000_000,
    type: 't-1',
    userId: 'guest',
    appId: 'a-1',
    clusterId: undefined,
  };
  channel.sendToQueue(queue, Buffer.from('x'), sent);
  assert.deepEqual({ ...(await getOne(channel, queue)).properties }, sent);
}));

test('purge and delete report counts', withQueue(async ({ channel, queue }) => {
  await fill(channel, queue, 3);
  assert.deepEqual(await channel.purgeQueue(queue), { messageCount: 3 });
  await fill(channel, queue, 2);
  assert.deepEqual(await channel.deleteQueue(queue), { messageCount: 2 });
}));
