/* The page, from top to bottom. */
const QUANTILES = ['p50', 'p75', 'p90', 'p95', 'p99', 'p99.9', 'p99.99'];
const card = (title, said, ...children) => node('section', { class: 'card' }, node('h2', {}, title), said ? node('p', { class: 'soft' }, said) : null, ...children);
const means = (name) => report.definitions.find((one) => one.name === name)?.means ?? '';

function head() {
  const { machine, generator, settings } = report;
  const void_ = generator.void, failed = report.failed_conditions, bad = void_.length + failed.length > 0;
  const reasons = [...void_.map((why) => `Void: ${why}.`), ...failed.map((why) => `Failed: ${why}.`)];
  const names = report.targets.map((target) => target.name);
  const title = report.comparison ? `${names.slice(1).join(', ')} against ${names[0]}` : report.targets[0].url;
  document.title = `loadtest: ${title}`;
  return [
    node('h1', {}, title),
    node('p', { class: 'soft' }, `${report.taken_at.replace('T', ' ').replace('Z', ' UTC')} · ${machine.processor}, ${machine.allowed} of ${machine.processors} processors · ${machine.system} · loadtest ${report.version}`),
    node('p', { class: 'soft' }, Object.entries(settings).map(([name, value]) => `${name.replace('_', ' ')}: ${value}`).join(' · ')),
    node('div', { class: 'command mono' }, report.command),
    node('div', { class: `verdict${bad ? ' bad' : ''}` },
      node('b', {}, void_.length ? 'Do not use these figures. ' : bad ? 'The run failed. ' : 'The load generator kept up. '),
      bad ? reasons.join(' ') + ' ' : '',
      `Its own lag: p50 ${nanos(generator.lag_p50_ns)}, p99 ${nanos(generator.lag_p99_ns)}, max ${nanos(generator.lag_max_ns)}; `
      + `busy ${(generator.busy * 100).toFixed(0)} %, waiting for a processor ${(generator.waiting * 100).toFixed(0)} % of the time.`),
  ];
}

function tiles() {
  const target = report.targets[0], of = (name) => target.measures.find((measure) => measure.name === name);
  const one = (label, value) => node('div', { class: 'tile' }, node('div', { class: 'value' }, value), node('div', { class: 'label' }, label));
  const first = of('ttfb'), gap = of('gap');
  return node('div', { class: 'tiles' },
    first && one('first byte, median', nanos(first.quantiles.p50 ?? first.max)),
    first && one('first byte, p99', first.quantiles.p99 ? nanos(first.quantiles.p99) : '–'),
    gap && one('gap, p99', gap.quantiles.p99 ? nanos(gap.quantiles.p99) : '–'),
    one('requests', rate(target.started_rate ?? target.rate)), one('tokens', rate(target.token_rate)),
    one('failed', `${count(target.requests - target.succeeded)} of ${count(target.requests)}`));
}

function requests() {
  const process = report.targets.some((target) => target.process);
  const header = ['target', 'requests', 'failed', 'rate', 'tokens', 'events', 'bytes', 'verified', 'connects', ...(process ? ['cpu/request', 'cpu/event', 'memory'] : [])];
  const row = (target, n) => node('tr', {},
    node('td', {}, report.targets.length > 1 ? node('span', { class: 'key' }, node('i', { style: `background:${color(n)}` }), target.name) : null, node('span', { class: 'soft mono' }, target.url)),
    ...[count(target.requests), count(target.requests - target.succeeded),
      target.started_rate ? `${rate(target.started_rate)} of ${rate(target.asked_rate)}` : rate(target.rate), rate(target.token_rate), rate(target.event_rate), `${bytes(target.byte_rate)}/s`,
      target.verified ? count(target.verified) : '–', count(target.connects),
      ...(process ? target.process ? [nanos(target.process.cpu_ns_per_request), nanos(target.process.cpu_ns_per_event), target.process.memory_bytes ? bytes(target.process.memory_bytes) : '–'] : ['–', '–', '–'] : []),
    ].map((text) => node('td', {}, text)));
  const failures = report.targets.flatMap((target) => Object.entries(target.failures).map(([kind, failure]) =>
    node('p', { style: 'color:var(--bad)' }, `${target.name}: ${kind} ${count(failure.count)} (${failure.examples.join('; ')})`)));
  const goodput = report.targets.filter((target) => target.good !== null).map((target) =>
    node('p', { class: 'soft' }, `${target.name}: ${count(target.good)} met every goal (${(100 * target.good / Math.max(1, target.requests - target.slow_readers)).toFixed(2)} %)`));
  const slow = report.targets.filter((target) => target.slow_readers).map((target) =>
    node('p', { class: 'soft' }, `${target.name}: ${count(target.slow_readers)} slow readers, excluded from the latencies`));
  return card('Requests', null, scroll(table(header, report.targets.map(row))), ...failures, ...goodput, ...slow);
}
const table = (header, rows) => node('table', {}, node('thead', {}, node('tr', {}, ...header.map((text) => node('th', {}, text)))), node('tbody', {}, ...rows));
const scroll = (child) => node('div', { class: 'scroll' }, child);

