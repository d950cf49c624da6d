/* The charts: each takes figures of the report and gives an SVG. */

/* What is added to the baseline, with its interval and each round's own difference. */
function addedChart(measure) {
  const rows = report.comparison.added.filter((row) => row.measure === measure);
  const names = [...new Set(rows.map((row) => row.target))];
  rows.sort((a, b) => names.indexOf(a.target) - names.indexOf(b.target));
  const bound = Math.max(1e3, ...rows.flatMap((row) => [row.low_ns, row.high_ns, row.added_ns].map(Math.abs))) * 1.15;
  const smallest = Math.min(bound, ...rows.map((row) => Math.max(Math.abs(row.added_ns), row.high_ns - row.low_ns)));
  const near = 10 ** Math.floor(Math.log10(Math.max(smallest, 1e3)));
  const line = 26, height = rows.length * line + 44;
  const chart = frame({
    height, left: 150, right: 250, top: 8,
    x: (range) => both(bound, near, range), xText: tick,
    y: () => ({ at: () => 0, ticks: [] }),
  });
  const { svg, x, area } = chart;
  svg.append(shape('line', { class: 'zero', x1: x.at(0), x2: x.at(0), y1: area.top, y2: area.bottom }));
  rows.forEach((row, n) => {
    const y = area.top + line * (n + 0.5), target = report.targets.findIndex((one) => one.name === row.target);
    const tone = row.within_noise ? 'var(--soft)' : color(target);
    for (const value of row.rounds_ns.filter((value) => Math.abs(value) <= bound))
      svg.append(shape('circle', { cx: x.at(value), cy: y, r: 2.5, fill: tone, opacity: 0.25 }));
    svg.append(shape('line', { x1: x.at(row.low_ns), x2: x.at(row.high_ns), y1: y, y2: y, stroke: tone, 'stroke-width': 3, 'stroke-linecap': 'round', opacity: 0.7 }));
    svg.append(shape('circle', { cx: x.at(row.added_ns), cy: y, r: 5, fill: row.within_noise ? 'var(--card)' : tone, stroke: tone, 'stroke-width': 2 }));
    svg.append(shape('text', { class: 'strong', x: 0, y: y + 4 }, row.target));
    svg.append(shape('text', { x: area.left - 10, y: y + 4, 'text-anchor': 'end' }, row.quantile));
    const said = row.within_noise ? 'within noise' : `[${added(row.low_ns)}, ${added(row.high_ns)}]`;
    svg.append(shape('text', { class: 'strong', x: area.right + 80, y: y + 4, 'text-anchor': 'end' }, added(row.added_ns)));
    svg.append(shape('text', { x: area.right + 90, y: y + 4 }, said));
  });
  follow(svg, (_, y) => {
    const row = rows[Math.floor((y - area.top) / line)];
    return row && `${row.target} ${measure} ${row.quantile}\n${report.comparison.baseline}: ${nanos(row.baseline_ns)}\n${row.target}: ${nanos(row.target_ns)}\n`
      + `added: ${added(row.added_ns)}\nmedian of rounds: ${added(row.median_of_rounds_ns)}`;
  });
  return svg;
}

/* Rounds are counted from 1 and drawn around their number; seconds from 0. */
const from = (target) => (target.series.axis === 'round' ? 0.5 : 0);
const at = (place) => (report.targets[0].series.axis === 'round' ? `round ${Math.floor(place + 0.5)}` : `${place.toFixed(1)} s`);

