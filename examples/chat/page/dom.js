// SPDX-License-Identifier: Apache-2.0
// The little that is needed to make elements and to keep lists of them up to date.

export const $ = (id) => document.getElementById(id);

/** An element with attributes (functions: event listeners; true: there, false: not) and children. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null && child !== false));
  return element;
}

/**
 * Makes the children of `parent` be `items`, each {key, state, make}: elements whose key and state are as before stay, so that
 * focus stays where it is and screen readers read only what is new.
 */
export function reconcile(parent, items) {
  const old = parent.keyed ?? new Map();
  const now = new Map();
  let cursor = parent.firstChild;
  for (const {key, state, make} of items) {
    let entry = old.get(key);
    if (entry?.state !== state) entry = {state, element: make(), replaces: entry?.element};
    if (entry.replaces) {
      if (cursor === entry.replaces) cursor = entry.element;
      const focused = entry.replaces.contains(document.activeElement);
      entry.replaces.replaceWith(entry.element);
      delete entry.replaces;
      if (focused) (entry.element.querySelector('button') ?? entry.element).focus();
    }
    if (entry.element === cursor) cursor = cursor.nextSibling;
    else parent.insertBefore(entry.element, cursor);
    now.set(key, entry);
    old.delete(key);
  }
  for (const {element} of old.values()) element.remove();
  parent.keyed = now;
}

/** Text with links, and with names that are called out. */
export function rich(text, isMe) {
  const parts = text.split(/(https?:\/\/[^\s<>"']*[^\s<>"'.,;:!?)\]]|@[\p{L}\p{N}_-]+)/u);
  return parts.map((part, index) => {
    if (index % 2 === 0) return part;
    if (part[0] !== '@') return h('a', {href: part, target: '_blank', rel: 'noopener noreferrer'}, part);
    return h('span', {class: isMe(part.slice(1)) ? 'mention mine' : 'mention'}, part);
  });
}

export function avatar(name) {
  const element = h('span', {class: 'avatar', 'aria-hidden': 'true'}, initials(name));
  element.style.setProperty('--hue', hue(name));
  return element;
}

export function hue(name) {
  let hash = 7;
  for (const character of name) hash = (hash * 31 + character.codePointAt(0)) % 3600;
  return hash % 360;
}

export function initials(name) {
  const words = name.split(/[\s_-]+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)].map((word) => [...word][0]) : [...name].slice(0, 1);
  return letters.join('').toUpperCase();
}