function comparison() {
  const all = report.comparison;
  if (!all) return null;
  const measures = [...new Set(all.added.map((row) => row.measure))];
  return card(`Added to ${all.baseline}`,
    `${all.rounds} rounds of ${all.slice_seconds} s slices in rotation. Dot: the difference of all slices together; bar: its ${(all.confidence * 100).toFixed(0)} % bootstrap interval (${count(all.resamples)} resamples); `
    + 'faint dots: single rounds. Hollow and grey: 0 is within the interval, so no difference was shown.',
    ...measures.flatMap((measure) => [node('h3', {}, `${measure}: ${means(measure)}`), addedChart(measure)]));
}

function figures() {
  const names = [...new Set(report.targets.flatMap((target) => target.measures.map((measure) => measure.name)))];
  const rows = names.flatMap((name) => report.targets.flatMap((target, n) => {
    const measure = target.measures.find((one) => one.name === name);
    if (!measure) return [];
    const key = report.targets.length > 1 ? node('span', { class: 'key' }, node('i', { style: `background:${color(n)}` }), `${name} ${target.name}`) : name;
    return [node('tr', {}, node('td', {}, key), ...[...QUANTILES.map((at) => at in measure.quantiles ? nanos(measure.quantiles[at]) : '–'), nanos(measure.max), nanos(measure.mean), count(measure.count)].map((text) => node('td', {}, text)))];
  }));
  return card('Figures', 'Failed requests are excluded. A quantile is shown only if at least one value lies beyond it.', scroll(table(['measure', ...QUANTILES, 'max', 'mean', 'count'], rows)));
}

function definitions() {
  const rows = report.definitions.map(({ name, means: text }) => node('tr', {}, node('td', {}, node('code', {}, name)), node('td', { class: 'means' }, text)));
  return card('Definitions', null, table(['measure', 'definition'], rows.map((row) => row)));
}

const byRound = report.targets[0].series.axis === 'round';
const measured = ['ttfb', 'ttft', 'gap', 'leg_down', 'tpot', 'total', 'wake', 'lag'].filter((name) => report.targets.some((target) => target.measures.some((measure) => measure.name === name)));
main.replaceChildren(...[
  ...head(),
  report.comparison ? null : tiles(),
  comparison(),
  requests(),
  card(byRound ? 'Time to first byte by round' : 'Time to first byte over time', 'Line: median. Band: from the median to p99. Dots: the worst. ×: requests failed.', report.targets.length > 1 ? keys() : null, overTime()),
  card('Distribution', 'Share of values at or below; each step of the axis is one more nine.', report.targets.length > 1 ? keys() : null,
    ...choice(measured, (name) => { const place = node('div'); place.append(node('p', { class: 'soft' }, `${name}: ${means(name)}`), spectrum(name)); return place; })),
  card(byRound ? 'Gaps between events by round' : 'Gaps between events over time', 'Darker: a greater share of the column’s gaps. “together”: several events arrived in one read.',
    ...report.targets.flatMap((target) => [report.targets.length > 1 ? node('h3', {}, target.name) : null, heatMap(target)])),
  figures(),
  definitions(),
].filter(Boolean));
