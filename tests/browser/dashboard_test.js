// SPDX-License-Identifier: Apache-2.0
// The dashboard in headless Chromium: node dashboard_test.js <cubby> [folder for screenshots].

import assert from 'node:assert/strict';
import {mkdirSync} from 'node:fs';
import {join} from 'node:path';
import {chromium} from 'playwright-core';

import {CubbyServer} from './server.js';

const [cubby, screenshots] = process.argv.slice(2);
const password = 'secret & safe';
const wholeTime = 60_000;

const server = await CubbyServer.start(cubby, ['--requirepass', password]);
const browser = await chromium.launch(
    {timeout: 120_000, executablePath: process.env.CHROMIUM, args: process.getuid() === 0 ? ['--no-sandbox'] : []});
const complaints = [];
let page;

async function newPage(url, options = {}) {
  const context = await browser.newContext({viewport: {width: 1360, height: 860}, reducedMotion: 'reduce', ...options});
  context.setDefaultTimeout(wholeTime);
  const opened = await context.newPage();
  // Answers with an error status are part of the test; what the page's policy forbids, or a script that fails, isn't.
  opened.on('console', (message) => {
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) complaints.push(message.text());
  });
  opened.on('pageerror', (error) => complaints.push(String(error)));
  opened.on('request', (request) => {
    if (!request.url().startsWith(url)) complaints.push(`asked for ${request.url()}`);
  });
  await opened.goto(url);
  return opened;
}

async function signIn() {
  await page.getByLabel('Password').fill(password);
  await page.getByRole('main').getByRole('button', {name: 'Sign in'}).click();
  await page.getByRole('button', {name: 'Sign out'}).waitFor();
}

