// SPDX-License-Identifier: Apache-2.0
// How the server is: charts, stores and commands.

import {ChartCard} from './chart.js';
import {bytes, count, exact, h, micros, plural} from './dom.js';

const share = (part, whole) => (whole > 0 ? `${((100 * part) / whole).toFixed(1)}%` : '–');

export class Overview {
  constructor() {
    this.cards = [
      new ChartCard({
        title: 'Operations a second',
        series: [{name: 'commands', of: (sample) => sample.commands, filled: true}],
        format: count,
        note: (status) => `${count(status.totals.commands)} in all · ${exact(status.totals.errors)} errors`,
      }),
      new ChartCard({
        title: 'Latency',
        hint: 'What it takes to run the commands that came in one piece, in the server; of each second',
        series: [{name: 'p99', of: (sample) => sample.p99, filled: true}, {name: 'p50', of: (sample) => sample.p50}],
        format: micros,
        note: () => 'for a batch, within the server',
      }),
      new ChartCard({
        title: 'Memory',
        series: [{name: 'keys and values', of: (sample) => sample.memory, filled: true}],
        format: bytes,
        binary: true,
        note: ({memory}) => `${memory.limit ? `of ${bytes(memory.limit)} · ` : ''}process ${bytes(memory.process)}`,
      }),
      new ChartCard({
        title: 'Clients',
        series: [{name: 'clients', of: (sample) => sample.clients, filled: true}],
        format: count,
        note: ({clients, waiters}) => `${exact(clients.blocked)} blocked · ${plural(waiters, 'waiter')}`,
      }),
    ];
    this.stores = h('tbody');
    this.commands = h('tbody');
    this.figures = h('dl', {class: 'figures'});
    this.element =
        h('div', {class: 'overview'}, h('div', {class: 'cards'}, this.cards.map((card) => card.element)),
          h('div', {class: 'columns'},
            h('div', {class: 'column'},
              h('section', {class: 'card'}, h('h2', null, 'Stores'),
                h('div', {class: 'scroll'},
                  h('table', null,
                    h('thead', null,
                      h('tr', null, h('th', null, 'Store'), h('th', {class: 'right'}, 'Keys'),
                        h('th', {class: 'right'}, 'Memory'), h('th', {class: 'right'}, 'Waiters'),
                        h('th', {class: 'right'}, 'Log'))),
                    this.stores))),
              h('section', {class: 'card'}, h('h2', null, 'Since the start'), this.figures)),
            h('section', {class: 'card'}, h('h2', null, 'Commands'),
              h('div', {class: 'scroll'},
                h('table', null,
                  h('thead', null,
                    h('tr', null, h('th', null, 'Command'), h('th', {class: 'right'}, 'Calls'),
                      h('th', {class: 'right'}, 'Each'), h('th', {class: 'time-share'}, 'Share of time'))),
                  this.commands)))));
  }

  update(status, samples) {
    for (const card of this.cards) card.update(samples, status);
    this.stores.replaceChildren(...status.stores.map(
        (store) =>
            h('tr', null, h('td', null, h('a', {href: `#/keys?store=${encodeURIComponent(store.name)}`}, store.name)),
              h('td', {class: 'right'}, exact(store.keys)), h('td', {class: 'right'}, bytes(store.bytes)),
              h('td', {class: 'right'}, exact(store.waiters)),
              h('td', {class: 'right'}, status.durable ? bytes(store.log_bytes) : '–'))));
    const time = status.commands.reduce((sum, command) => sum + command.us, 0);
    this.commands.replaceChildren(...status.commands.slice(0, 8).map((command) => {
      const bar = h('i');
      bar.style.width = share(command.us, time).replace('–', '0');
      return h(
          'tr', null, h('td', null, h('code', null, command.name.toUpperCase())),
          h('td', {class: 'right'}, count(command.calls)), h('td', {class: 'right'}, micros(command.us / command.calls)),
          h('td', {class: 'time-share'}, h('span', {class: 'meter'}, bar)));
    }));
    if (status.commands.length === 0) {
      this.commands.replaceChildren(h('tr', null, h('td', {colspan: '4', class: 'muted'}, 'No commands yet.')));
    }
    const {totals} = status;
    const last = samples[samples.length - 1];
    const figures = [
      [
        'Keys found', share(totals.hits, totals.hits + totals.misses),
        `${count(totals.hits)} of ${count(totals.hits + totals.misses)}`
      ],
      ['Expired keys', count(totals.expired), ''],
      ['Connections', count(totals.connections), `at most ${count(status.clients.limit)} at once`],
      ['Received now', last ? `${bytes(last.bytesIn)}/s` : '–', ''],
      ['Sent now', last ? `${bytes(last.bytesOut)}/s` : '–', ''],
      ['Data', status.durable ? 'durable' : 'in memory', status.durable ? 'survives a crash' : 'gone at the end'],
    ];
    this.figures.replaceChildren(...figures.map(
        ([name, text, note]) =>
            h('div', null, h('dt', null, name), h('dd', null, text, note ? h('small', null, note) : null))));
  }
}
