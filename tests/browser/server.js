// SPDX-License-Identifier: Apache-2.0
// `cubby serve` as a process, with a client that fills it.

import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, rmSync} from 'node:fs';
import net from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {createInterface} from 'node:readline';

async function freePort() {
  const probe = net.createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const {port} = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

class RedisClient {
  static async connect(path) {
    const client = new RedisClient();
    client.socket = net.connect(path);
    await once(client.socket, 'connect');
    return client;
  }

  /** Sends commands (arrays of strings or buffers) together; resolves with the replies' bytes once the last one has come. */
  async run(...commands) {
    const mark = `end-${Math.random()}`;
    const pieces = [];
    for (const command of [...commands, ['ECHO', mark]]) {
      pieces.push(Buffer.from(`*${command.length}\r\n`));
      for (const argument of command.map((each) => Buffer.from(each))) {
        pieces.push(Buffer.from(`$${argument.length}\r\n`), argument, Buffer.from('\r\n'));
      }
    }
    let received = '';
    const replies = new Promise((resolve) => {
      const take = (bytes) => {
        received += bytes.toString('latin1');
        const end = received.indexOf(`$${mark.length}\r\n${mark}\r\n`);
        if (end < 0) return;
        this.socket.off('data', take);
        resolve(received.slice(0, end));
      };
      this.socket.on('data', take);
    });
    this.socket.write(Buffer.concat(pieces));
    return replies;
  }

  end() { this.socket.destroy(); }
}

export class CubbyServer {
  /** Starts one, on a Unix socket and a free HTTP port. */
  static async start(cubby, settings = []) {
    const server = new CubbyServer();
    server.folder = mkdtempSync(join(tmpdir(), 'cubby-browser-'));
    const socket = join(server.folder, 'socket');
    server.process = spawn(
        cubby, ['serve', '--port', '0', '--unixsocket', socket, '--http-port', String(await freePort()), ...settings],
        {stdio: ['ignore', 'pipe', 'inherit']});
    for await (const line of createInterface({input: server.process.stdout})) {
      if (line.startsWith('dashboard: ')) {
        server.url = line.slice('dashboard: '.length);
        break;
      }
    }
    if (!server.url) throw new Error('cubby serve has ended before it said where its dashboard is');
    server.client = await server.connect();
    return server;
  }

  async connect() { return RedisClient.connect(join(this.folder, 'socket')); }
  run(...commands) { return this.client.run(...commands); }

  async stop() {
    this.client.end();
    if (this.process.exitCode === null) {
      this.process.kill('SIGTERM');
      await once(this.process, 'exit');
    }
    rmSync(this.folder, {recursive: true, force: true});
  }
}
