// SPDX-License-Identifier: Apache-2.0
// The keys of a store: searching, and the list.

import * as api from './api.js';
import {count, duration, exact, h, plural} from './dom.js';
import {editValue} from './edit.js';
import {KeyDetail} from './value.js';

/** As far as one search goes by itself; the rest is asked for. */
const scannedAtOnce = 500_000;
const typeLetters = {
  string: 'Aa',
  number: '12',
  boolean: '✓',
  null: '∅',
  binary: '01',
  array: '[ ]',
  object: '{ }'
};

const isPattern = (text) => /[*?[\\]/.test(text);

export class Keys {
  constructor() {
    this.store = null;
    this.search = '';
    this.entries = [];
    this.turn = 0;
    this.selected = null;
    this.storeSelect = h('select', {'aria-label': 'Store', onchange: () => this.go({store: this.storeSelect.value})});
    this.input = h('input', {
      type: 'search',
      placeholder: 'Search: part of a key, or session:*',
      'aria-label': 'Search keys',
      spellcheck: 'false',
      autocomplete: 'off',
      oninput: () => this.typed()
    });
    this.add = h('button', {type: 'button', class: 'primary', onclick: () => this.create()}, 'New key');
    this.list = h('ul', {class: 'key-list'});
    this.note = h('p', {class: 'card-foot'});
    this.moreButton = h('button', {type: 'button', class: 'more', hidden: true, onclick: () => this.load()}, 'Look for more');
    this.detailPlace = h('section', {class: 'card detail'});
    this.element =
        h('div', {class: 'keys'},
          h('section', {class: 'card key-pane'}, h('div', {class: 'key-tools'}, this.storeSelect, this.add), this.input,
            this.list, this.moreButton, this.note),
          this.detailPlace);
    this.showNothing();
  }

  showNothing() {
    this.detail?.stop();
    this.detail = null;
    this.element.classList.remove('has-detail');
    this.detailPlace.replaceChildren(h('p', {class: 'empty'}, 'Choose a key to see its value.'));
  }

  /** Where to be: parameters of the page's address. */
  async show(parameters, stores) {
    this.add.hidden = !api.session.signed_in;
    const store = parameters.get('store') ?? 'db0';
    this.storeSelect.replaceChildren(...stores.map(
        ({name, keys}) => h('option', {value: name, selected: name === store}, `${name} · ${plural(keys, 'key')}`)));
    if (store !== this.store) {
      this.store = store;
      this.begin();
    }
    const key = parameters.get('key');
    const id = parameters.get('id');
    if (key === null && id === null) {
      this.selected = null;
      this.showNothing();
    } else {
      const entry = id === null ? {key} : {key: this.entries.find((each) => each.id === id)?.key ?? id, id};
      if (this.detail?.matches(this.store, entry)) return;
      this.selected = entry;
      this.detail?.stop();
      this.detail = new KeyDetail(this.store, entry, {back: () => this.go({}), changed: () => this.begin()});
      this.detailPlace.replaceChildren(this.detail.element);
      this.element.classList.add('has-detail');
    }
    this.mark();
  }

  address(entry) {
    const store = encodeURIComponent(this.store);
    return `#/keys?store=${store}&${
        entry.id === undefined ? `key=${encodeURIComponent(entry.key)}` : `id=${encodeURIComponent(entry.id)}`}`;
  }
  go({store = this.store}) { location.hash = `#/keys?store=${encodeURIComponent(store)}`; }

  typed() {
    clearTimeout(this.typing);
    this.typing = setTimeout(() => {
      this.search = this.input.value;
      this.begin();
    }, 200);
  }

  begin() {
    this.entries = [];
    this.cursor = 0;
    this.scanned = 0;
    this.list.replaceChildren();
    this.load();
  }

  /** Goes on until there are some more, or much was looked at in vain. */
  async load() {
    const turn = ++this.turn;
    const match = this.search === '' ? undefined : isPattern(this.search) ? this.search : `*${this.search}*`;
    const before = this.entries.length;
    const until = this.scanned + scannedAtOnce;
    this.moreButton.hidden = true;
    try {
      do {
        const page = await api.keys(this.store, match, this.cursor);
        if (turn !== this.turn) return;
        this.cursor = page.cursor;
        this.scanned += page.scanned;
        this.entries.push(...page.keys);
        this.note.textContent = this.cursor === 0 ?
            `${plural(this.entries.length, 'key')}${this.search ? ` of ${count(page.size)}` : ''}` :
                                                                  `${exact(this.entries.length)} shown · looked at ${count(this.scanned)} of ${count(page.size)}`;
      } while (this.cursor !== 0 && this.entries.length - before < 100 && this.scanned < until);
      this.moreButton.hidden = this.cursor === 0;
    } catch (error) {
      if (turn !== this.turn) return;
      this.note.textContent = error.message;
    }
    this.entries.sort((left, right) => (left.key < right.key ? -1 : left.key > right.key ? 1 : 0));
    this.list.replaceChildren(...this.entries.map(
        (entry) =>
            h('li', null,
              h('a', {href: this.address(entry)},
                h('span', {class: `type type-${entry.type}`, title: entry.type}, typeLetters[entry.type]),
                h('span', {class: 'key-name'}, entry.key === '' ? h('i', null, 'the empty key') : entry.key),
                entry.ttl_ms === null ? null : h('span', {class: 'key-ttl', title: 'time to live'}, duration(entry.ttl_ms))))));
    if (this.entries.length === 0 && this.cursor === 0) {
      this.list.replaceChildren(h('li', {class: 'empty'}, this.search ? 'No key matches.' : 'There are no keys here.'));
    }
    this.mark();
  }

  mark() {
    this.entries.forEach((entry, index) => {
      const same = this.selected !== null && (entry.id ?? entry.key) === (this.selected.id ?? this.selected.key);
      const link = this.list.children[index]?.firstChild;
      if (same)
        link?.setAttribute('aria-current', 'true');
      else
        link?.removeAttribute?.('aria-current');
    });
  }

  create() {
    editValue(this.store, null, (entry) => {
      this.begin();
      location.hash = this.address(entry);
    });
  }

  stop() {
    ++this.turn;
    this.detail?.stop();
    this.detail = null;
    this.selected = null;
    this.store = null;
  }
}
