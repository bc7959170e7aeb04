// SPDX-License-Identifier: Apache-2.0
// Usage: node_redis_test.mjs CUBBY. node-redis as a client, in both protocols.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Serve, once, run } from './serve.mjs';
import { WatchError, createClient, createClientPool } from 'redis';

const server = new Serve(process.argv[2]);
server.flags.push('--dir', join(server.folder, 'data'));
await server.start();

async function connect(options = {}) {
  const socket = { host: '127.0.0.1', port: server.port, reconnectStrategy: () => 50 };
  return createClient({ socket, ...options }).on('error', () => {}).connect();
}

const tests = (client, protocol) => ({
  'values of all kinds': async () => {
    await client.flushAll();
    assert.equal(await client.set('a', '1', { EX: 100, NX: true }), 'OK');
    assert.equal(await client.set('a', '2', { NX: true }), null);
    assert.equal(await client.incrBy('a', 41), 42);
    assert.equal(await client.incrByFloat('f', 0.5), '0.5');
    assert.equal(await client.rPush('l', ['x', 'y', 'z']), 3);
    assert.deepEqual(await client.lRange('l', 0, -1), ['x', 'y', 'z']);
    assert.equal(await client.hSet('h', { one: 1, two: 2 }), 2);
    assert.deepEqual({ ...(await client.hGetAll('h')) }, { one: '1', two: '2' });
    assert.deepEqual(await client.mGet(['a', 'none']), ['42', null]);
    assert.equal(await client.type('h'), 'hash');
    assert.equal(await client.ttl('l'), -1);
  },
  'errors': async () => {
    await assert.rejects(client.lPush('a', 'x'), /WRONGTYPE/);
    await assert.rejects(client.zAdd('z', { score: 1, value: 'x' }), /unknown command 'ZADD'/);
  },
  'pipelines made by themselves': async () => {
    const replies = await Promise.all(
      Array.from({ length: 20000 }, (_, n) => (n % 2 ? client.get(`k${(n - 1) % 1000}`) : client.set(`k${n % 1000}`, `${n}`))),
    );
    replies.forEach((reply, n) => assert.equal(reply, n % 2 ? `${n - 1}` : 'OK'));
  },
  'JSON': async () => {
    assert.equal(await client.json.set('doc', '$', { a: [1, 2], b: { c: 'x' } }), 'OK');
    assert.deepEqual(await client.json.get('doc', { path: '$.b.c' }), ['x']);
    assert.deepEqual(await client.json.arrAppend('doc', '$.a', 3), [3]);
    assert.deepEqual(await client.json.get('doc'), { a: [1, 2, 3], b: { c: 'x' } });
  },
  'transactions': async () => {
    assert.deepEqual(await client.multi().set('t', 1).incr('t').get('t').exec(), ['OK', 2, '2']);
    await assert.rejects(client.multi().set('t', 5).addCommand(['NONSENSE']).exec(), /EXECABORT|unknown command/);
    assert.equal(await client.get('t'), '2');
  },
  'transactions that watch': async () => {
    const other = await connect();
    await client.watch('w');
    await other.set('w', 'touched');
    await assert.rejects(client.multi().set('w', 'mine').exec(), WatchError);
    await client.watch('w');
    assert.deepEqual(await client.multi().set('w', 'mine').exec(), ['OK']);
    other.destroy();
  },
  'blocking pops': async () => {
    const pool = await createClientPool({ socket: { host: '127.0.0.1', port: server.port }, RESP: protocol })
      .on('error', () => {})
      .connect();
    const popped = pool.blPop(['queue', 'second'], 60);
    const moved = pool.blMove('source', 'target', 'LEFT', 'RIGHT', 60);
    await client.rPush('second', 'job');
    await client.rPush('source', 'item');
    assert.deepEqual({ ...(await popped) }, { key: 'second', element: 'job' });
    assert.equal(await moved, 'item');
    assert.equal(await pool.brPop('queue', 0.01), null);
    pool.destroy();
  },
  'messages': async () => {
    const subscriber = await connect({ RESP: protocol });
    const got = [];
    const both = new Promise((resolve) => {
      const take = (message, channel) => got.push([channel, message]) === 2 && resolve();
      subscriber.subscribe('news', take).then(() => subscriber.pSubscribe('n*', take)).then(() => client.publish('news', 'hello'));
    });
    await both;
    assert.deepEqual(got, [
      ['news', 'hello'],
      ['news', 'hello'],
    ]);
    // With RESP3 a subscriber may do anything else, too.
    if (protocol === 3) assert.equal(await subscriber.get('w'), 'mine');
    await subscriber.unsubscribe('news');
    await subscriber.pUnsubscribe('n*');
    // With RESP2 it still reads bytes, then.
    assert.equal(`${await subscriber.get('w')}`, 'mine');
    subscriber.destroy();
  },
  'scans': async () => {
    const keys = new Set();
    for await (const some of client.scanIterator({ MATCH: 'k*', COUNT: 100 })) some.forEach((key) => keys.add(key));
    assert.equal(keys.size, 500);
    await client.hSet('large', Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`f${n}`, n])));
    let fields = 0;
    for await (const some of client.hScanIterator('large')) fields += some.length;
    assert.equal(fields, 1000);
  },
  'databases and paths': async () => {
    const other = await connect({ database: 7 });
    await other.set('only', 'here');
    const byPath = await createClient({ socket: { path: server.path }, database: 7 }).connect();
    assert.equal(await byPath.get('only'), 'here');
    assert.equal(await client.exists('only'), 0);
    other.destroy();
    byPath.destroy();
  },
  'a server that is started again': async () => {
    const subscriber = await connect({ RESP: protocol });
    let heard;
    const message = new Promise((resolve) => (heard = resolve));
    await subscriber.subscribe('news', heard);
    await client.set('kept', 'value');
    const noticed = once(client, 'reconnecting');
    const back = [client, subscriber].map((one) => once(one, 'ready'));
    assert.equal(await server.stop(), 0);
    await noticed;
    const later = client.get('kept');
    await server.start();
    assert.equal(await later, 'value');
    await Promise.all(back);
    // It subscribes again by itself.
    while ((await client.pubSubNumSub('news')).news !== 1);
    assert.equal(await client.publish('news', 'again'), 1);
    assert.equal(await message, 'again');
    subscriber.destroy();
  },
});

for (const protocol of [2, 3]) {
  console.log(` protocol ${protocol}`);
  const client = await connect({ RESP: protocol });
  await run(tests(client, protocol));
  client.destroy();
}
assert.equal(await server.stop(), 0);
