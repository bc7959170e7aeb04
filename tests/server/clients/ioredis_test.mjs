// SPDX-License-Identifier: Apache-2.0
// Usage: ioredis_test.mjs CUBBY. ioredis as a client.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Serve, once, run } from './serve.mjs';
import Redis from 'ioredis';

const server = new Serve(process.argv[2]);
server.flags.push('--dir', join(server.folder, 'data'));
await server.start();
const connect = (options = {}) => new Redis({ port: server.port, host: '127.0.0.1', ...options });
const client = connect();

await run({
  'values of all kinds': async () => {
    await client.flushall();
    assert.equal(await client.set('a', '1', 'EX', 100, 'NX'), 'OK');
    assert.equal(await client.set('a', '2', 'NX'), null);
    assert.equal(await client.incrby('a', 41), 42);
    const bytes = Buffer.from([0, 13, 10, 255]);
    await client.set('bytes', bytes);
    assert.deepEqual(await client.getBuffer('bytes'), bytes);
    assert.equal(await client.rpush('l', 'x', 'y', 'z'), 3);
    assert.deepEqual(await client.lrange('l', 0, -1), ['x', 'y', 'z']);
    assert.equal(await client.hset('h', { one: 1, two: 2 }), 2);
    assert.deepEqual(await client.hgetall('h'), { one: '1', two: '2' });
    assert.deepEqual(await client.mget('a', 'none'), ['42', null]);
  },
  'errors': async () => {
    await assert.rejects(client.lpush('a', 'x'), /^ReplyError: WRONGTYPE /);
    await assert.rejects(client.zadd('z', 1, 'x'), /unknown command 'zadd'/);
  },
  'pipelines': async () => {
    const pipeline = client.pipeline();
    for (let n = 0; n < 20000; ++n) pipeline.set(`k${n % 1000}`, n).get(`k${n % 1000}`);
    const replies = await pipeline.exec();
    assert.equal(replies.length, 40000);
    replies.forEach(([error, reply], n) => assert.equal(error ?? reply, n % 2 ? `${(n - 1) / 2}` : 'OK'));
  },
  'pipelines made by themselves': async () => {
    const automatic = connect({ enableAutoPipelining: true });
    const replies = await Promise.all(Array.from({ length: 1000 }, (_, n) => automatic.get(`k${n}`)));
    replies.forEach((reply, n) => assert.equal(reply, `${19000 + n}`));
    automatic.disconnect();
  },
  'transactions': async () => {
    assert.deepEqual(await client.multi().set('t', 1).incr('t').lpush('t', 'x').exec().then((all) => all.slice(0, 2)), [
      [null, 'OK'],
      [null, 2],
    ]);
    await assert.rejects(client.multi().set('t', 1).call('NONSENSE').exec(), /EXECABORT/);
    assert.equal(await client.get('t'), '2');
  },
  'transactions that watch': async () => {
    const other = connect();
    await client.watch('w');
    await other.set('w', 'touched');
    assert.equal(await client.multi().set('w', 'mine').exec(), null);
    await client.watch('w');
    assert.deepEqual(await client.multi().set('w', 'mine').exec(), [[null, 'OK']]);
    other.disconnect();
  },
  'blocking pops': async () => {
    const waiting = connect();
    const popped = waiting.blpop('queue', 'second', 60);
    const moved = connect();
    const target = moved.blmove('source', 'target', 'LEFT', 'RIGHT', 60);
    await client.rpush('second', 'job');
    assert.deepEqual(await popped, ['second', 'job']);
    await client.rpush('source', 'item');
    assert.equal(await target, 'item');
    assert.equal(await waiting.brpop('queue', 0.01), null);
    waiting.disconnect();
    moved.disconnect();
  },
  'messages': async () => {
    const subscriber = connect();
    const got = [];
    subscriber.on('message', (channel, message) => got.push([channel, message]));
    subscriber.on('pmessage', (pattern, channel, message) => got.push([pattern, channel, message]));
    assert.equal(await subscriber.subscribe('news', 'more'), 2);
    assert.equal(await subscriber.psubscribe('n*'), 3);
    assert.equal(await client.publish('news', 'hello'), 2);
    while (got.length < 2) await once(subscriber, got.length === 0 ? 'message' : 'pmessage');
    assert.deepEqual(got, [
      ['news', 'hello'],
      ['n*', 'news', 'hello'],
    ]);
    await subscriber.unsubscribe('news', 'more');
    await subscriber.punsubscribe('n*');
    assert.equal(await subscriber.get('w'), 'mine');
    subscriber.disconnect();
  },
  'scans': async () => {
    const keys = new Set();
    for await (const some of client.scanStream({ match: 'k*', count: 100 })) some.forEach((key) => keys.add(key));
    assert.equal(keys.size, 1000);
    await client.hset('large', Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`f${n}`, n])));
    let fields = 0;
    for await (const some of client.hscanStream('large')) fields += some.length / 2;
    assert.equal(fields, 1000);
  },
  'prefixes, databases and paths': async () => {
    const prefixed = connect({ keyPrefix: 'p:', db: 7 });
    await prefixed.set('a', 'v');
    const byPath = new Redis(server.path, { db: 7 });
    assert.equal(await byPath.get('p:a'), 'v');
    assert.equal(await client.exists('p:a'), 0);
    prefixed.disconnect();
    byPath.disconnect();
  },
  'a server that is started again': async () => {
    const subscriber = connect({ retryStrategy: () => 50 });
    const survivor = connect({ retryStrategy: () => 50, maxRetriesPerRequest: null });
    for (const one of [subscriber, survivor, client]) one.on('error', () => {});
    await subscriber.subscribe('news');
    await survivor.set('kept', 'value');
    const noticed = once(survivor, 'close');
    assert.equal(await server.stop(), 0);
    await noticed;
    const later = survivor.get('kept');
    const subscribed = once(subscriber, 'ready');
    await server.start();
    assert.equal(await later, 'value');
    await subscribed;
    // It subscribes again by itself.
    while ((await survivor.pubsub('NUMSUB', 'news'))[1] !== 1);
    const message = once(subscriber, 'message');
    assert.equal(await survivor.publish('news', 'again'), 1);
    assert.equal(await message, 'news');
    subscriber.disconnect();
    survivor.disconnect();
  },
});

client.disconnect();
assert.equal(await server.stop(), 0);
