// SPDX-License-Identifier: Apache-2.0
// The connection to the server: comes back by itself, and sends each message until the server has said that it has it.

const kOutbox = 'cubby-chat-outbox';
const kPing = 15_000; // milliseconds; presence lasts three of them
const kSilence = 40_000; // without a word from the server the connection is dead

/** Random letters: which page, in which tab, numbered a message. */
const newClient = () => Array.from(crypto.getRandomValues(new Uint8Array(10)), (b) => (b % 36).toString(36)).join('');

/**
 * Events: `event` (detail: what the server sent), `up` (signed in), `down` (detail: milliseconds until the next attempt),
 * `outbox` (what waits to be acknowledged has changed).
 */
export class Connection extends EventTarget {
  #socket = null;
  #hello = null; // {token} or {name}
  #name = null; // of the person signed in
  #client = newClient();
  #next = 1;
  #outbox = JSON.parse(sessionStorage.getItem(kOutbox) ?? '[]');
  #up = false;
  #attempts = 0;
  #retry = 0;
  #heard = 0;

  constructor() {
    super();
    setInterval(() => this.#pulse(), kPing);
    addEventListener('online', () => this.#soon());
    document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && this.#soon());
  }

  get up() {
    return this.#up;
  }

  /** This person's messages that the server hasn't acknowledged: {client, n, room or to, from, text, at, failed}. */
  get outbox() {
    return this.#outbox.filter(({from}) => from === this.#name);
  }

  start(hello) {
    this.#hello = hello;
    this.#attempts = 0;
    this.#connect();
  }

  stop() {
    this.#hello = null;
    this.#drop();
  }

  /** Sends if the connection is up; what isn't worth sending later. */
  tell(request) {
    if (this.#up) this.#socket.send(JSON.stringify(request));
  }

  /** Sends a message, now or as soon as the connection is back, until it is acknowledged. */
  say(place, text) {
    const entry = {...place, from: this.#name, text, at: Date.now(), client: this.#client, n: this.#next++};
    this.#outbox.push(entry);
    this.#keepOutbox();
    this.tell(this.#request(entry));
  }

  /** Gives up a message. */
  discard(entry) {
    this.#outbox = this.#outbox.filter((other) => other !== entry);
    this.#keepOutbox();
  }

  #request({failed, at, from, ...entry}) {
    return {type: 'say', ...entry};
  }

  #keepOutbox() {
    sessionStorage.setItem(kOutbox, JSON.stringify(this.#outbox));
    this.dispatchEvent(new Event('outbox'));
  }

  #connect() {
    clearTimeout(this.#retry);
    this.#drop();
    const socket = new WebSocket(new URL('/chat', location.href.replace(/^http/, 'ws')));
    this.#socket = socket;
    this.#heard = Date.now();
    socket.onopen = () => socket.send(JSON.stringify({type: 'hello', ...this.#hello}));
    socket.onmessage = ({data}) => this.#hear(JSON.parse(data));
    socket.onclose = () => {
      if (socket === this.#socket) this.#lost();
    };
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    this.#up = false;
    socket?.close();
  }

  #lost() {
    this.#drop();
    if (!this.#hello) return;
    // The wait doubles, and isn't the same for all who lost the server at the same time.
    const wait = Math.min(8000, 250 * 2 ** this.#attempts++) * (0.5 + Math.random());
    this.#retry = setTimeout(() => this.#connect(), wait);
    this.dispatchEvent(new CustomEvent('down', {detail: wait}));
  }

  #soon() {
    if (this.#hello && !this.#up && this.#socket === null) this.#connect();
  }

  #pulse() {
    if (!this.#socket) return;
    if (Date.now() - this.#heard > kSilence) this.#lost();
    else this.tell({type: 'ping'});
  }

  #hear(event) {
    this.#heard = Date.now();
    if (event.type === 'welcome') {
      this.#up = true;
      this.#attempts = 0;
      this.#name = event.name;
      this.#hello = {token: event.token};
    } else if (event.type === 'ack') {
      this.#outbox = this.#outbox.filter(({client, n}) => client !== event.client || n !== event.n);
      this.#keepOutbox();
    } else if (event.type === 'error') {
      this.#refused(event);
    }
    this.dispatchEvent(new CustomEvent('event', {detail: event}));
    if (event.type === 'welcome') {
      // In their order: the server drops those that it had before the connection was lost.
      for (const entry of this.outbox.filter(({failed}) => !failed)) this.tell(this.#request(entry));
      this.dispatchEvent(new Event('up'));
    }
  }

  #refused({code, text, client, n}) {
    if (code === 'session' || code === 'taken') return this.stop(); // the messages wait for the next session
    const entry = this.#outbox.find((other) => other.client === client && other.n === n);
    if (!entry) return;
    if (code === 'later') {
      setTimeout(() => this.#lost(), 2000); // and all again, in order
    } else {
      entry.failed = text;
      this.#keepOutbox();
    }
  }
}
