/* The page of scripts/compare: a table and small charts for each placement, losses first. */
const OURS = 'firstbyte', ASIDE = ['direct', 'relay'];
const LANE = { wide: 490, label: 78, value: 84, line: 21 };
const number = (value, decimals) =>
  value.toLocaleString('en-US', { minimumFractionDigits: decimals, maximumFractionDigits: decimals }).replace(/^-(?=0$)/, '');
const card = (title, said, ...children) => node('section', { class: 'card' }, node('h2', {}, title), said ? node('p', { class: 'soft' }, said) : null, ...children);
const list = (texts) => node('ul', {}, ...texts.map((text) => node('li', {}, text)));
const rank = (column) => ([, a], [, b]) => (column.smaller ? 1 : -1) * (a[column.key].median - b[column.key].median);
const having = (rows, column) => Object.entries(rows).filter(([, row]) => row[column.key]).sort(rank(column));

function head() {
  const { machine } = report;
  const busy = machine.load_before > 0.5;
  return [
    node('h1', {}, 'firstbyte and its rivals, side by side'),
    node('p', { class: 'soft' }, `${report.date} · ${machine.cpu}, ${machine.cores} cores${machine.virtual ? ' (virtual machine)' : ''}, ${machine.memory_gib} GiB · Linux ${machine.kernel} · firstbyte at ${report.commit}`),
    node('div', { class: 'command mono' }, report.command),
    node('div', { class: `verdict${busy ? ' bad' : ''}` }, node('b', {}, busy ? 'Others were at work on this machine. ' : 'The machine was idle before. '), `Its load average was ${machine.load_before}.`),
  ];
}

function method() {
  const loads = Object.entries(report.loads).map(([name, what]) => `${name}: ${what}`);
  return card('How it was taken', null, node('p', {},
    `Every target in turn, in slices of ${report.seconds} s, ${report.rounds} rounds, each round beginning with another one, so that what drifts on the machine drifts for all; a second of each load before is not counted. `
    + 'Each has one core and one worker, the same certificate authority to verify, the same upstream key to send (H2O has no way to set one), access logs off. Added is the target minus direct in the same round. '
    + 'Direct is the client at the upstream itself, in clear; the floor relays bytes in clear as well; all others speak TLS to the upstream. CPU is the target’s alone, by the scheduler’s account. '
    + 'Before it was measured, each showed that it passes a stream on byte for byte and at once.'),
  list([...loads, `idle: ${number(report.idle_streams, 0)} streams that have had their first token and wait for the next; at rest: the same process before`]));
}

/* One column of the table as lanes, best on top: dot the median, bar the range, faint dots the rounds. */
function lanes(rows, column) {
  const entries = having(rows, column), height = entries.length * LANE.line + 30;
  const typical = entries.map(([, row]) => row[column.key].median)[Math.floor(entries.length / 2)] ?? 0;
  /* One that is far off would press all others against the edge: it is drawn as an arrow there. */
  const near = entries.map(([, row]) => row[column.key]).filter((each) => each.median <= Math.max(typical * 4, 1));
  const values = near.flatMap((each) => [each.low, Math.min(each.high, Math.max(typical * 6, 1))]);
  const low = Math.min(0, ...values), high = Math.max(...values, low + 1);
  const chart = frame({
    height, left: LANE.label, right: WIDTH - LANE.wide + LANE.value, top: 4,
    x: (range) => linear([low, high], range, 4), xText: (value) => number(value, 0), y: () => ({ at: () => 0, ticks: [] }),
  });
  const { svg, x, area } = chart, within = (value) => Math.min(area.right, Math.max(area.left, x.at(value)));
  svg.setAttribute('viewBox', `0 0 ${LANE.wide} ${height}`);
  svg.setAttribute('aria-label', column.heading);
  entries.forEach(([name, row], n) => {
    const each = row[column.key], y = area.top + LANE.line * (n + 0.5), ours = name === OURS;
    const aside = ASIDE.includes(name), tone = ours ? 'var(--c0)' : 'var(--soft)';
    const lane = shape('g', {}, shape('title', {}, `${name}: median ${number(each.median, column.decimals)}, rounds ${each.rounds.map((value) => number(value, column.decimals)).join(', ')}`));
    for (const value of each.rounds.length > 1 ? each.rounds : [])
      if (value <= high) lane.append(shape('circle', { cx: within(value), cy: y, r: 2.5, fill: tone, opacity: 0.3 }));
    lane.append(shape('line', { x1: within(each.low), x2: within(each.high), y1: y, y2: y, stroke: tone, 'stroke-width': 3, 'stroke-linecap': 'round', opacity: 0.55 }));
    lane.append(each.median > high
      ? shape('path', { d: `M${area.right - 6} ${y - 5}L${area.right + 2} ${y}L${area.right - 6} ${y + 5}Z`, fill: tone })
      : shape('circle', { cx: within(each.median), cy: y, r: 4.5, fill: aside ? 'var(--card)' : tone, stroke: tone, 'stroke-width': aside ? 1.5 : 0 }));
    lane.append(shape('text', { class: ours ? 'ours' : '', x: area.left - 10, y: y + 4, 'text-anchor': 'end' }, name));
    lane.append(shape('text', { class: ours ? 'ours' : 'strong', x: LANE.wide - 4, y: y + 4, 'text-anchor': 'end' }, number(each.median, column.decimals)));
    svg.append(lane);
  });
  return node('div', {}, node('h3', {}, `${column.heading}${column.smaller ? '' : ' (more is better)'}`), svg);
}

