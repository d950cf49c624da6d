'use strict';
/* What every chart needs: the report, numbers for people, nodes, scales, axes, a tip. */
const report = JSON.parse(document.getElementById('report').textContent);
const main = document.getElementById('main');
const tip = document.getElementById('tip');
const color = (n) => `var(--c${n % 10})`;

function nanos(value) {
  const size = Math.abs(value);
  if (size < 1e3) return `${Math.round(value)} ns`;
  const [scaled, unit] = size < 999.5e3 ? [value / 1e3, 'µs'] : size < 999.5e6 ? [value / 1e6, 'ms'] : [value / 1e9, 's'];
  const digits = Math.abs(scaled) < 9.995 ? 2 : Math.abs(scaled) < 99.95 ? 1 : 0;
  return `${scaled.toFixed(digits)} ${unit}`;
}
/* For axes: no needless digits. */
function tick(value) {
  const sign = value < 0 ? '−' : '', size = Math.abs(value);
  if (size === 0) return '0';
  const [scaled, unit] = size < 1e3 ? [size, 'ns'] : size < 1e6 ? [size / 1e3, 'µs'] : size < 1e9 ? [size / 1e6, 'ms'] : [size / 1e9, 's'];
  return `${sign}${+scaled.toPrecision(3)} ${unit}`;
}
const added = (value) => (value < 0 ? '−' : '+') + nanos(Math.abs(value));
const count = (value) => Math.round(value).toLocaleString('en-US');
const rate = (value) => (value < 1000 ? value.toFixed(1) : count(value)) + '/s';
function bytes(value) {
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (value < 1024) return `${value.toFixed(unit === 'B' ? 0 : 1)} ${unit}`;
    value /= 1024;
  }
  return `${value.toFixed(1)} TiB`;
}

function node(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  return fill(made, attributes, children);
}
function shape(name, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children);
}
function fill(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) made.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/* Scales map a value to a place; `ticks` are the values worth a line. */
function linear([low, high], [from, to], wanted = 6) {
  const span = high - low || 1, raw = span / wanted, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw);
  const ticks = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-6; at += step) ticks.push(at);
  return { at: (value) => from + ((value - low) / span) * (to - from), ticks };
}
function logarithmic([low, high], [from, to]) {
  const [a, b] = [Math.log10(low), Math.log10(high)], span = b - a || 1;
  const marks = b - a < 1.5 ? [1, 2, 5] : b - a < 3 ? [1, 3] : [1];
  const ticks = [];
  for (let power = Math.floor(a); power <= Math.ceil(b); power++)
    for (const mark of marks) {
      const value = mark * 10 ** power;
      if (value >= low * 0.999 && value <= high * 1.001) ticks.push(value);
    }
  return { at: (value) => from + ((Math.log10(Math.max(value, low)) - a) / span) * (to - from), ticks };
}
/* Linear near 0, logarithmic beyond: small and large differences are legible at once. */
function both(bound, near, [from, to]) {
  const reach = Math.asinh(bound / near) || 1, middle = (from + to) / 2, ticks = [0];
  for (let value = near; value <= bound; value *= 10) ticks.push(value, -value);
  return { at: (value) => middle + (Math.asinh(value / near) / reach) * (to - from) / 2, ticks };
}

const WIDTH = 1000;
/* An empty chart with its axes drawn. */
function frame({ height, x, y, left = 62, right = 16, bottom = 26, top = 10, xLabel, xText, yText = tick }) {
  const svg = shape('svg', { viewBox: `0 0 ${WIDTH} ${height}`, role: 'img' });
  const area = { left, right: WIDTH - right, top, bottom: height - bottom };
  const xs = x([area.left, area.right]), ys = y([area.bottom, area.top]);
  for (const value of ys.ticks) {
    svg.append(shape('line', { class: 'grid', x1: area.left, x2: area.right, y1: ys.at(value), y2: ys.at(value) }));
    svg.append(shape('text', { x: area.left - 8, y: ys.at(value) + 4, 'text-anchor': 'end' }, yText(value)));
  }
  for (const value of xs.ticks) {
    svg.append(shape('line', { class: 'grid', x1: xs.at(value), x2: xs.at(value), y1: area.top, y2: area.bottom }));
    svg.append(shape('text', { x: xs.at(value), y: area.bottom + 16, 'text-anchor': 'middle' }, xText(value)));
  }
  svg.append(shape('line', { class: 'axis', x1: area.left, x2: area.right, y1: area.bottom, y2: area.bottom }));
  if (xLabel) svg.append(shape('text', { x: area.right, y: height - bottom - 6, 'text-anchor': 'end' }, xLabel));
  return { svg, area, x: xs, y: ys };
}
const path = (points) => points.map(([x, y], n) => `${n ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`).join('');

/* Shows what `text` says for the place under the pointer; null hides the tip. */
function follow(svg, text) {
  svg.addEventListener('pointermove', (event) => {
    const box = svg.getBoundingClientRect(), scale = WIDTH / box.width;
    const shown = text((event.clientX - box.left) * scale, (event.clientY - box.top) * scale);
    tip.hidden = !shown;
    if (!shown) return;
    tip.textContent = shown;
    const beside = event.clientX + 14 + tip.offsetWidth > innerWidth ? event.clientX - 14 - tip.offsetWidth : event.clientX + 14;
    tip.style.left = `${beside}px`;
    tip.style.top = `${Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 4)}px`;
  });
  svg.addEventListener('pointerleave', () => { tip.hidden = true; });
}
function keys() {
  return node('p', { class: 'soft' }, ...report.targets.map((target, n) =>
    node('span', { class: 'key' }, node('i', { style: `background:${color(n)}` }), target.name)));
}
/* Buttons of which one is pressed; `draw` makes what is below them. */
function choice(options, draw) {
  const bar = node('div', { class: 'controls' }), place = node('div');
  const pick = (option) => {
    for (const button of bar.children) button.setAttribute('aria-pressed', button.textContent === option);
    place.replaceChildren(draw(option));
  };
  for (const option of options) bar.append(node('button', { type: 'button', onclick: () => pick(option) }, option));
  if (options.length) pick(options[0]);
  return options.length > 1 ? [bar, place] : [place];
}
