// SPDX-License-Identifier: Apache-2.0
// Who is connected.

import * as api from './api.js';
import {count, duration, exact, h} from './dom.js';

export class Clients {
  constructor() {
    this.rows = h('tbody');
    this.title = h('h2', null, 'Clients');
    const columns = [
      ['Client', ''], ['Address', ''], ['User', ''], ['Store', ''], ['Last command', ''], ['Commands', 'right'],
      ['Connected', 'right'], ['Idle', 'right']
    ];
    this.element =
        h('section', {class: 'card'}, this.title,
          h('div', {class: 'scroll'},
            h('table', null, h('thead', null, h('tr', null, columns.map(([name, kind]) => h('th', {class: kind}, name)))),
              this.rows)));
  }

  async refresh() {
    const {count: all, clients} = await api.clients();
    this.title.textContent = clients.length < all ? `Clients (the first ${exact(clients.length)} of ${exact(all)})` : 'Clients';
    this.rows.replaceChildren(...clients.map(
        (client) =>
            h('tr', null,
              h('td', null, client.name || h('span', {class: 'muted'}, `#${client.id}`),
                client.library ? h('small', null, client.library) : null),
              h('td', null, h('code', null, client.address)), h('td', null, client.user || '–'), h('td', null, client.store),
              h('td', null, client.command ? h('code', null, client.command.toUpperCase()) : '–',
                client.blocked ? h('span', {class: 'chip'}, 'waits') : null),
              h('td', {class: 'right'}, count(client.commands)), h('td', {class: 'right'}, duration(client.age_s * 1000)),
              h('td', {class: 'right'}, duration(client.idle_s * 1000)))));
    if (clients.length === 0)
      this.rows.replaceChildren(h('tr', null, h('td', {colspan: '8', class: 'muted'}, 'Nobody is connected.')));
  }
}
