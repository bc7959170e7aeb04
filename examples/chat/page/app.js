// SPDX-License-Identifier: Apache-2.0
// Brings the parts together: what the server says goes into the model, what the person does goes to the server.
import {Connection} from './connection.js';
import {$} from './dom.js';
import {keyOf, Model, placeOf} from './model.js';
import {View} from './view.js';

const kToken = 'cubby-chat-token';
const kTheme = 'cubby-chat-theme';
const kPlace = 'cubby-chat-place';

const connection = new Connection();
let model = new Model();
const actions = {open, discard: (entry) => connection.discard(entry)};
let view = new View(model, connection, actions);
let seenTimer = 0;
let typedAt = 0;

// --- what the server says ---

connection.addEventListener('event', ({detail: event}) => {
  const news = model.take(event);
  if (event.type === 'welcome') welcome(event);
  if (event.type === 'error') refused(event);
  if (event.type === 'signed out') signedOut('');
  if (event.type === 'room' && keyOf(event) === model.current) $('scroll').setAttribute('aria-busy', 'false');
  if (event.type === 'left' && event.name === model.me && keyOf(event) === model.current) open('#lobby');
  // A direct message has arrived: it need not wait in the inbox any more.
  if (event.type === 'message' && event.from !== model.me && (event.to !== undefined || event.text.startsWith('@everyone'))) {
    connection.tell({type: 'received', ids: [event.id]});
  }
  if (news && (news.room !== undefined ? '#' + news.room : '@' + news.from) === model.current) view.notice();
  changed();
});

connection.addEventListener('up', () => {
  showStatus('');
  if (model.current) load(model.current);
});

connection.addEventListener('down', () => {
  const waiting = connection.outbox.length;
  showStatus(waiting ? `Connection lost. Reconnecting… ${waiting} ${waiting === 1 ? 'message waits' : 'messages wait'}.`
                     : 'Connection lost. Reconnecting…');
});

connection.addEventListener('outbox', () => changed());

function welcome({token, inbox, preferences}) {
  localStorage.setItem(kToken, token);
  if (preferences.theme) setTheme(preferences.theme);
  if (inbox.length) connection.tell({type: 'received', ids: inbox.map(({id}) => id)});
  $('welcome').hidden = true;
  $('chat').hidden = false;
  if (!model.current) {
    const last = sessionStorage.getItem(kPlace);
    show(last && (last[0] === '@' || model.places.get(last)?.joined) ? last : '#lobby');
    if (matchMedia('(min-width: 761px)').matches) $('text').focus();
  }
}

function refused({code, text}) {
  if (code === 'session') signedOut(localStorage.getItem(kToken) ? 'You were away for long. Please sign in again.' : '');
  else if (code === 'taken' || !model.me) signedOut(text);
  else if (code === 'name') showStatus(text, 4000);
}

function signedOut(reason) {
  connection.stop();
  localStorage.removeItem(kToken);
  model = new Model();
  view = new View(model, connection, actions);
  $('chat').hidden = true;
  $('welcome').hidden = false;
  $('sign-in-error').textContent = reason;
  $('name').focus();
}

// --- what is shown ---

let drawing = false;
/** Draws with the next frame, however much has changed until then. */
function changed() {
  markSeen();
  if (drawing) return;
  drawing = true;
  setTimeout(() => {
    drawing = false;
    view.draw();
  });
}

function load(key) {
  $('scroll').setAttribute('aria-busy', 'true');
  connection.tell({type: 'open', ...placeOf(key)});
}

function show(key) {
  model.current = key;
  sessionStorage.setItem(kPlace, key);
  const place = model.place(key);
  view.divider = model.unread(place) > 0 ? {key, number: place.seen} : null;
  view.stick = true;
  $('text').value = sessionStorage.getItem('draft ' + key) ?? '';
  grow();
  if (!place.loaded && connection.up) load(key);
  changed();
}

function open(key) {
  showPeople(false);
  document.body.classList.add('in-place');
  if (key === model.current) return;
  show(key);
  if (matchMedia('(min-width: 761px)').matches) $('text').focus();
  else $('title').focus();
}

