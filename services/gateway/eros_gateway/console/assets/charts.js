// Small drawings in SVG. Sizes are those of the element on the page, so lines and text keep theirs.
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

// Samples {at: ms, people: [awake, 1, 2, 3]}, oldest first, as stacked areas; the deepest below.
function stackedAreas(svg, samples, from, to) {
  const { width, height } = cleared(svg);
  const left = 44, bottom = height - 18;
  const most = Math.max(4, ...samples.map((s) => s.people.reduce((a, b) => a + b, 0)));
  const top = niceCeiling(most);
  const x = (at) => left + ((at - from) / (to - from)) * (width - left);
  const y = (count) => 6 + (1 - count / top) * (bottom - 6);
  for (const share of [0, 0.5, 1]) {
    const line = y(top * share);
    shape("line", { x1: left, x2: width, y1: line, y2: line, class: "grid" }, svg);
    shape("text", { x: left - 6, y: line + 4, "text-anchor": "end" }, svg).textContent = short(top * share);
  }
  const hours = Math.max(1, Math.round((to - from) / 3600e3 / (width < 520 ? 4 : 8)));
  const tick = new Date(from);
  tick.setMinutes(0, 0, 0);
  for (let at = tick.getTime() + 3600e3; at < to; at += hours * 3600e3) {
    const label = new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    shape("text", { x: x(at), y: height - 3, "text-anchor": "middle" }, svg).textContent = label;
  }
  const base = samples.map(() => 0);
  for (const phase of [3, 2, 1, 0]) {
    const upper = samples.map((s, i) => base[i] + (s.people[phase] || 0));
    const forth = samples.map((s, i) => `${x(s.at).toFixed(1)},${y(upper[i]).toFixed(1)}`);
    const back = samples.map((s, i) => `${x(s.at).toFixed(1)},${y(base[i]).toFixed(1)}`).reverse();
    if (samples.length > 1) shape("polygon", { points: [...forth, ...back].join(" "), class: `area${phase}` }, svg);
    upper.forEach((value, i) => { base[i] = value; });
  }
  return { at: (pixel) => from + ((pixel - left) / (width - left)) * (to - from), x };
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

function niceCeiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 5, 10].map((step) => step * power).find((top) => top >= value);
}

function short(count) {
  if (count >= 1e6) return `${+(count / 1e6).toFixed(1)} M`;
  if (count >= 1e4) return `${+(count / 1e3).toFixed(1)} k`;
  return `${Math.round(count)}`;
}
