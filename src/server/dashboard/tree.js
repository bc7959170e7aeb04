// SPDX-License-Identifier: Apache-2.0
// A value as a tree that opens and closes. What the server has left out is asked for when it is opened.

import {bytes, count, exact, h, plural} from './dom.js';

/** A token of a JSON pointer, percent-encoded. `raw` is percent-encoded already. */
const token = (name, raw) => '/' + (raw ?? encodeURIComponent(name)).replaceAll('~', '~0').replaceAll(/%2F/gi, '~1');

const summaryOf = (value) =>
    (value.type === 'array' ? `[ ${plural(value.size, 'element')} ]` : `{ ${plural(value.size, 'member')} }`);

function hexRows(text) {
  const rows = [];
  for (let at = 0; at < text.length; at += 32) {
    const pairs = text.slice(at, at + 32).match(/../g);
    const letters = pairs
                        .map((pair) => {
                          const code = parseInt(pair, 16);
                          return code >= 32 && code < 127 ? String.fromCharCode(code) : '·';
                        })
                        .join('');
    rows.push(`${(at / 2).toString(16).padStart(6, '0')}  ${pairs.join(' ').padEnd(47)}  ${letters}`);
  }
  return rows.join('\n');
}

/** How much of a string or binary isn't shown; empty if nothing. */
function leftOut(value) {
  const there = value.type === 'binary' ? value.text.length / 2 : new TextEncoder().encode(value.text).length;
  return value.size > there && value.text.length > 0 ? ` … ${bytes(value.size)} in all` : '';
}

function scalar(value) {
  switch (value.type) {
    case 'null':
      return h('span', {class: 'v-null'}, 'null');
    case 'boolean':
      return h('span', {class: 'v-boolean'}, String(value.value));
    case 'integer':
    case 'real':
      return h('span', {class: 'v-number'}, value.text);
    case 'string':
      return h('span', null, h('span', {class: 'v-string'}, JSON.stringify(value.text)), h('small', null, leftOut(value)));
    default:
      return h(
          'span', null, h('span', {class: 'v-binary'}, value.text.match(/.{1,2}/g)?.join(' ') ?? ''),
          h('small', null, leftOut(value) || ' binary'));
  }
}

const isContainer = (value) => value.type === 'array' || value.type === 'object';
const entriesOf = (value) =>
    (value.type === 'array' ? value.items?.map((item, index) => [String(value.from + index), item]) : value.members);

class Branch {
  constructor(load, value, path, name, open) {
    this.load = load;
    this.path = path;
    this.children = h('div', {class: 'children'});
    this.size = value.size;
    this.isArray = value.type === 'array';
    this.element =
        h('details', {open}, h('summary', null, name, h('span', {class: 'v-summary'}, summaryOf(value))), this.children);
    const entries = entriesOf(value);
    if (entries && (entries.length > 0 || value.size === 0)) {
      this.add(value, entries);
    } else {
      this.element.addEventListener('toggle', () => this.more(0), {once: true});
    }
  }

  add(value, entries) {
    for (const [name, child, raw] of entries) {
      this.children.append(node(this.load, child, this.path + token(name, raw), this.isArray ? null : name, name));
    }
    const next = value.from + entries.length;
    this.size = value.size;
    if (next < value.size) {
      const button =
          h('button', {
            class: 'more',
            type: 'button',
            onclick: () => {
              button.remove();
              this.more(next);
            },
          },
            `Show more (${exact(next)} of ${count(value.size)})`);
      this.children.append(button);
    }
  }

  async more(from) {
    try {
      const {value} = await this.load(this.path, from);
      this.add(value, entriesOf(value) ?? []);
    } catch (error) {
      this.children.append(h('p', {class: 'muted'}, error.message));
    }
  }
}

function node(load, value, path, name, index) {
  const label = name === null ? h('span', {class: 'v-index'}, index) : h('span', {class: 'v-name'}, name);
  if (isContainer(value) && value.size > 0) return new Branch(load, value, path, label, false).element;
  const text = isContainer(value) ? h('span', {class: 'v-summary'}, value.type === 'array' ? '[ ]' : '{ }') : scalar(value);
  return h('div', {class: 'leaf'}, label, text);
}

/** The element for a whole value. `load(path, from)` asks for a part of it. */
export function valueTree(value, load) {
  if (isContainer(value)) {
    if (value.size === 0) return h('p', {class: 'muted'}, value.type === 'array' ? 'An empty array.' : 'An empty object.');
    return h('div', {class: 'tree'}, new Branch(load, value, '', null, true).element);
  }
  if (value.type === 'string' || value.type === 'binary') {
    const rest = leftOut(value);
    return h(
        'div', null, h('pre', {class: `whole v-${value.type}`}, value.type === 'binary' ? hexRows(value.text) : value.text),
        rest ? h('p', {class: 'muted'}, `The beginning: ${rest.slice(3)}.`) : null);
  }
  return h('p', {class: 'whole'}, scalar(value));
}
