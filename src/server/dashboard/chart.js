// SPDX-License-Identifier: Apache-2.0
// Small charts of the last minutes.

import {clock, h, svg} from './dom.js';

const width = 300;
const height = 72;
const shown = 300;

/** The next round number above; of bytes, the next power of two. */
function roundAbove(number, binary) {
  if (!(number > 0)) return 1;
  if (binary) return 2 ** Math.ceil(Math.log2(number));
  const power = 10 ** Math.floor(Math.log10(number));
  return [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= number) ?? number;
}

/**
 * A card with a chart. `series` are {name, of, filled}: `of(sample)` is what it shows of a sample; `format` writes a value,
 * which are bytes if `binary`. What it is at the moment, or where the pointer is, stands above.
 */
export class ChartCard {
  constructor({title, hint, series, format, note, binary}) {
    this.series = series;
    this.format = format;
    this.note = note;
    this.binary = binary;
    this.samples = [];
    this.pointed = null;
    this.values = series.map(
        (each, index) =>
            h('span', {class: `reading line-${index}`}, h('b', {class: 'number'}, '–'),
              series.length > 1 ? h('small', null, each.name) : null));
    this.paths = series.map((each, index) => ({
                              area: each.filled ? svg('path', {class: `area line-${index}`}) : null,
                              line: svg('path', {class: `line line-${index}`, 'vector-effect': 'non-scaling-stroke'}),
                            }));
    this.top = h('span', {class: 'chart-top'});
    this.cursor = h('i', {class: 'chart-cursor', hidden: true});
    this.foot = h('p', {class: 'card-foot'}, '\u00a0');
    this.plot =
        h('div', {class: 'plot'},
          svg('svg', {viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': title},
              svg('path', {
                class: 'grid',
                d: `M0 .5H${width}M0 ${height / 2}H${width}M0 ${height - 0.5}H${width}`,
                'vector-effect': 'non-scaling-stroke'
              }),
              this.paths.flatMap(({area, line}) => [area, line])),
          this.top, this.cursor);
    this.plot.addEventListener('pointermove', (event) => this.point(event));
    this.plot.addEventListener('pointerleave', () => {
      this.pointed = null;
      this.read();
    });
    this.element =
        h('section', {class: 'card chart', title: hint}, h('h2', null, title, h('span', {class: 'span'}, '5 min')),
          h('div', {class: 'readings'}, this.values), this.plot, this.foot);
  }

  update(samples, status) {
    this.samples = samples.slice(-shown);
    this.status = status;
    const most = Math.max(...this.samples.flatMap((sample) => this.series.map(({of}) => of(sample))));
    const highest = roundAbove(most * 1.05, this.binary);
    const x = (index) => width - (this.samples.length - 1 - index) * (width / (shown - 1));
    const y = (number) => height - 1 - (number / highest) * (height - 3);
    this.series.forEach(({of}, index) => {
      const points = this.samples.map((sample, at) => `${x(at).toFixed(1)} ${y(of(sample)).toFixed(1)}`);
      const {area, line} = this.paths[index];
      line.setAttribute('d', points.length > 1 ? 'M' + points.join('L') : '');
      area?.setAttribute('d', points.length > 1 ? `M${points.join('L')}L${width} ${height}L${x(0).toFixed(1)} ${height}Z` : '');
    });
    this.top.textContent = this.format(highest);
    this.read();
  }

  point(event) {
    const box = this.plot.getBoundingClientRect();
    const place = (event.clientX - box.left) / box.width;
    const index = this.samples.length - 1 - Math.round((1 - place) * (shown - 1));
    this.pointed = index >= 0 && index < this.samples.length ? index : null;
    this.read();
  }

  read() {
    const index = this.pointed ?? this.samples.length - 1;
    const sample = this.samples[index];
    if (!sample) return;
    this.series.forEach(({of}, at) => {
      this.values[at].firstChild.textContent = this.format(of(sample));
    });
    this.cursor.hidden = this.pointed === null;
    if (this.pointed !== null) {
      this.cursor.style.left = `${100 - ((this.samples.length - 1 - index) / (shown - 1)) * 100}%`;
      this.foot.textContent = `at ${clock(sample.time)}`;
    } else {
      this.foot.textContent = this.note(this.status);
    }
  }
}
