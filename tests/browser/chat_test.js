// SPDX-License-Identifier: Apache-2.0
// The chat in a real browser: two people talk, one leaves and comes back, and the server is killed with -9 in between.
// Run by run.sh. Arguments: the server, a folder for screenshots (optional).
import assert from 'node:assert/strict';
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {chromium} from 'playwright-core';

const [server, pictures] = process.argv.slice(2);

const folder = mkdtempSync(join(tmpdir(), 'cubby-chat-'));
let port = 0;
let running = null;

async function startServer() {
  running = spawn(server, [`--port=${port}`, `--data=${join(folder, 'data')}`], {stdio: ['ignore', 'pipe', 'inherit']});
  const [line] = await once(createInterface(running.stdout), 'line');
  port = Number(/:(\d+)\//.exec(line)[1]); // the same after a restart
}
async function killServer() {
  const gone = once(running, 'exit');
  running.kill('SIGKILL');
  await gone;
}

const browser = await chromium.launch({executablePath: process.env.CHROMIUM, args: ['--no-sandbox', '--disable-gpu']});
const problems = [];

async function newPage(options = {}) {
  const context = await browser.newContext({viewport: {width: 1280, height: 800}, colorScheme: 'light', ...options});
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.on('pageerror', (error) => problems.push(error));
  return page;
}
async function signIn(name, options) {
  const page = await newPage(options);
  await page.goto(`http://127.0.0.1:${port}/`);
  await page.getByLabel('Your name').fill(name);
  await page.getByRole('button', {name: 'Sign in'}).click();
  await page.locator('#chat').waitFor();
  return page;
}
async function say(page, text) {
  await page.getByLabel('Message', {exact: true}).fill(text);
  await page.getByLabel('Message', {exact: true}).press('Enter');
}
const message = (page, text) => page.locator('#messages .message:not(.waiting) .text', {hasText: text});
const go = (page, name) => page.locator('#sidebar button.item').filter({has: page.locator('.label', {hasText: new RegExp(`^${name}$`)})}).click();
const picture = async (page, name) => pictures && page.screenshot({path: join(pictures, `${name}.png`)});
/** The texts shown, without those that wait to be sent. */
const texts = (page) => page.locator('#messages .message:not(.waiting) .text').allTextContents();

async function test() {
  await startServer();
  if (pictures) await picture(await newPage().then(async (page) => (await page.goto(`http://127.0.0.1:${port}/`), page)), 'sign-in');
  const ada = await signIn('Ada');
  const bob = await signIn('Bob');

  // They see each other, and what they say, and that they type.
  await ada.locator('#people .item', {hasText: 'Bob'}).locator('.presence.here').waitFor();
  await say(ada, 'Good morning! Has anybody seen the plums?');
  await message(bob, 'plums').waitFor();
  await bob.getByLabel('Message', {exact: true}).pressSequentially('In the kit');
  await ada.locator('#typing', {hasText: 'Bob is typing'}).waitFor();
  await say(bob, 'In the kitchen, second shelf. See https://example.org/plums');
  await message(ada, 'second shelf').waitFor();
  assert.equal(await ada.locator('.text a').getAttribute('href'), 'https://example.org/plums');

  // A name that is taken.
  const other = await newPage();
  await other.goto(`http://127.0.0.1:${port}/`);
  await other.getByLabel('Your name').fill('ADA');
  await other.getByRole('button', {name: 'Sign in'}).click();
  await other.getByText('Somebody is signed in by that name').waitFor();
  await other.context().close();

  // Unread messages of another room.
  await go(bob, 'kitchen');
  await bob.locator('#title', {hasText: '#kitchen'}).waitFor();
  await say(ada, 'Found them.');
  await say(ada, '@Bob thank you!');
  await bob.locator('#rooms .item.unread .badge.strong', {hasText: '2'}).waitFor();
  await go(bob, 'lobby');
  await bob.locator('.new-line').waitFor();
  await bob.locator('#rooms .badge').waitFor({state: 'detached'});
  assert.equal(await bob.locator('.mention.mine').count(), 1);

  // Bob leaves; what Ada writes to him waits.
  const state = await bob.context().storageState();
  await bob.context().close();
  await ada.locator('#people .item.away', {hasText: 'Bob'}).click();
  await ada.locator('#title', {hasText: 'Bob'}).waitFor();
  await say(ada, 'You left your umbrella here.');
  await message(ada, 'umbrella').waitFor();

  // The server is killed while Ada types, and she goes on writing.
  await say(ada, 'It is the green one.');
  await killServer();
  await ada.locator('#status', {hasText: 'Reconnecting'}).waitFor();
  await say(ada, 'I put it beside the door.');
  await go(ada, 'lobby');
  await say(ada, 'Is anybody there?');
  await ada.locator('.waiting', {hasText: 'anybody there'}).waitFor();
  await picture(ada, 'offline');
  await ada.goto('about:blank'); // what waits stays with the tab
  await startServer();
  await ada.goto(`http://127.0.0.1:${port}/`);
  await message(ada, 'anybody there').waitFor();
  assert.deepEqual(await texts(ada), [
    'Good morning! Has anybody seen the plums?', 'In the kitchen, second shelf. See https://example.org/plums', 'Found them.',
    '@Bob thank you!', 'Is anybody there?']);

  // Bob is back: signed in still, and everything is there, once and in order.
  const back = await newPage({storageState: state});
  await back.goto(`http://127.0.0.1:${port}/`);
  await back.locator('#directs .item', {hasText: 'Ada'}).locator('.badge', {hasText: '3'}).waitFor();
  await go(back, 'Ada');
  await message(back, 'beside the door').waitFor();
  assert.deepEqual(await texts(back), ['You left your umbrella here.', 'It is the green one.', 'I put it beside the door.']);
  await say(back, 'Thank you, I come tomorrow.');
  await ada.locator('#directs .badge', {hasText: '1'}).waitFor();

  // A storm: both write while the server is killed, twice. Each message is there once, in its sender's order.
  await go(back, 'lobby');
  await go(ada, 'lobby');
  for (let n = 1; n <= 30; ++n) {
    await say(ada, `ada ${n}`);
    await say(back, `bob ${n}`);
    if (n === 10 || n === 20) {
      await killServer();
      await startServer();
    }
  }
  for (const page of [ada, back]) {
    await page.waitForFunction(() => document.querySelectorAll('.message.waiting').length === 0);
    await message(page, /^ada 30$/).waitFor();
    await message(page, /^bob 30$/).waitFor();
    for (const name of ['ada', 'bob']) {
      const found = (await texts(page)).filter((text) => text.startsWith(name + ' '));
      assert.deepEqual(found, Array.from({length: 30}, (_, index) => `${name} ${index + 1}`));
    }
  }

  // The phone: lists first, then the room; nothing is wider than the screen.
  const phone = await signIn('Grace Hopper', {viewport: {width: 390, height: 844}, isMobile: true, hasTouch: true, colorScheme: 'light'});
  await picture(phone, 'phone-rooms');
  await go(phone, 'lobby');
  await message(phone, /^bob 30$/).waitFor();
  await say(phone, 'Hello from the train, where the line is thin and messages are long enough to need more than one line.');
  await message(phone, 'from the train').waitFor();
  await picture(phone, 'phone-room');
  await phone.locator('#show-people').click();
  await phone.locator('#people .item', {hasText: 'Ada'}).waitFor();
  await picture(phone, 'phone-people');
  assert.ok(await phone.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await phone.locator('#hide-people').click();
  await phone.locator('#back').click();
  await phone.locator('#sidebar').waitFor();

  // A conversation worth a picture, by day and by night.
  await message(ada, 'from the train').waitFor();
  await ada.getByRole('button', {name: 'New room'}).click();
  await ada.getByLabel('What is it called?').fill('garden');
  await picture(ada, 'dialog');
  await ada.getByRole('button', {name: 'OK'}).click();
  await ada.locator('#empty', {hasText: 'Say hello'}).waitFor();
  await back.locator('#other-rooms .item', {hasText: 'garden'}).click();
  await say(ada, 'Who waters the tomatoes this week?');
  await message(back, 'tomatoes').waitFor();
  await say(back, 'I can do Tuesday and Thursday.\nFriday too, if somebody else takes the weekend.');
  await message(ada, 'Tuesday').waitFor();
  await say(ada, '@everyone the tap by the shed is off until Wednesday, use the one at the gate: https://example.org/garden/map');
  await message(back, 'the shed').waitFor();
  await say(ada, 'Weekend is mine then.');
  await say(back, 'Perfect.');
  await message(ada, 'Perfect').waitFor();
  await back.getByLabel('Message', {exact: true}).pressSequentially('And');
  await ada.locator('#typing', {hasText: 'Bob is typing'}).waitFor();
  await picture(ada, 'light');
  await back.getByRole('button', {name: 'Dark colours'}).click();
  await picture(back, 'dark');

  // The theme belongs to the session: another browser with the same session has it.
  await back.reload();
  assert.equal(await back.evaluate(() => document.documentElement.dataset.theme), 'dark');
  await go(back, 'garden');
  await back.getByRole('button', {name: 'Leave'}).click();
  await back.locator('#other-rooms .item', {hasText: 'garden'}).waitFor();
  await back.getByRole('button', {name: 'Sign out'}).click();
  await back.getByLabel('Your name').waitFor();
  assert.deepEqual(problems, []);
}

let code = 1;
try {
  await test();
  code = 0;
  console.log('ok');
} catch (error) {
  console.error(error);
  for (const [index, context] of browser.contexts().entries()) await picture(context.pages()[0], `failed-${index}`);
} finally {
  await browser.close();
  if (running) await killServer();
  rmSync(folder, {recursive: true, force: true});
}
process.exit(code);