/* Time to first byte over time: the median's line in the band from p50 to p99, the worst as dots. */
function overTime() {
  const series = report.targets.map((target) => target.series.columns
    .filter((column) => column.ttfb)
    .map((column) => ({ ...column, time: column.at * target.series.width + from(target) })));
  const all = series.flat();
  if (!all.length) return node('p', { class: 'soft' }, 'No request succeeded.');
  const { width, axis } = report.targets[0].series;
  const low = Math.min(...all.map((column) => column.ttfb[0])) * 0.8, high = Math.max(...all.map((column) => column.ttfb[3])) * 1.2;
  const times = all.map((column) => column.time);
  const chart = frame({
    height: 280, xLabel: axis, xText: (value) => `${+value.toFixed(2)}`,
    x: (range) => linear([Math.min(...times), Math.max(...times) + width], range, 10),
    y: (range) => logarithmic([Math.max(low, 1), high], range),
  });
  const { svg, x, y } = chart, middle = (column) => x.at(column.time + width / 2);
  series.forEach((columns, n) => {
    for (const run of runs(columns)) {
      const half = Math.max(1, (x.at(width) - x.at(0)) / 2 - 0.5);
      const edge = (at) => run.length > 1 ? run.map((column) => [middle(column), y.at(column.ttfb[at])])
        : [[middle(run[0]) - half, y.at(run[0].ttfb[at])], [middle(run[0]) + half, y.at(run[0].ttfb[at])]];
      const band = [...edge(0), ...edge(2).reverse()];
      svg.append(shape('path', { d: path(band) + 'Z', fill: color(n), opacity: 0.16 }));
      svg.append(shape('path', { d: path(edge(0)), fill: 'none', stroke: color(n), 'stroke-width': 2, 'stroke-linejoin': 'round' }));
    }
    for (const column of columns)
      svg.append(shape('circle', { cx: middle(column), cy: y.at(column.ttfb[3]), r: 1.8, fill: color(n), opacity: 0.75 }));
  });
  report.targets.forEach((target) => target.series.columns.filter((column) => column.failed).forEach((column) =>
    svg.append(shape('text', { x: x.at((column.at + 0.5) * width + from(target)), y: 18, 'text-anchor': 'middle', style: 'fill:var(--bad)' }, '×'))));
  follow(svg, (place) => {
    const near = series.map((columns) => columns.find((column) => Math.abs(middle(column) - place) <= Math.max(4, (x.at(width) - x.at(0)) / 2)));
    const lines = near.flatMap((column, n) => column ? [`${report.targets[n].name}: p50 ${nanos(column.ttfb[0])}  p90 ${nanos(column.ttfb[1])}  p99 ${nanos(column.ttfb[2])}  max ${nanos(column.ttfb[3])}`
      + (column.failed ? `  ${column.failed} failed` : '') + `  in flight ${column.in_flight}`] : []);
    const some = near.find(Boolean);
    return some && `${at(some.time)}\n${lines.join('\n')}`;
  });
  return svg;
}
/* Columns that follow each other, so that no line is drawn over a pause. */
function runs(columns) {
  const found = [];
  for (const column of columns) {
    const last = found.at(-1);
    if (last && column.at - last.at(-1).at === 1) last.push(column); else found.push([column]);
  }
  return found;
}

/* The whole distribution: the share of values at or below, on an axis where each step is a nine. */
function spectrum(name) {
  const lines = report.targets.map((target) => target.measures.find((measure) => measure.name === name)?.spectrum ?? []);
  const nines = (share) => -Math.log10(1 - share);
  const inner = lines.flat().filter(([share]) => share < 1);
  const reach = Math.max(1, ...inner.map(([share]) => nines(share))) + 0.3;
  const values = lines.flat().map(([, value]) => value);
  const low = Math.max(1e3, Math.min(...values.filter((value) => value > 0))), high = Math.max(...values, low * 2) * 1.15;
  const marks = [0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999].filter((share) => nines(share) <= reach);
  const chart = frame({
    height: 300, xText: (value) => `${+(marks.find((share) => nines(share) === value) * 100).toFixed(5)} %`,
    x: ([from, to]) => ({ at: (value) => from + (value / reach) * (to - from), ticks: marks.map(nines) }),
    y: (range) => logarithmic([low * 0.9, high], range),
  });
  const { svg, x, y } = chart;
  lines.forEach((points, n) => {
    const places = points.map(([share, value]) => [x.at(share < 1 ? nines(share) : reach), y.at(value)]);
    const steps = places.flatMap(([at, value], nth) => nth ? [[at, places[nth - 1][1]], [at, value]] : [[at, value]]);
    if (steps.length) svg.append(shape('path', { d: path(steps), fill: 'none', stroke: color(n), 'stroke-width': 2, 'stroke-linejoin': 'round' }));
  });
  follow(svg, (place) => {
    const share = 1 - 10 ** -Math.max(0, ((place - chart.area.left) / (chart.area.right - chart.area.left)) * reach);
    if (share < 0 || share > 1) return null;
    const at = (points) => points.find(([own]) => own >= share)?.[1] ?? points.at(-1)?.[1];
    return `${(share * 100).toFixed(4)} %\n` + lines.map((points, n) => points.length ? `${report.targets[n].name}: ${nanos(at(points))}` : '').filter(Boolean).join('\n');
  });
  return svg;
}

