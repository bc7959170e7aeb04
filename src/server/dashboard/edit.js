// SPDX-License-Identifier: Apache-2.0
// Dialogs that change a key.

import * as api from './api.js';
import {formDialog, h, toast} from './dom.js';

const changedMeanwhile = 'Somebody has changed the value meanwhile. Close this, look at it again and edit that.';

/** Edits a key's value, or makes a key if `entry` is null; `done(entry)` after that. */
export async function editValue(store, entry, done) {
  let loaded = null;
  if (entry !== null) {
    try {
      loaded = await api.json(store, entry);
    } catch (error) {
      toast(error.message);
      return;
    }
  }
  const name = h('input', {id: 'new-key', spellcheck: 'false', autocomplete: 'off'});
  const text = h('textarea', {id: 'new-value', rows: '14', spellcheck: 'false', value: loaded?.json ?? ''});
  formDialog({
    title: entry === null ? `New key in ${store}` : `Edit ${entry.key}`,
    body: [
      entry === null ? h('label',
                         {for: 'new-key'
                         },
                         'Key', name) :
                       null,
      h('label',
        {for: 'new-value'
        },
        'Value', h('small', null, 'JSON; text stands in quotes'), text),
    ],
    action: 'Save',
    submit: async () => {
      try {
        JSON.parse(text.value);
      } catch (error) {
        throw new Error(`This is no JSON: ${error.message}`);
      }
      const target = entry ?? {key: name.value};
      try {
        await api.put(store, target, text.value, loaded ? {'If-Match': loaded.version} : {'If-None-Match': '*'});
      } catch (error) {
        if (error.status === 412 && entry !== null) throw new Error(changedMeanwhile);
        throw error;
      }
      toast('Saved.');
      done(target);
    },
  });
}

export function setExpiry(store, entry, expires, done) {
  const number = h('input', {id: 'expiry', type: 'number', min: '1', step: 'any', required: true, value: '1'});
  const unit = h('select', {'aria-label': 'Unit'}, [
    ['1000', 'seconds'], ['60000', 'minutes'], ['3600000', 'hours', true], ['86400000', 'days']
  ].map(([value, text, selected]) => h('option', {value, selected}, text)));
  const dialog = formDialog({
    title: `When ${entry.key} expires`,
    body: [
      h('label',
        {for: 'expiry'
        },
        'Time to live from now on', h('span', {class: 'pair'}, number, unit)),
      expires ? h('button', {
        type: 'button',
        class: 'link',
        onclick: async () => {
          try {
            await api.persist(store, entry);
            dialog.close();
            done();
          } catch (error) {
            toast(error.message);
          }
        },
      },
                  'Let it never expire') :
                null,
    ],
    action: 'Set',
    submit: async () => {
      await api.expire(store, entry, Math.round(Number(number.value) * Number(unit.value)));
      done();
    },
  });
}

export function askToRemove(store, entry, done) {
  formDialog({
    title: 'Delete this key?',
    body: h('p', null, h('code', null, entry.key), ` and its value are removed from ${store}.`),
    action: 'Delete',
    danger: true,
    submit: async () => {
      await api.remove(store, entry);
      toast('Deleted.');
      done();
    },
  });
}