/** Tells the server how far the place that is in sight has been read. */
function markSeen() {
  const place = model.shown;
  const inSight = document.visibilityState === 'visible' && (document.body.classList.contains('in-place') || matchMedia('(min-width: 761px)').matches);
  if (!place || !place.loaded || !inSight || model.unread(place) === 0 || seenTimer) return;
  seenTimer = setTimeout(() => {
    seenTimer = 0;
    if (model.shown !== place || !connection.up) return;
    place.seen = place.count;
    place.mention = false;
    connection.tell({type: 'seen', ...placeOf(place.key), number: place.count});
    changed();
  }, 200);
}

let statusTimer = 0;
function showStatus(text, milliseconds = 0) {
  clearTimeout(statusTimer);
  $('status').textContent = text;
  if (milliseconds) statusTimer = setTimeout(() => showStatus(''), milliseconds);
}

function showPeople(shown) {
  document.body.classList.toggle('people-shown', shown);
  $('show-people').setAttribute('aria-expanded', String(shown));
  if (shown) $('hide-people').focus();
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem(kTheme, theme);
  const label = theme === 'dark' ? 'Light colours' : 'Dark colours';
  $('theme').setAttribute('aria-label', label);
  $('theme').title = label;
}

// --- what the person does ---

$('sign-in').addEventListener('submit', (event) => {
  event.preventDefault();
  const name = $('name').value.trim();
  $('sign-in-error').textContent = '';
  if (name) connection.start({name});
});

function grow() {
  const text = $('text');
  text.style.height = 'auto';
  text.style.height = Math.min(text.scrollHeight, 180) + 'px';
  $('send').disabled = text.value.trim() === '';
}

$('text').addEventListener('input', () => {
  grow();
  sessionStorage.setItem('draft ' + model.current, $('text').value);
  if ($('text').value && Date.now() - typedAt > 2000) {
    typedAt = Date.now();
    connection.tell({type: 'typing', ...placeOf(model.current)});
  }
});

$('text').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $('composer').requestSubmit();
  }
});

$('composer').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = $('text').value.trim();
  if (!text) return;
  connection.say(placeOf(model.current), text);
  $('text').value = '';
  sessionStorage.removeItem('draft ' + model.current);
  typedAt = 0;
  view.divider = null;
  view.stick = true;
  grow();
  $('text').focus();
});

$('back').addEventListener('click', () => document.body.classList.remove('in-place'));
$('leave').addEventListener('click', () => connection.tell({type: 'leave', ...placeOf(model.current)}));
$('show-people').addEventListener('click', () => showPeople(!document.body.classList.contains('people-shown')));
$('hide-people').addEventListener('click', () => {
  showPeople(false);
  $('show-people').focus();
});
addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && document.body.classList.contains('people-shown')) showPeople(false);
});
$('theme').addEventListener('click', () => {
  const theme = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
  setTheme(theme);
  connection.tell({type: 'prefer', preference: 'theme', value: theme});
});
$('sign-out').addEventListener('click', () => connection.tell({type: 'sign out'}));

/** Asks for a name in a dialog, and opens what it names. */
function ask(title, label, sign) {
  $('ask-title').textContent = title;
  $('ask-label').textContent = label;
  $('ask-input').value = '';
  $('ask-error').textContent = '';
  $('ask').showModal();
  $('ask-form').onsubmit = (event) => {
    const name = $('ask-input').value.trim();
    const wrong = !name ? 'A name, please.' : /[:@#/]/.test(name) ? 'A name has none of : @ # /' : sign + name === '@' + model.me ? 'That’s you.' : '';
    $('ask-error').textContent = wrong;
    if (wrong) event.preventDefault();
    else open(sign + name);
  };
}
$('new-room').addEventListener('click', () => ask('New room', 'What is it called?', '#'));
$('new-direct').addEventListener('click', () => ask('New direct message', 'To whom?', '@'));
$('ask-cancel').addEventListener('click', () => $('ask').close());

document.addEventListener('visibilitychange', () => changed());
setInterval(() => model.shown && view.drawTyping(model.shown), 500);

// --- the beginning ---

setTheme(localStorage.getItem(kTheme) ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'));
grow();
const token = localStorage.getItem(kToken);
if (token) {
  connection.start({token});
} else {
  $('welcome').hidden = false;
  $('name').focus();
}