/* Gaps over time: how many of a column's gaps fell into each row, darker for more. */
function heatMap(target) {
  const { columns, width, axis, gap_floors: floors } = target.series, offset = from(target);
  const filled = columns.filter((column) => column.gaps.length);
  if (!filled.length) return node('p', { class: 'soft' }, 'No gap: no stream had two events.');
  const rows = filled.flatMap((column) => column.gaps.map(([row]) => row));
  const first = Math.max(1, Math.min(...rows.filter((row) => row > 0), floors.length - 2)), last = Math.min(floors.length - 2, Math.max(...rows, first + 4) + 1);
  const together = rows.includes(0), height = Math.max(170, (last - first + 1) * (report.targets.length > 1 ? 6 : 9) + 50);
  const chart = frame({
    height, bottom: together ? 44 : 26, xLabel: together ? null : axis, xText: (value) => `${+value.toFixed(2)}`,
    x: (range) => linear([filled[0].at * width + offset, (filled.at(-1).at + 1) * width + offset], range, 10),
    y: (range) => logarithmic([floors[first], floors[last + 1]], range),
  });
  const { svg, x, y, area } = chart;
  for (const text of together ? [...svg.querySelectorAll('text[text-anchor=middle]')] : []) text.setAttribute('y', height - 6);
  const most = Math.max(...filled.flatMap((column) => { const sum = column.gaps.reduce((all, [, n]) => all + n, 0); return column.gaps.map(([, n]) => n / sum); }));
  for (const column of filled) {
    const sum = column.gaps.reduce((all, [, n]) => all + n, 0);
    const left = x.at(column.at * width + offset), wide = Math.max(1, x.at((column.at + 1) * width + offset) - left - 0.4);
    for (const [row, n] of column.gaps) {
      const [top, bottom] = row === 0 ? [area.bottom + 5, area.bottom + 17] : [y.at(floors[row + 1] ?? floors[row]), y.at(floors[row])];
      svg.append(shape('rect', { x: left, width: wide, y: top, height: Math.max(1, bottom - top - 0.4), fill: 'var(--heat)', opacity: (0.08 + 0.92 * Math.sqrt(n / sum / most)).toFixed(3) }));
    }
  }
  if (together) svg.append(shape('text', { x: area.left - 8, y: area.bottom + 15, 'text-anchor': 'end' }, 'together'));
  follow(svg, (px, py) => {
    const column = filled.find((one) => px >= x.at(one.at * width + offset) && px < x.at((one.at + 1) * width + offset));
    if (!column) return null;
    const cell = column.gaps.find(([row]) => row === 0 ? py > area.bottom + 4 : py <= y.at(floors[row]) && py > y.at(floors[row + 1]));
    const sum = column.gaps.reduce((all, [, n]) => all + n, 0);
    return cell && `${at(column.at * width + offset)}\n${cell[0] === 0 ? 'in one read (under 1 µs)' : `${tick(floors[cell[0]])} to ${tick(floors[cell[0] + 1])}`}\n${count(cell[1])} gaps, ${(100 * cell[1] / sum).toFixed(1)} %`;
  });
  return svg;
}
