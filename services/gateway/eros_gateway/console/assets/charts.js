// The chart of people, and small drawings in SVG. Sizes are those of the element on the page, so lines
// and text keep theirs.
"use strict";

const SVG = "http://www.w3.org/2000/svg";

function shape(name, attributes, parent) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (parent) parent.append(made);
  return made;
}

function cleared(svg) {
  const width = Math.max(40, svg.clientWidth), height = Math.max(8, svg.clientHeight);
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  return { width, height };
}

// People by phase over time, stacked, the deepest below. Drawn by uPlot; the legend tells the counts
// at the pointer.
class PeopleChart {
  // names: of the phases, from awake on.
  constructor(place, names) {
    const color = (phase) => () => getComputedStyle(place).getPropertyValue(`--p${phase}`);
    const line = () => getComputedStyle(place).getPropertyValue("--line");
    const ink = () => getComputedStyle(place).getPropertyValue("--soft");
    const counts = { incrs: [1, 2, 5].flatMap((n) => [...Array(9).keys()].map((e) => n * 10 ** e)).sort((a, b) => a - b) };
    this.samples = [];
    this.chart = new uPlot({
      width: Math.max(240, place.clientWidth),
      height: 220,
      cursor: { y: false, drag: { x: false, y: false } },
      scales: { y: { range: (_, low, high) => [0, Math.max(4, high * 1.05)] } },
      axes: [
        { stroke: ink, grid: { show: false }, ticks: { stroke: line, width: 1 } },
        { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { show: false }, size: 52, values: (_, ticks) => ticks.map(short), ...counts },
      ],
      // Each reaches from nought to the sum of itself and all below, and hides what those cover.
      series: [{ label: "at" }, ...names.map((label, phase) => ({
        label,
        fill: color(phase),
        stroke: color(phase),
        width: 1 / devicePixelRatio,
        points: { show: false },
        value: (_, __, ___, index) => (index === null ? "–" : (this.samples[index]?.people[phase] ?? 0).toLocaleString()),
      }))],
    }, [[], ...names.map(() => [])], place);
    new ResizeObserver(() => this.chart.setSize({ width: Math.max(240, place.clientWidth), height: 220 })).observe(place);
  }

  // Samples {at: ms, people: [awake, 1, 2, 3]}, oldest first; `from` and `to` in ms.
  draw(samples, from, to) {
    this.samples = samples;
    const sums = samples.map(({ people }) => people.map((_, phase) => people.slice(phase).reduce((a, b) => a + b, 0)));
    const phases = this.chart.series.length - 1;
    const columns = [...Array(phases).keys()].map((phase) => sums.map((sum) => sum[phase] ?? 0));
    this.chart.setData([samples.map(({ at }) => at / 1000), ...columns], false);
    this.chart.setScale("x", { min: from / 1000, max: to / 1000 });
  }
}

// A share of one core, and the mark it may reach.
function capBar(svg, cpu, cap) {
  const { width, height } = cleared(svg);
  const middle = height / 2 - 3;
  shape("rect", { x: 0, y: middle, width, height: 6, rx: 3, class: "track" }, svg);
  shape("rect", { x: 0, y: middle, width: Math.min(1, cpu) * width, height: 6, rx: 3, class: "fill" }, svg);
  if (cap > 0) shape("rect", { x: Math.min(width - 3, cap * width - 1), y: 0, width: 3, height, rx: 1.5, class: "cap" }, svg);
}

function shareBar(svg, share) {
  const { width, height } = cleared(svg);
  shape("rect", { x: 0, y: 0, width, height, rx: height / 2, class: "track" }, svg);
  shape("rect", { x: 0, y: 0, width: share * width, height, rx: height / 2, class: "fill" }, svg);
}

// The legs of a halt, one after the other, on a scale of `most` milliseconds; a line at the promise.
function legs(svg, ends, left, most, promise) {
  const { width, height } = cleared(svg);
  const x = (ms) => (Math.min(ms, most) / most) * width;
  if (left > 0) shape("rect", { x: 0, y: height - 4, width: Math.max(2, x(left)), height: 3, rx: 1.5, class: "leg4" }, svg);
  let begin = 0;
  ends.forEach((end, leg) => {
    if (end > begin) {
      shape("rect", { x: x(begin), y: 1, width: Math.max(1, x(end) - x(begin)), height: height - 7, class: `leg${leg}` }, svg);
      begin = end;
    }
  });
  if (promise < most) shape("line", { x1: x(promise), x2: x(promise), y1: 0, y2: height, class: "promise" }, svg);
}

function short(count) {
  if (count >= 1e6) return `${+(count / 1e6).toFixed(1)} M`;
  if (count >= 1e4) return `${+(count / 1e3).toFixed(1)} k`;
  return `${Math.round(count)}`;
}
