// SPDX-License-Identifier: Apache-2.0
// Draws what the model knows. Elements that didn't change stay (dom.js), so it is simply called after every change.
import {$, avatar, h, hue, initials, reconcile, rich} from './dom.js';

const kGroup = 5 * 60_000; // messages of one person within this time stand together
const clock = new Intl.DateTimeFormat(undefined, {hour: '2-digit', minute: '2-digit'});
const shortClock = new Intl.DateTimeFormat(undefined, {hour: '2-digit', minute: '2-digit', hourCycle: 'h23'});
const day = new Intl.DateTimeFormat(undefined, {weekday: 'long', month: 'long', day: 'numeric'});
const dayOf = (at) => new Date(at).toDateString();

export class View {
  /** `actions`: open(key), retry(entry), discard(entry). */
  constructor(model, connection, actions) {
    this.model = model;
    this.connection = connection;
    this.actions = actions;
    this.divider = null; // {key, number}: what was unread when the place was opened
    this.stick = true; // the newest message stays in sight
    $('scroll').addEventListener('scroll', () => {
      const {scrollHeight, scrollTop, clientHeight} = $('scroll');
      this.stick = scrollHeight - scrollTop - clientHeight < 60;
      if (this.stick) $('to-bottom').hidden = true;
    });
    $('to-bottom').addEventListener('click', () => this.toBottom());
    new ResizeObserver(() => this.stick && this.toBottom()).observe($('scroll'));
  }

  draw() {
    this.drawSidebar();
    const place = this.model.shown;
    if (!place) return;
    this.drawHead(place);
    this.drawMessages(place);
    this.drawPeople(place);
    this.drawTyping(place);
  }

  toBottom() {
    $('scroll').scrollTop = $('scroll').scrollHeight;
    this.stick = true;
    $('to-bottom').hidden = true;
  }

  /** A message has come in the place that is shown. */
  notice() {
    if (!this.stick) $('to-bottom').hidden = false;
  }

  // --- the lists at the side ---

  drawSidebar() {
    const {model} = this;
    const places = [...model.places.values()].sort((a, b) => a.key.localeCompare(b.key));
    const item = (place) => {
      const unread = place.key === model.current && document.visibilityState === 'visible' ? 0 : model.unread(place);
      const name = place.key.slice(1);
      const here = model.here.has(name);
      const current = place.key === model.current;
      return {
        key: place.key,
        state: JSON.stringify([unread, place.mention, current, place.joined, here]),
        make: () =>
          h('li', {},
            h('button', {type: 'button', class: unread ? 'item unread' : 'item', 'aria-current': current ? 'page' : null,
                         click: () => this.actions.open(place.key)},
              place.key[0] === '@' ? this.person(name, here) : h('span', {class: 'hash', 'aria-hidden': 'true'}, '#'),
              h('span', {class: 'label'}, name),
              unread > 0 && h('span', {class: place.mention || place.key[0] === '@' ? 'badge strong' : 'badge'},
                              unread > 99 ? '99+' : String(unread), h('span', {class: 'sr'}, ' unread')))),
      };
    };
    const directs = places.filter(({key, count, messages}) => key[0] === '@' && (count || messages.size || key === model.current));
    const others = places.filter(({key, joined}) => key[0] === '#' && !joined);
    reconcile($('rooms'), places.filter(({key, joined}) => key[0] === '#' && joined).map(item));
    reconcile($('directs'), directs.map(item));
    reconcile($('other-rooms'), others.map(item));
    $('no-directs').hidden = directs.length > 0;
    $('more').hidden = others.length === 0;

    const unread = model.unreadAll;
    const elsewhere = unread - (model.shown ? model.unread(model.shown) : 0);
    $('back-badge').hidden = elsewhere === 0;
    $('back-badge').textContent = elsewhere;
    document.title = (unread ? `(${unread}) ` : '') + (model.current ? `${model.current} · cubby chat` : 'cubby chat');
    if (model.me && $('my-name').textContent !== model.me) {
      $('my-name').textContent = model.me;
      $('my-avatar').textContent = initials(model.me);
      $('my-avatar').style.setProperty('--hue', hue(model.me));
    }
  }

  person(name, here) {
    return h('span', {class: here ? 'presence here' : 'presence'}, avatar(name), h('span', {class: 'sr'}, here ? 'here: ' : 'away: '));
  }

  // --- the place that is shown ---

  drawHead(place) {
    const name = place.key.slice(1);
    const room = place.key[0] === '#';
    const here = [...place.members].filter((member) => this.model.here.has(member)).length;
    $('title').textContent = room ? '#' + name : name;
    $('subtitle').textContent = room
      ? `${place.members.size} ${place.members.size === 1 ? 'member' : 'members'}, ${here} here`
      : this.model.here.has(name) ? 'here now' : 'away: messages wait';
    $('leave').hidden = !room;
    $('show-people').hidden = !room;
    $('people-count').textContent = here;
    $('text').placeholder = `Message ${room ? '#' + name : name}`;
    document.body.classList.toggle('in-conversation', !room);
  }

