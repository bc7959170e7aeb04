// SPDX-License-Identifier: Apache-2.0
// Which page is shown, who has signed in, and what is asked for every second.

import * as api from './api.js';
import {Clients} from './clients.js';
import {byId, duration, formDialog, h, toast} from './dom.js';
import {Keys} from './keys.js';
import {Overview} from './overview.js';

const everyMs = 1000;
const keptSamples = 300;

const pages = {
  overview: new Overview(),
  keys: new Keys(),
  clients: new Clients()
};
let page = null;
let samples = [];
let status = null;
let timer;

const toSample = ([number, time, commands, bytesIn, bytesOut, p50, p99, memory, clients]) =>
    ({number, time, commands, bytesIn, bytesOut, p50, p99, memory, clients});

function problem(text) {
  byId('problem').textContent = text;
  byId('problem').hidden = text === '';
}

// --- pages

/** "#/keys?store=db0" */
function place() {
  const [name, query] = location.hash.replace(/^#\/?/, '').split('?');
  return {name: name in pages ? name : 'overview', parameters: new URLSearchParams(query)};
}

async function showPage() {
  if (api.session.user === null) return showSignIn();
  const {name, parameters} = place();
  for (const link of document.querySelectorAll('[data-page]')) {
    if (link.dataset.page === name)
      link.setAttribute('aria-current', 'page');
    else
      link.removeAttribute('aria-current');
  }
  if (page !== pages[name]) {
    pages.keys.stop();
    page = pages[name];
    byId('page').replaceChildren(page.element);
    document.title = `${name.charAt(0).toUpperCase() + name.slice(1)} · cubby`;
  }
  await refresh();
  if (page === pages.keys) pages.keys.show(parameters, status?.stores ?? [{name: 'db0', keys: 0}]);
}

/** Asks for what is new. Users who may not see the figures can still look at keys. */
async function refresh() {
  try {
    const after = samples.length > 0 ? samples[samples.length - 1].number : 0;
    status = await api.status(after);
    // A server that was started again counts from 1.
    if (status.samples.length > 0 && status.samples[0][0] <= after) samples = [];
    samples = samples.concat(status.samples.map(toSample)).slice(-keptSamples);
    byId('uptime').textContent = `${status.version} · up ${duration(status.now_ms - status.started_ms)}`;
    problem(status.problem);
    if (page === pages.overview) pages.overview.update(status, samples);
    if (page === pages.clients) await pages.clients.refresh();
  } catch (error) {
    if (error.status === 401) return;
    if (error.status === 0) samples = [];
    if (error.status !== 403 || page !== pages.keys) problem(error.message);
  }
}

async function tick() {
  if (!document.hidden && api.session.user !== null) await refresh();
  clearTimeout(timer);
  timer = setTimeout(tick, everyMs);
}

// --- signing in

function signInForm(done) {
  const user = h('input', {
    id: 'user',
    name: 'user',
    autocomplete: 'username',
    placeholder: 'default',
    autocapitalize: 'none',
    spellcheck: 'false'
  });
  const password =
      h('input', {id: 'password', name: 'password', type: 'password', autocomplete: 'current-password', required: true});
  const submit = async () => {
    await api.signIn(user.value, password.value);
    await done();
  };
  return {
    fields: [
      h('label',
        {for: 'user'
        },
        'User', user),
      h('label',
        {for: 'password'
        },
        'Password', password)
    ],
    submit
  };
}

function showSignIn() {
  page = null;
  problem('');
  byId('uptime').textContent = '';
  const {fields, submit} = signInForm(signedIn);
  const error = h('p', {class: 'form-error', role: 'alert', hidden: true});
  const button = h('button', {class: 'primary', type: 'submit'}, 'Sign in');
  byId('page').replaceChildren(
      h('form', {
        class: 'card sign-in',
        onsubmit: async (event) => {
          event.preventDefault();
          button.disabled = true;
          try {
            await submit();
          } catch (failed) {
            error.textContent = failed.message;
            error.hidden = false;
          } finally {
            button.disabled = false;
          }
        },
      },
        h('img', {src: '/icon.svg', alt: '', width: '48', height: '48'}, null), h('h1', null, 'Sign in to cubby'), fields,
        error, button));
  byId('user').focus();
}

async function signedIn() {
  showAccount();
  page = null;
  await showPage();
}

function showAccount() {
  document.body.classList.toggle('signed-out', api.session.user === null);
  const button = (text, f) => h('button', {type: 'button', onclick: f}, text);
  const leave = async () => {
    await api.signOut();
    await signedIn();
  };
  const enter = () => {
    const {fields, submit} = signInForm(signedIn);
    formDialog({title: 'Sign in', body: fields, action: 'Sign in', submit});
  };
  const place = byId('account');
  if (api.session.signed_in) {
    place.replaceChildren(
        h('span', {class: 'muted hide-narrow'}, api.session.user),
        button('Sign out', () => leave().catch((error) => toast(error.message))));
  } else if (api.session.user === null) {
    place.replaceChildren();
  } else if (api.session.can_sign_in) {
    place.replaceChildren(button('Sign in', enter));
  } else {
    place.replaceChildren(
        h('span', {
          class: 'chip quiet',
          title: 'The server has no password (requirepass) or users: nobody can sign in, and only who has may change something.'
        },
          'read-only'));
  }
}

// --- light and dark

function applyTheme(theme) {
  if (theme)
    document.documentElement.dataset.theme = theme;
  else
    delete document.documentElement.dataset.theme;
}

function switchTheme() {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === 'dark' :
                                                        matchMedia('(prefers-color-scheme: dark)').matches;
  const theme = dark ? 'light' : 'dark';
  applyTheme(theme);
  localStorage.setItem('theme', theme);
}

applyTheme(localStorage.getItem('theme'));
byId('theme').addEventListener('click', switchTheme);
addEventListener('hashchange', () => showPage());
addEventListener('visibilitychange', () => {
  if (!document.hidden) tick();
});
addEventListener('signed-out', async () => {
  await api.loadSession();
  await signedIn();
});
api.loadSession().then(signedIn).catch((error) => problem(error.message)).finally(tick);
