// SPDX-License-Identifier: Apache-2.0
// What the server is asked for.

export class ApiError extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

/** user, signed_in, can_sign_in, csrf: as /api/session says. */
export let session = {
  user: null,
  signed_in: false,
  can_sign_in: false,
  csrf: null
};

async function ask(method, path, {query = {}, body, headers = {}} = {}) {
  const text = Object.entries(query)
                   .filter(([, value]) => value !== undefined)
                   .map(([name, value]) => `${name}=${value?.encoded ?? encodeURIComponent(value)}`)
                   .join('&');
  if (method !== 'GET' && session.csrf) headers['X-Cubby-CSRF'] = session.csrf;
  let response;
  try {
    response = await fetch(`/api/${path}${text ? '?' + text : ''}`, {method, body, headers, cache: 'no-store'});
  } catch {
    throw new ApiError(0, "The server doesn't answer.");
  }
  const answer = await response.json().catch(() => ({error: response.statusText}));
  if (response.ok) return answer;
  if (response.status === 401 && path !== 'session') dispatchEvent(new Event('signed-out'));
  const error = answer.error ?? response.statusText;
  throw new ApiError(response.status, error.charAt(0).toUpperCase() + error.slice(1) + '.');
}

/** A key as a parameter: percent-encoded already if it isn't text. */
const keyParameter = (entry) => (entry.id === undefined ? entry.key : {encoded: entry.id});

export async function loadSession() {
  session = await ask('GET', 'session');
  return session;
}
export async function signIn(user, password) {
  const form = new URLSearchParams({user, password});
  await ask('POST', 'session', {body: form});
  return loadSession();
}
export async function signOut() {
  await ask('DELETE', 'session');
  return loadSession();
}

export const status = (after) => ask('GET', 'status', {query: {after}});
export const clients = () => ask('GET', 'clients');
export const keys = (store, match, cursor) => ask('GET', 'keys', {query: {store, match, cursor}});
/** `path` is a JSON pointer whose tokens are percent-encoded. */
export const value = (store, entry, path, from) =>
    ask('GET', 'value', {query: {store, key: keyParameter(entry), path: path ? {encoded: path} : undefined, from}});
export const json = (store, entry) => ask('GET', 'json', {query: {store, key: keyParameter(entry)}});

export const put = (store, entry, text, headers) =>
    ask('PUT', 'value', {query: {store, key: keyParameter(entry)}, body: text, headers});
export const remove = (store, entry) => ask('DELETE', 'value', {query: {store, key: keyParameter(entry)}});
export const expire = (store, entry, ms) => ask('PUT', 'ttl', {query: {store, key: keyParameter(entry), ms}});
export const persist = (store, entry) => ask('DELETE', 'ttl', {query: {store, key: keyParameter(entry)}});
