// SPDX-License-Identifier: Apache-2.0
// What the page knows. A place is a room ("#lobby") or a conversation ("@Bob").

export const keyOf = ({room, to}) => (room !== undefined ? '#' + room : '@' + to);
export const placeOf = (key) => (key[0] === '#' ? {room: key.slice(1)} : {to: key.slice(1)});

const newPlace = (key) => ({
  key,
  joined: key[0] === '@',
  seen: 0,
  count: 0, // messages so far, as far as we know
  loaded: false, // has the history since the connection came up
  messages: new Map(), // by id
  members: new Set(),
  typing: new Map(), // name: until when
  mention: false,
});

export class Model {
  me = null;
  current = null; // key of the place that is shown
  places = new Map();
  here = new Set();

  place(key) {
    if (!this.places.has(key)) this.places.set(key, newPlace(key));
    return this.places.get(key);
  }

  get shown() {
    return this.current && this.place(this.current);
  }

  unread(place) {
    return place.joined ? Math.max(0, place.count - place.seen) : 0;
  }

  get unreadAll() {
    let sum = 0;
    for (const place of this.places.values()) sum += this.unread(place);
    return sum;
  }

  /** Takes in what the server sent. Returns a message that is new, if there is one. */
  take(event) {
    switch (event.type) {
      case 'welcome':
        this.me = event.name;
        for (const place of this.places.values()) place.loaded = false;
        for (const {joined, seen, unread, ...where} of event.rooms) {
          Object.assign(this.place(keyOf(where)), {joined, seen, count: seen + unread});
        }
        for (const message of event.inbox) this.#add(message, true);
        return;
      case 'room': {
        const place = this.place(keyOf(event));
        place.joined = true;
        place.loaded = true;
        place.messages.clear();
        for (const message of event.messages) this.#add(message, false);
        place.members = new Set(event.members.map(({name}) => name));
        for (const {name, here} of event.members) here ? this.here.add(name) : this.here.delete(name);
        return;
      }
      case 'message':
        return this.#add(event, true);
      case 'seen': {
        const place = this.place(keyOf(event));
        place.seen = Math.max(place.seen, event.number);
        if (place.seen >= place.count) place.mention = false;
        return;
      }
      case 'typing':
        if (event.name === this.me) return;
        this.place(event.room !== undefined ? keyOf(event) : '@' + event.name).typing.set(event.name, Date.now() + 4000);
        return;
      case 'joined':
        this.place(keyOf(event)).members.add(event.name);
        return;
      case 'left':
        this.place(keyOf(event)).members.delete(event.name);
        if (event.name === this.me) this.place(keyOf(event)).joined = false;
        return;
      case 'here':
        this.here.add(event.name);
        return;
      case 'away':
        this.here.delete(event.name);
        return;
      case 'room made':
        this.place(keyOf(event));
        return;
    }
  }

  mentions(text) {
    return text.startsWith('@everyone') || text.toLowerCase().includes('@' + this.me.toLowerCase());
  }

  #add(message, news) {
    const key = message.room !== undefined ? keyOf(message) : '@' + (message.from === this.me ? message.to : message.from);
    const place = this.place(key);
    place.typing.delete(message.from);
    const known = place.messages.has(message.id);
    place.messages.set(message.id, message);
    place.count = Math.max(place.count, message.number);
    if (message.from === this.me) place.seen = Math.max(place.seen, message.number); // who speaks has seen what was said before
    if (!news || known || message.from === this.me) return undefined;
    if (message.number > place.seen && place.key[0] === '#' && this.mentions(message.text)) place.mention = true;
    return message;
  }
}
