// SPDX-License-Identifier: Apache-2.0
// Elements, and how numbers, sizes and times are written.

const svgNamespace = 'http://www.w3.org/2000/svg';

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on'))
      element.addEventListener(name.slice(2), value);
    else if (name === 'value' || name === 'open')
      element[name] = value;
    else
      element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** An element: h('p', {class: 'muted', onclick: f}, 'text', otherElement). Text is never taken for HTML. */
export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
export const svg = (tag, attributes, ...children) => fill(document.createElementNS(svgNamespace, tag), attributes, children);

export const byId = (id) => document.getElementById(id);

const compact = new Intl.NumberFormat('en', {notation: 'compact', maximumFractionDigits: 1});
const plain = new Intl.NumberFormat('en', {maximumFractionDigits: 0});
const three = new Intl.NumberFormat('en', {maximumSignificantDigits: 3});

/** 1,234 and 12.3K */
export const count = (number) => (Math.abs(number) < 10_000 ? plain.format(number) : compact.format(number));
export const exact = (number) => plain.format(number);
export const plural = (number, one, many = one + 's') => `${count(number)} ${number === 1 ? one : many}`;

export function bytes(number) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (number >= 1024 && unit + 1 < units.length) {
    number /= 1024;
    ++unit;
  }
  return `${unit === 0 ? plain.format(number) : number >= 100 ? plain.format(number) : number.toFixed(1)} ${units[unit]}`;
}

export function micros(number) {
  if (number === 0) return '–';
  if (number < 1) return `${Math.max(number, 0.01).toFixed(2)} µs`;
  if (number < 1000) return `${three.format(number)} µs`;
  if (number < 1e6) return `${three.format(number / 1000)} ms`;
  return `${three.format(number / 1e6)} s`;
}

/** A length of time: the two largest units. */
export function duration(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  const parts = [
    [Math.floor(seconds / 86400), 'd'], [Math.floor(seconds / 3600) % 24, 'h'], [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's']
  ];
  const first = parts.findIndex(([number]) => number !== 0);
  if (first < 0) return '0 s';
  return parts.slice(first, first + 2)
      .filter(([number]) => number !== 0)
      .map(([number, unit]) => `${number} ${unit}`)
      .join(' ');
}

export const clock = (milliseconds) => new Date(milliseconds).toLocaleTimeString([], {hour12: false});

let toastTimer;
export function toast(text) {
  const element = byId('toast');
  element.textContent = text;
  element.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => {
    element.hidden = true;
  }, 3000);
}

/** A dialog with a form. `submit` is awaited: if it throws, the error's text is shown and the dialog stays. */
export function formDialog({title, body, action, danger, submit}) {
  const problem = h('p', {class: 'form-error', role: 'alert', hidden: true});
  const confirm = h('button', {class: danger ? 'danger' : 'primary', type: 'submit'}, action);
  const dialog =
      h('dialog', {'aria-label': title},
        h('form', {
          method: 'dialog',
          oninput: () => {
            problem.hidden = true;
          },
          onsubmit: async (event) => {
            event.preventDefault();
            confirm.disabled = true;
            try {
              await submit();
              dialog.close();
            } catch (error) {
              problem.textContent = error.message;
              problem.hidden = false;
            } finally {
              confirm.disabled = false;
            }
          },
        },
          h('h2', null, title), body, problem,
          h('div', {class: 'actions'}, h('button', {type: 'button', onclick: () => dialog.close()}, 'Cancel'), confirm)));
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