function results(placement) {
  const rivals = (column) => having(placement.rows, column).filter(([name]) => !ASIDE.includes(name));
  const best = Object.fromEntries(report.columns.map((column) => [column.key, rivals(column)[0]?.[0]]));
  const cell = (name, row, { key, decimals }) => {
    const each = row[key];
    if (!each) return node('td', {}, '–');
    const spread = each.low === each.high ? null : node('small', {}, `${number(each.low, decimals)} – ${number(each.high, decimals)}`);
    return node('td', { class: best[key] === name ? 'best' : null }, number(each.median, decimals), spread);
  };
  const line = ([name, row]) => node('tr', { class: name === OURS ? 'ours' : ASIDE.includes(name) ? 'aside' : null },
    node('td', {}, name), ...report.columns.map((column) => cell(name, row, column)));
  return node('div', { class: 'scroll' }, node('table', { class: 'results' },
    node('thead', {}, node('tr', {}, ...['target', ...report.columns.map((column) => column.heading)].map((text) => node('th', {}, text)))),
    node('tbody', {}, ...Object.entries(placement.rows).map(line))));
}

function standing(placement) {
  const { losses, doubts } = placement;
  if (!placement.rows[OURS]) return null;
  return node('div', {},
    losses.length ? node('div', { class: 'verdict bad' }, node('b', {}, 'Where firstbyte loses'), list(losses))
      : node('div', { class: 'verdict' }, node('b', {}, 'No rival is ahead of firstbyte in any column.')),
    doubts.length ? node('div', {}, node('h3', {}, 'Doubtful'), list(doubts)) : null);
}

function placed(placement) {
  const drawn = report.columns.filter((column) => having(placement.rows, column).length);
  return card(placement.what, 'Median over the rounds, below it the lowest and the highest; green: the best of the proxies. In the charts a dot is the median, a bar the range, faint dots the rounds; hollow: no proxy of HTTP.',
    results(placement), standing(placement),
    node('div', { class: 'pair' }, ...drawn.map((column) => lanes(placement.rows, column))),
    node('h3', {}, 'Time to first byte, the whole distribution'),
    node('p', { class: 'soft' }, `Load “latency”, all slices together: the share of requests at or below a time; each step of the axis is one more nine. Measured from when a request was due.`),
    keys(), spectrum(placement.name));
}

function field() {
  const rows = report.targets.map((target, n) => node('tr', {},
    node('td', {}, node('span', { class: 'key' }, node('i', { style: `background:${color(n)}` }), target.name)),
    node('td', { class: 'means' }, target.what), node('td', { class: 'means mono' }, target.version ?? '')));
  return card('Who takes part', null, node('table', {}, node('tbody', {}, ...rows)), report.left_out.length ? list(report.left_out) : null);
}

document.title = `firstbyte and its rivals, ${report.date}`;
main.replaceChildren(...head(), ...report.placements.map(placed), field(), method());
