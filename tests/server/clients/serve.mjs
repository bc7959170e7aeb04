// SPDX-License-Identifier: Apache-2.0
// `cubby serve` as a process, for tests of clients.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, openSync, closeSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const freePort = () =>
  new Promise((resolve, reject) => {
    const probe = createServer().on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });

/// Listens on a free port and on a Unix socket. Keeps its port when it is started again.
export class Serve {
  constructor(cubby, ...flags) {
    this.cubby = cubby;
    this.flags = flags;
    this.folder = mkdtempSync(join(tmpdir(), 'cubby-clients-'));
    this.path = join(this.folder, 'socket');
    this.log = join(this.folder, 'log');
    process.on('exit', () => {
      this.process?.kill('SIGKILL');
      rmSync(this.folder, { recursive: true, force: true });
    });
  }

  async start() {
    for (let attempt = 0; attempt < 5; ++attempt) {
      // Somebody else may take the port meanwhile.
      const port = this.port ?? (await freePort());
      const log = openSync(this.log, 'a');
      const child = spawn(
        this.cubby,
        ['serve', '--port', `${port}`, '--bind', '127.0.0.1', '--http-port', '0', '--unixsocket', this.path, ...this.flags],
        { stdio: ['ignore', 'pipe', log] },
      );
      closeSync(log);
      this.ended = new Promise((resolve) => child.on('exit', (status) => resolve(status)));
      const ready = await new Promise((resolve) => {
        child.stdout.once('data', (text) => resolve(`${text}`.includes(' serves on ')));
        child.on('exit', () => resolve(false));
      });
      if (ready) {
        this.port = port;
        this.process = child;
        return this;
      }
    }
    throw new Error(`cubby serve doesn't start: ${readFileSync(this.log)}`);
  }

  /// Its exit status.
  stop() {
    this.process.kill('SIGTERM');
    return this.ended;
  }
}

/// Runs the tests one after the other, and says which.
export async function run(tests) {
  for (const [name, test] of Object.entries(tests)) {
    console.log(`  ${name}`);
    await test();
  }
}

/// Resolves when the emitter says so.
export const once = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve));
