// SPDX-License-Identifier: Apache-2.0
// One key: its value, its time to live, and what can be done with it.

import * as api from './api.js';
import {bytes, duration, exact, h, plural, toast} from './dom.js';
import {askToRemove, editValue, setExpiry} from './edit.js';
import {valueTree} from './tree.js';

function sizeOf({type, size}) {
  if (type === 'array') return plural(size, 'element');
  if (type === 'object') return plural(size, 'member');
  if (type === 'string' || type === 'binary') return bytes(size);
  return null;
}

export class KeyDetail {
  constructor(store, entry, {back, changed}) {
    this.store = store;
    this.entry = entry;
    this.changed = changed;
    this.facts = h('p', {class: 'facts'});
    this.body = h('div', {class: 'value'}, h('p', {class: 'muted'}, 'Loading …'));
    this.actions = h('div', {class: 'actions'});
    this.element =
        h('div', null, h('button', {type: 'button', class: 'back', onclick: back}, '‹ Keys'),
          h('h2', {class: 'key-title'}, entry.key === '' ? h('i', null, 'the empty key') : entry.key), this.facts, this.actions,
          this.body);
    this.timer = setInterval(() => this.tick(), 1000);
    this.load();
  }

  matches(store, entry) { return store === this.store && (entry.id ?? entry.key) === (this.entry.id ?? this.entry.key); }
  stop() { clearInterval(this.timer); }

  async load() {
    try {
      const answer = await api.value(this.store, this.entry);
      this.value = answer.value;
      this.deadline = answer.ttl_ms === null ? null : performance.now() + answer.ttl_ms;
      this.body.replaceChildren(valueTree(answer.value, async (path, from) => api.value(this.store, this.entry, path, from)));
    } catch (error) {
      this.value = null;
      this.deadline = null;
      this.body.replaceChildren(
          h('p', {class: 'muted'}, error.status === 404 ? 'This key is not there any more.' : error.message));
    }
    this.showFacts();
    this.showActions();
  }

  showFacts() {
    if (!this.value) return this.facts.replaceChildren();
    const size = sizeOf(this.value);
    const left = this.deadline === null ? 'no expiry' : `expires in ${duration(this.deadline - performance.now())}`;
    this.ttl = h('span', {class: this.deadline === null ? 'chip quiet' : 'chip', id: 'ttl'}, left);
    this.facts.replaceChildren(
        h('span', {class: 'chip quiet'}, this.value.type), ...(size ? [h('span', {class: 'chip quiet'}, size)] : []), this.ttl);
  }

  showActions() {
    const button = (text, f, kind) => h('button', {type: 'button', class: kind, onclick: f}, text);
    const reload = () => this.load();
    const tools = [button('Reload', reload)];
    if (this.value) tools.push(button('Copy JSON', () => this.copy()));
    if (this.value && api.session.signed_in) {
      tools.push(
          button('Edit', () => editValue(this.store, this.entry, reload)),
          button('Expiry', () => setExpiry(this.store, this.entry, this.deadline !== null, reload)),
          button('Delete', () => askToRemove(this.store, this.entry, () => {
                             this.load();
                             this.changed();
                           }), 'danger-text'));
    }
    this.actions.replaceChildren(...tools);
  }

  tick() {
    if (this.deadline === null || this.deadline === undefined) return;
    const left = this.deadline - performance.now();
    if (left <= 0) {
      this.deadline = null;
      this.load();
    } else {
      this.ttl.textContent = `expires in ${duration(left)}`;
    }
  }

  async copy() {
    try {
      const {json} = await api.json(this.store, this.entry);
      await navigator.clipboard.writeText(json);
      toast(`Copied ${exact(json.length)} characters.`);
    } catch (error) {
      toast(error instanceof api.ApiError ? error.message : 'The browser allows no copying here.');
    }
  }
}