  drawMessages(place) {
    const items = [];
    const sent = [...place.messages.values()].sort((a, b) => a.number - b.number);
    const known = new Set(sent.map(({id}) => id));
    const waiting = this.connection.outbox
      .map((entry) => ({...entry, entry, id: `${this.model.me}:${entry.client}:${entry.n}`}))
      .filter((entry) => (entry.room !== undefined ? '#' + entry.room : '@' + entry.to) === place.key && !known.has(entry.id));
    let previous = null;
    for (const message of [...sent, ...waiting]) {
      const newDay = !previous || dayOf(previous.at) !== dayOf(message.at);
      if (newDay) {
        items.push({key: 'day ' + dayOf(message.at), state: '', make: () => h('li', {class: 'day'}, h('span', {}, this.dayName(message.at)))});
      }
      const divided = this.divider?.key === place.key && message.number === this.divider.number + 1;
      if (divided) items.push({key: 'new', state: '', make: () => h('li', {class: 'new-line'}, h('span', {}, 'New'))});
      const goesOn = !newDay && !divided && previous.from === message.from && message.at - previous.at < kGroup;
      items.push({
        key: message.id,
        state: JSON.stringify([goesOn, message.number, message.entry?.failed]),
        make: () => this.message(message, goesOn),
      });
      previous = message;
    }
    reconcile($('messages'), items);
    $('empty').hidden = items.length > 0 || !place.loaded;
    $('empty').textContent = place.key[0] === '#' ? 'Nothing has been said here yet. Say hello!' : `This is the beginning of your conversation with ${place.key.slice(1)}.`;
    if (this.stick) this.toBottom();
  }

  message(message, goesOn) {
    const mine = message.from === this.model.me;
    const isMe = (name) => name === 'everyone' || name.toLowerCase() === this.model.me.toLowerCase();
    const failed = message.entry?.failed;
    const at = new Date(message.at);
    const time = h('time', {datetime: at.toISOString(), title: at.toLocaleString()}, (goesOn ? shortClock : clock).format(at));
    const body = h('div', {class: 'text'}, ...rich(message.text, isMe));
    if (this.model.mentions(message.text) && !mine) body.classList.add('calls-me');
    const state = !message.entry ? null
      : failed ? h('span', {class: 'state failed'}, failed, ' ',
                   h('button', {type: 'button', class: 'link', click: () => this.actions.discard(message.entry)}, 'Discard'))
      : h('span', {class: 'state'}, 'Sending…');
    const name = h('span', {class: 'author'}, message.from);
    name.style.setProperty('--hue', hue(message.from));
    return h('li', {class: ['message', goesOn ? 'goes-on' : '', message.entry ? 'waiting' : '', mine ? 'mine' : ''].join(' ').trim()},
             goesOn ? h('span', {class: 'gutter'}, time) : avatar(message.from),
             h('div', {class: 'body'},
               goesOn ? h('span', {class: 'sr'}, message.from + ': ') : h('div', {class: 'by'}, name, time),
               body, state));
  }

  dayName(at) {
    if (dayOf(at) === dayOf(Date.now())) return 'Today';
    if (dayOf(at) === dayOf(Date.now() - 86_400_000)) return 'Yesterday';
    return day.format(new Date(at));
  }

  drawPeople(place) {
    const {model} = this;
    const rank = (name) => (model.here.has(name) ? 0 : 1);
    const names = [...place.members].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
    reconcile($('people'), names.map((name) => {
      const here = model.here.has(name);
      return {
        key: name,
        state: String(here),
        make: () => h('li', {},
          name === model.me
            ? h('div', {class: here ? 'item' : 'item away'}, this.person(name, here), h('span', {class: 'label'}, name), h('span', {class: 'you'}, 'you'))
            : h('button', {type: 'button', class: here ? 'item' : 'item away', title: `Message ${name}`, click: () => this.actions.open('@' + name)},
                this.person(name, here), h('span', {class: 'label'}, name))),
      };
    }));
  }

  drawTyping(place) {
    const now = Date.now();
    const names = [...place.typing].filter(([, until]) => until > now).map(([name]) => name);
    const text = names.length === 0 ? ''
      : names.length > 3 ? 'Several people are typing…'
      : new Intl.ListFormat('en').format(names) + (names.length === 1 ? ' is typing…' : ' are typing…');
    if ($('typing').textContent !== text) $('typing').textContent = text;
  }
}
