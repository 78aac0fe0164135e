'use strict';
// The soak's client on amqplib. See the README.

const { writeSync } = require('node:fs');
const { createRequire } = require('node:module');
const path = require('node:path');
// The suite's copy: there is one lock file for both.
const amqp = createRequire(path.join(__dirname, '..', '..', 'amqplib', 'package.json'))('amqplib');

const { SOAK_URL, SOAK_ID, SOAK_RATE, SOAK_PAUSE, SOAK_QUEUES, SOAK_DEAD } = process.env;
const queues = SOAK_QUEUES.split(',');
const say = (line) => writeSync(1, `@${line}\n`);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const micros = () => Math.round((performance.timeOrigin + performance.now()) * 1000);
const size = (number) => (number % 997 === 0 ? 150_000 : 40 + ((number * 7919) % 4000));

let over = false;
let number = 0;
process.stdin.on('end', () => { over = true; });
process.stdin.resume();

const body = (n) => Buffer.from(`${SOAK_ID} ${n} ${micros()} `.padEnd(size(n), 'x'));

async function publish(connection, lost) {
  const channel = await connection.createConfirmChannel();
  channel.on('error', () => {});
  let open = 0;
  while (!over && !lost()) {
    const tag = ++number;
    open += 1;
    channel.sendToQueue(queues[tag % queues.length], body(tag), { persistent: true }, (error) => {
      open -= 1;
      // A channel that ends says the same of what nobody knows the fate of.
      if (!error) say(`c ${tag} ${tag}`);
    });
    await sleep(1000 / Number(SOAK_RATE));
    while (open > 500 && !lost()) await sleep(10);
  }
  if (!lost()) await channel.waitForConfirms();
}

async function consume(connection, lost) {
  const channel = await connection.createChannel();
  channel.on('error', () => {});
  await channel.prefetch(50);
  const onMessage = async (message) => {
    if (!message || lost()) return;
    const { redelivered, routingKey } = message.fields;
    const head = message.content.toString('latin1', 0, 60).split(' ').slice(0, 3);
    const [publisher, n, sent] = head.map(Number);
    const [length, octets] = [head.join(' ').length + 1, message.content.length];
    const isPadded = message.content.subarray(length).every((octet) => octet === 0x78);
    if (octets !== Math.max(size(n), length) || !isPadded) say(`! ${publisher} ${n} is another one, of ${octets} octets`);
    if (n % 50 === 7 && routingKey !== SOAK_DEAD) return channel.reject(message, false);
    if (n % 50 === 8 && !redelivered) return channel.nack(message, false, true);
    say(`d ${publisher} ${n} ${Number(redelivered)} ${Math.max(0, micros() - sent)}`);
    channel.ack(message);
  };
  const careful = (message) => onMessage(message).catch((error) => console.error(String(error)));
  for (const queue of [...queues, SOAK_DEAD]) await channel.consume(queue, careful);
  while (!over && !lost()) await sleep(Number(SOAK_PAUSE) * 1000 + 50);
}

async function main(work) {
  let again = false;
  while (!over) {
    try {
      const connection = await amqp.connect(SOAK_URL, { timeout: 5000 });
      let gone = false;
      connection.on('error', (error) => console.error(String(error)));
      connection.on('close', () => { gone = true; });
      if (again) say('r');
      again = true;
      await work(connection, () => gone);
      if (!gone) await connection.close();
    } catch (error) {
      console.error(String(error));
      await sleep(300);
    }
  }
  process.exit(0);
}

main({ publish, consume }[process.argv[2]]);