/** Waits until `read()` is as wanted: what it reads changes by itself. */
async function eventually(read, wanted, what) {
  const end = Date.now() + wholeTime;
  for (;;) {
    const seen = await read();
    if (wanted(seen)) return;
    if (Date.now() > end) assert.fail(`${what}: ${seen}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function picture(name) {
  if (!screenshots) return;
  mkdirSync(screenshots, {recursive: true});
  await page.screenshot({path: join(screenshots, `${name}.png`)});
}

const noOverflow = async (what) => assert.ok(
    await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth),
    `${what} is wider than the screen`);
const go = (name) => page.getByRole('link', {name, exact: true}).click();
const openKey = async (search, key) => {
  await page.getByLabel('Search keys').fill(search);
  await page.locator('.key-list a', {has: page.getByText(key, {exact: true})}).click();
  await page.locator('.key-title', {hasText: key}).waitFor();
};
const card = (title) => page.locator('.card.chart', {has: page.getByRole('heading', {name: title})});
const tree = () => page.locator('.value');

const script = '<img src=x onerror="document.title=\'attacked\'">';
const session = {
  user: {id: 9007199254740993n, name: 'Ann Ozan', mail: 'ann@example.org', roles: ['member', 'moderator']},
  device: {kind: 'phone', app: '4.12.0', push: true},
  room: 'general',
  score: 12.75,
  last_seen: 1764403200,
  typing: null,
};
const text = (value) =>
    JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? `#${each}` : each)).replaceAll(/"#(\d+)"/g, '$1');

async function fill() {
  const auth = server.run(['AUTH', password]);
  const commands = [];
  for (let number = 0; number < 400; ++number) {
    commands.push(
        ['JSON.SET', `session:${String(number).padStart(4, '0')}`, '$', text({...session, room: `room ${number % 7}`})]);
    if (number % 3 === 0) commands.push(['EXPIRE', `session:${String(number).padStart(4, '0')}`, String(600 + number * 40)]);
  }
  for (let number = 0; number < 1000; ++number) commands.push(['RPUSH', 'queue:mail', `{"to": ${number}}`]);
  commands.push(
      ['SET', 'visits', '184023'], ['SET', 'greeting', 'Good morning.\nHave a look around.'],
      ['HSET', 'config', 'colour', 'teal', 'limit', '50'],
      ['SET', 'image', Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 1, 2, 0xff, 0xfe, ...Array(40).keys()])],
      ['SET', Buffer.from([0xff, 0x01]), 'odd'], ['SET', script, script], ['SET', 'long', 'x'.repeat(100_000)],
      ['SET', 'a/b~c%', 'name with signs'],
      ['JSON.SET', 'signs', '$', '{"a/b~c%": {"deep": {"deeper": {"deepest": {"bottom": 1}}}}}'], ['SELECT', '3'],
      ['SET', 'elsewhere', '1'], ['SELECT', '0']);
  assert.match(await auth, /OK/);
  assert.doesNotMatch(await server.run(...commands), /(^|\n)-/);
}

const tests = {
  async 'asks for the password, and not for nothing'() {
    page = await newPage(server.url);
    await page.getByRole('heading', {name: 'Sign in to cubby'}).waitFor();
    await picture('sign-in');
    await page.getByLabel('Password').fill('wrong');
    await page.getByRole('main').getByRole('button', {name: 'Sign in'}).click();
    await page.getByText('The name or the password is wrong.').waitFor();
    await signIn();
    assert.equal((await page.context().cookies())[0].httpOnly, true);
    assert.equal((await page.context().cookies())[0].sameSite, 'Strict');
  },

  async 'shows operations, latency, memory, clients and stores as they change'() {
    const reading = async (title) => (await card(title).locator('.number').first().textContent()) ?? '';
    let working = true;
    const load = (async () => {
      for (let round = 0; working; ++round) {
        await server.run(...Array.from({length: 200}, (_, index) => (index % 4 === 0 ? ['SET', 'hot', String(round)] : [
                                                        'GET', index % 4 === 1 ? 'visits' : 'greeting'
                                                      ])));
        await server.run(
            ['JSON.GET', 'session:0001'], ['LRANGE', 'queue:mail', '0', '20'], ['GET', 'missing'], ['HGETALL', 'config']);
        await new Promise((resolve) => setTimeout(resolve, 5 + 20 * Math.abs(Math.sin(round / 60))));
      }
    })();
    await eventually(() => reading('Operations a second'), (shown) => shown !== '–' && shown !== '0', 'operations');
    await eventually(() => reading('Latency'), (shown) => / (µs|ms)$/.test(shown), 'latency');
    await eventually(() => reading('Memory'), (shown) => / (KiB|MiB)$/.test(shown), 'memory');
    await eventually(() => reading('Clients'), (shown) => shown === '1', 'clients');
    await page.getByRole('row', {name: /db0 \d+/}).waitFor();
    await page.getByRole('row', {name: /db3 1 /}).waitFor();
    await page.getByRole('row', {name: /GET [\d.K]+ /}).first().waitFor();
    if (screenshots) await new Promise((resolve) => setTimeout(resolve, 60_000));  // for charts that are worth a picture
    await eventually(
        async () => (await card('Operations a second').locator('path.line').getAttribute('d')).split('L').length,
        (points) => points > 2, 'points');
    await picture('overview-light');
    await page.emulateMedia({colorScheme: 'dark'});
    await picture('overview-dark');
    await page.emulateMedia({colorScheme: 'light'});
    const plot = card('Operations a second').locator('.plot');
    const {x, y, width} = await plot.boundingBox();
    await page.mouse.move(x + width - 1, y + 40);
    await card('Operations a second').getByText(/^at \d/).waitFor();
    await page.mouse.move(0, 0);
    await card('Operations a second').getByText(/ in all/).waitFor();
    working = false;
    await load;
    // Whoever blocks is seen.
    const waiter = await server.connect();
    await waiter.run(['AUTH', password]);
    waiter.run(['BLPOP', 'nothing:here', '0']);
    await page.getByText('1 blocked · 1 waiter').waitFor();
    await go('Clients');
    await page.getByRole('row', {name: /BLPOP.*waits/}).waitFor();
    await picture('clients');
    waiter.end();
    await eventually(() => page.locator('tbody tr').count(), (rows) => rows === 1, 'clients');
  },

  async 'finds keys'() {
    await go('Keys');
    await page.getByText('100 shown').or(page.getByText(/^\d+ shown/)).first().waitFor();
    // Fewer than a search stops at: where in the scan the last of them comes differs from run to run.
    await page.getByLabel('Search keys').fill('session:000*');
    await page.getByText('10 keys of').waitFor();
    await page.getByLabel('Search keys').fill('ueue');
    await page.getByText('1 key of').waitFor();
    await page.getByLabel('Search keys').fill('nothing of that name');
    await page.getByText('No key matches.').waitFor();
    await page.getByLabel('Store').selectOption('db3');
    await page.getByLabel('Search keys').fill('');
    await page.getByText('elsewhere').waitFor();
    await page.getByLabel('Store').selectOption('db0');
  },

  async 'shows values as trees, exactly, and large ones in parts'() {
    await openKey('session:0003', 'session:0003');
    await page.getByText(/^expires in /).waitFor();
    const before = await page.locator('#ttl').textContent();
    await eventually(() => page.locator('#ttl').textContent(), (now) => now !== before, 'the time to live');
    await tree().getByText('user', {exact: true}).click();
    await tree().getByText('9007199254740993', {exact: true}).waitFor();
    await tree().getByText('roles', {exact: true}).click();
    await tree().getByText('"moderator"').waitFor();
    await tree().getByText('device', {exact: true}).click();
    await tree().getByText('true', {exact: true}).waitFor();
    await picture('keys-light');
    await page.emulateMedia({colorScheme: 'dark'});
    await picture('keys-dark');
    await page.emulateMedia({colorScheme: 'light'});

    await openKey('queue', 'queue:mail');
    assert.equal(await tree().locator('.leaf').count(), 100);
    await tree().getByRole('button', {name: 'Show more (100 of 1,000)'}).click();
    await tree().getByRole('button', {name: 'Show more (200 of 1,000)'}).waitFor();
    assert.equal(await tree().locator('.leaf').count(), 200);

    await openKey('signs', 'signs');
    for (const name of ['a/b~c%', 'deep', 'deeper', 'deepest']) await tree().getByText(name, {exact: true}).click();
    await tree().getByText('bottom', {exact: true}).waitFor();
    await openKey('image', 'image');
    await tree().getByText('89 50 4e 47').waitFor();
    await picture('binary');
    await openKey('greet', 'greeting');
    await tree().getByText('Have a look around.').waitFor();
    await openKey('long', 'long');
    await tree().getByText('The beginning: 97.7 KiB in all.').waitFor();
    await openKey('a/b', 'a/b~c%');
    await tree().getByText('name with signs').waitFor();
    await page.reload();
    await tree().getByText('name with signs').waitFor();
  },

  async 'shows names that are no text, and runs nothing that it shows'() {
    await page.getByLabel('Search keys').fill('?\x01');
    await page.locator('.key-list a', {hasText: '\\xff\\x01'}).click();
    await tree().getByText('odd').waitFor();
    await openKey('onerror', script);
    await tree().getByText(script).waitFor();
    await page.getByRole('link', {name: 'Overview'}).click();
    await go('Keys');
    assert.equal(await page.title(), 'Keys · cubby');
    assert.equal(await page.locator('img[src="x"]').count(), 0);
  },

  async 'changes and removes keys'() {
    await openKey('config', 'config');
    await page.getByRole('button', {name: 'Edit'}).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Value').fill('{"colour": ');
    await dialog.getByRole('button', {name: 'Save'}).click();
    await dialog.getByText('This is no JSON').waitFor();
    await dialog.getByLabel('Value').fill('{"colour": "blue", "big": 9007199254740993}');
    await picture('edit');
    await dialog.getByRole('button', {name: 'Save'}).click();
    await tree().getByText('"blue"').waitFor();
    await tree().getByText('9007199254740993').waitFor();
    assert.match(await server.run(['HGET', 'config', 'colour']), /blue/);

    // What somebody else has written meanwhile isn't overwritten.
    await page.getByRole('button', {name: 'Edit'}).click();
    await dialog.getByLabel('Value').fill('{}');
    await server.run(['HSET', 'config', 'colour', 'red']);
    await dialog.getByRole('button', {name: 'Save'}).click();
    await dialog.getByText('Somebody has changed the value meanwhile').waitFor();
    await dialog.getByRole('button', {name: 'Cancel'}).click();
    assert.match(await server.run(['HGET', 'config', 'colour']), /red/);

    await page.getByRole('button', {name: 'Expiry'}).click();
    await dialog.getByLabel('Time to live').fill('2');
    await dialog.getByRole('button', {name: 'Set'}).click();
    await page.getByText(/^expires in (2 h|1 h 59 min)$/).waitFor();
    await page.getByRole('button', {name: 'Expiry'}).click();
    await dialog.getByRole('button', {name: 'Let it never expire'}).click();
    await page.getByText('no expiry').waitFor();

    await page.getByRole('button', {name: 'Delete'}).click();
    await dialog.getByRole('button', {name: 'Delete'}).click();
    await page.getByText('This key is not there any more.').waitFor();
    assert.match(await server.run(['EXISTS', 'config']), /:0/);

    await page.getByRole('button', {name: 'New key'}).click();
    await dialog.getByLabel('Key').fill('made here');
    await dialog.getByLabel('Value').fill('[1, "two"]');
    await dialog.getByRole('button', {name: 'Save'}).click();
    await page.locator('.key-title', {hasText: 'made here'}).waitFor();
    assert.match(await server.run(['LRANGE', 'made here', '0', '-1']), /two/);
  },

  async 'follows the system, or the switch, in light and dark'() {
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await background();
    await page.emulateMedia({colorScheme: 'dark'});
    const dark = await background();
    assert.notEqual(dark, light);
    await page.getByRole('button', {name: 'Switch between light and dark'}).click();
    assert.equal(await background(), light);
    await page.reload();
    assert.equal(await background(), light);
    await page.getByRole('button', {name: 'Switch between light and dark'}).click();
    await page.emulateMedia({colorScheme: 'light'});
    assert.equal(await background(), dark);
  },

  async 'fits a phone'() {
    await page.context().close();
    page =
        await newPage(server.url, {viewport: {width: 390, height: 844}, deviceScaleFactor: 2, hasTouch: true, isMobile: true});
    await noOverflow('the sign-in');
    await signIn();
    await card('Clients').waitFor();
    await noOverflow('the overview');
    await picture('phone-overview');
    await go('Keys');
    await page.locator('.key-list a').first().waitFor();
    await noOverflow('the list of keys');
    await picture('phone-keys');
    await openKey('session:0006', 'session:0006');
    await tree().getByText('user', {exact: true}).click();
    await tree().getByText('"Ann Ozan"').waitFor();
    await noOverflow('a value');
    await picture('phone-value');
    await page.getByRole('button', {name: '‹ Keys'}).click();
    await page.locator('.key-list').waitFor();
    await go('Clients');
    await page.locator('tbody tr').first().waitFor();
    await noOverflow('the clients');
  },

  async 'is read-only without a password'() {
    const open = await CubbyServer.start(cubby);
    try {
      await open.run(['SET', 'key', '1']);
      const before = page;
      page = await newPage(open.url);
      await page.getByText('read-only').waitFor();
      await go('Keys');
      await openKey('key', 'key');
      await page.getByRole('button', {name: 'Reload'}).waitFor();
      for (const name of ['Edit', 'Expiry', 'Delete', 'New key', 'Sign in']) {
        assert.equal(await page.getByRole('button', {name, exact: true}).count(), 0, name);
      }
      await page.context().close();
      page = before;
    } finally {
      await open.stop();
    }
  },

  async 'signs out, and says when the server is gone'() {
    await go('Overview');
    await page.getByRole('button', {name: 'Sign out'}).click();
    await page.getByRole('heading', {name: 'Sign in to cubby'}).waitFor();
    await signIn();
    await server.stop();
    await page.getByText("The server doesn't answer.").waitFor();
  },
};

let failed = 0;
try {
  await fill();
  for (const [name, test] of Object.entries(tests)) {
    try {
      await test();
      console.log(`ok      ${name}`);
    } catch (error) {
      ++failed;
      console.log(`FAILED  ${name}\n${error.stack}`);
      if (page) await picture('failed');
      break;  // those that follow go on from it
    }
  }
  if (complaints.length > 0) {
    ++failed;
    console.log(`FAILED  the browser complained:\n  ${complaints.join('\n  ')}`);
  }
} finally {
  await browser.close();
  await server.stop();
}
process.exitCode = failed === 0 ? 0 : 1;
