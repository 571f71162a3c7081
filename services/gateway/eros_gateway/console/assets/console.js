// The console: one stream of events in, the page out. Text only ever becomes text.
"use strict";

const $ = (id) => document.getElementById(id);
const DAY = 24 * 3600e3, KEPT_EVERY = 30e3;
const KINDS = { JOB_KIND_ANALYZE: "analyze", JOB_KIND_SCORE: "score", JOB_KIND_MATCH: "match", JOB_KIND_PREPARE: "prepare", JOB_KIND_LEARN: "learn" };
const DOES = { analyze: "looking at profiles", score: "light scoring", match: "matching", prepare: "preparing for the assistant", learn: "learning" };
const REASONS = { WOKE: "woke", PAUSED: "pause", WINDOW: "window closed", FENCED: "fenced", DRAIN: "worker left", DELETED: "account gone", YIELDED: "made room" };
const PHASES = [
  ["Awake", "served from what is prepared", "0 % of a core"],
  ["Idle 10 min", "features", "5 % of a core a worker"],
  ["Idle 30 min", "light scoring", "15 %"],
  ["Idle 60 min", "full matching", "95 %"],
];
const LEGS = ["heard of by the scheduler", "sent", "at the worker", "durable", "row left the computation"];
const PROMISE_MS = 50;
const peopleChart = new PeopleChart($("people-chart"), PHASES.map(([name]) => name));
// Of the halts: all that were drawn, and those whose words are open.
let source = null, history = [], kept = 0, latest = null, seen = null, open = new Set();

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function legend(place, names, attribute) {
  place.replaceChildren(...names.map((name, number) => {
    const entry = element("span");
    const mark = element("i");
    mark.dataset[attribute] = number;
    entry.append(mark, name);
    return entry;
  }));
}

function state(kind, text) {
  $("state").dataset.state = kind;
  if ($("state").textContent !== text) $("state").textContent = text;
}

// ---- people

function drawPeople(people) {
  $("river").replaceChildren(...PHASES.map(([name, what, share], phase) => {
    const item = element("li");
    item.dataset.phase = phase;
    item.append(element("div", "", name), element("div", "count", people.length ? people[phase].toLocaleString() : "–"), element("div", "what", what), element("div", "share", share));
    return item;
  }));
  const now = Date.now();
  // Each second of the last minutes, of the day only some: keep it light.
  if (people.length) history.push({ at: now, people, kept: now - kept >= KEPT_EVERY });
  if (history.at(-1)?.kept) kept = history.at(-1).at;
  history = history.filter((s) => s.at > now - DAY && (s.kept || s.at > now - 300e3));
  const from = Math.max(now - DAY, Math.min(now - 120e3, history.length ? history[0].at : now));
  peopleChart.draw(history, from, now);
}

// ---- workers

function drawWorkers(workers) {
  const list = $("workers");
  if (!workers.length) {
    list.replaceChildren(element("li", "empty", "No worker is connected. While everybody is awake there need be none."));
    return;
  }
  workers.sort((a, b) => a.workerId.localeCompare(b.workerId));
  while (list.children.length > workers.length || (list.firstElementChild && !list.firstElementChild.querySelector("svg"))) list.lastElementChild.remove();
  workers.forEach((worker, number) => {
    let item = list.children[number];
    if (!item) {
      item = element("li");
      item.append(element("span", "name"), element("span", "cpu"), element("span", "does"), shape("svg", { "aria-hidden": "true" }));
      list.append(item);
    }
    const kind = KINDS[worker.kind];
    item.className = kind ? "" : "idle";
    item.querySelector(".name").textContent = `Worker ${number + 1}`;
    item.querySelector(".name").title = worker.workerId;
    item.querySelector(".cpu").textContent = worker.cpuCap ? `${percent(worker.cpu)} of ${percent(worker.cpuCap)}` : percent(worker.cpu);
    item.querySelector(".does").textContent = kind ? `${DOES[kind]} for ${worker.batchSize} people · ${worker.batchesDone} batches done` : `waiting · ${worker.batchesDone} batches done`;
    capBar(item.querySelector("svg"), worker.cpu, worker.cpuCap);
  });
}

const percent = (share) => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;

// ---- halts

const legsOf = (halt) => [halt.eventMs, halt.dispatchedMs, halt.receivedMs, halt.durableMs];

function inWords(halt) {
  const ends = [...legsOf(halt), halt.leftMs];
  return LEGS.map((leg, number) => (ends[number] ? `${leg} after ${ends[number].toFixed(1)} ms` : "")).filter(Boolean).join(", ") || "nobody waited for it";
}

function drawHalts(halts) {
  const woke = halts.filter((h) => h.reason.endsWith("WOKE") && h.durableMs > 0);
  const values = woke.map((h) => h.durableMs).sort((a, b) => a - b);
  const big = $("halt-summary");
  if (values.length) {
    big.textContent = `${values[Math.floor(values.length / 2)].toFixed(1)} ms `;
    big.append(element("small", "", `median of the last ${values.length}, touch to durable; slowest ${values.at(-1).toFixed(0)} ms`));
  } else {
    big.textContent = "";
    big.append(element("small", "", "Nobody was woken from running work yet."));
  }
  const known = new Set(halts.map((h) => h.id));
  if (seen && seen.size === known.size && [...known].every((id) => seen.has(id))) return;
  const most = Math.max(PROMISE_MS * 1.2, ...halts.map((h) => Math.min(500, Math.max(h.durableMs, h.leftMs))));
  open = new Set([...open].filter((id) => known.has(id)));
  $("halts").replaceChildren(...halts.map((halt) => {
    const item = element("li", seen && !seen.has(halt.id) ? "new" : "");
    const when = element("div", "when", new Date(halt.at).toLocaleTimeString());
    when.append(element("br"), `${KINDS[halt.kind] || "?"}, ${REASONS[halt.reason.replace("HALT_REASON_", "")] || "?"}`);
    const drawing = shape("svg", { role: "img", "aria-label": `durable after ${halt.durableMs.toFixed(1)} ms` });
    const ms = element("div", "ms", halt.durableMs ? `${halt.durableMs.toFixed(1)} ms` : "–");
    ms.append(element("small", "", halt.killed ? "child killed" : halt.leftMs ? `left ${halt.leftMs.toFixed(1)}` : ""));
    // By finger and by key, where a pointer's hint would not be reached.
    const details = element("details"), row = element("summary");
    row.append(when, drawing, ms);
    details.append(row, element("p", "words", `Person ${halt.person}…: ${inWords(halt)}.`));
    details.open = open.has(halt.id);
    details.addEventListener("toggle", () => { open[details.open ? "add" : "delete"](halt.id); });
    item.append(details);
    item.draw = () => legs(drawing, legsOf(halt), halt.leftMs, most, PROMISE_MS);
    return item;
  }));
  if (!halts.length) $("halts").append(element("li", "empty", "None yet."));
  for (const item of $("halts").children) item.draw?.();
  seen = known;
}

// ---- queue, cache, dead letters, parts

function drawQueue(night) {
  const body = $("queue").tBodies[0];
  body.replaceChildren(...night.kinds.map((k) => {
    const row = element("tr");
    const batch = k.meanSeconds ? `${k.meanSeconds.toFixed(k.meanSeconds < 10 ? 1 : 0)} s` : "–";
    for (const text of [KINDS[k.kind] || "?", k.ready, k.running, k.done, k.failed, batch]) row.append(element("td", "", text.toLocaleString()));
    return row;
  }));
  $("queue-age").textContent = night.queueAgeSeconds >= 1
    ? `The job that waits longest could have been claimed ${duration(night.queueAgeSeconds)} ago (night time).`
    : "Nothing waits.";
  $("morning").textContent = night.dayPeople
    ? `Where it is day: ${night.dayReady.toLocaleString()} of ${night.dayPeople.toLocaleString()} people have a match of last night.`
    : "";
}

function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

function drawCache(cache) {
  const list = $("cache");
  if (!cache.length) return list.replaceChildren(element("li", "empty", "Nothing was read yet."));
  list.replaceChildren(...cache.map((c) => {
    const share = c.hits / Math.max(1, c.hits + c.misses);
    const item = element("li");
    const drawing = shape("svg", { role: "img", "aria-label": percent(share) });
    item.append(element("span", "", c.key), element("span", "", `${percent(share)} of ${(c.hits + c.misses).toLocaleString()}`), drawing);
    item.draw = () => shareBar(drawing, share);
    return item;
  }));
  for (const item of list.children) item.draw?.();
}

function drawDead(dead) {
  const place = $("dead");
  const key = JSON.stringify(dead);
  if (place.dataset.key === key) return;
  place.dataset.key = key;
  if (!dead.length) return place.replaceChildren(element("p", "empty", "None. That is as it should be."));
  const table = element("table");
  const head = table.createTHead().insertRow();
  for (const title of ["kind", "person", "what it said", ""]) head.append(Object.assign(element("th", "", title), { scope: "col" }));
  const body = table.createTBody();
  for (const job of dead) {
    const row = body.insertRow();
    row.append(element("td", "", KINDS[job.kind] || "?"), element("td", "long", job.userId), element("td", "long", `${job.error} (${job.attempts} times)`));
    const retry = element("button", "small", "Retry");
    retry.type = "button";
    retry.setAttribute("aria-label", `Retry ${KINDS[job.kind]} for ${job.userId}`);
    retry.addEventListener("click", () => retryJob(retry, job));
    const cell = element("td");
    cell.append(retry);
    row.append(cell);
  }
  const scroll = element("div", "scroll");
  scroll.append(table);
  place.replaceChildren(scroll);
}

async function retryJob(button, job) {
  button.disabled = true;
  const answer = await post("/console/retry", { userId: job.userId, kind: job.kind });
  button.textContent = answer.ok ? "Queued" : "Failed";
  if (!answer.ok) button.disabled = false;
}

function drawParts(components) {
  $("parts").replaceChildren(...Object.entries(components).sort().map(([name, status]) => {
    const chip = element("li", "", status === "ok" ? name : `${name}: ${status}`);
    chip.dataset.state = status;
    return chip;
  }));
}

function draw(message) {
  latest = message;
  if (message.history?.length) history = message.history.map((s) => ({ at: Date.parse(s.at), people: s.people, kept: true }));
  drawPeople(message.people);
  drawHalts(message.halts);
  drawCache(message.cache);
  drawDead(message.dead);
  drawParts(message.components);
  const night = message.night;
  const down = Object.values(message.components).filter((s) => s === "down").length;
  if (!night) {
    state("bad", "the scheduler does not answer");
    return;
  }
  drawWorkers(night.workers);
  drawQueue(night);
  $("clock").hidden = false;
  $("night-now").textContent = new Date(night.nightNow).toISOString().slice(0, 16).replace("T", " ") + " UTC";
  const busy = night.workers.filter((w) => w.batchSize > 0).length;
  if (night.pauseReason) state("warn", `paused: ${night.pauseReason}`);
  else if (down) state("bad", `${down} of the parts ${down === 1 ? "is" : "are"} down`);
  else state("good", busy ? `${busy} of ${night.workers.length} workers compute` : "watching; nothing to compute");
}

// ---- session

// Where nobody answers, as if somebody had said so.
async function post(path, body, method = "POST") {
  return fetch(path, { method, headers: { "content-type": "application/json" }, body: body && JSON.stringify(body) }).catch(() => new Response(null, { status: 503 }));
}

function show(signedIn) {
  $("sign-in").hidden = signedIn;
  $("night").hidden = !signedIn;
  $("sign-out").hidden = !signedIn;
  if (!signedIn) {
    $("clock").hidden = true;
    state("wait", "signed out");
    $("sign-in").elements.email.focus();
  }
}

async function begin() {
  source?.close();
  source = new EventSource("/console/events");
  source.onopen = () => show(true);
  source.onmessage = (event) => draw(JSON.parse(event.data));
  source.onerror = async () => {
    if (source.readyState === EventSource.CONNECTING) return state("warn", "reconnecting");
    // Refused: the session has ended, or the console is not there just now.
    const refused = await fetch("/console/events", { method: "GET", headers: { accept: "application/json" }, signal: AbortSignal.timeout(4000) }).then((r) => { r.body?.cancel(); return r.status === 401; }, () => false);
    if (refused) return show(false);
    state("bad", "no connection");
    setTimeout(begin, 2000);
  };
}

$("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target.elements;
  $("sign-in-fault").textContent = "";
  const answer = await post("/console/session", { email: form.email.value, password: form.password.value });
  if (answer.ok) {
    form.password.value = "";
    return begin();
  }
  const fault = await answer.json().catch(() => ({}));
  $("sign-in-fault").textContent = fault.error?.message || `no answer (${answer.status})`;
});

$("sign-out").addEventListener("click", async () => {
  const answer = await post("/console/session", undefined, "DELETE");
  const over = answer.ok || answer.status === 401;
  $("sign-out").textContent = over ? "Sign out" : "Sign out failed: try again";
  if (!over) return;
  source?.close();
  show(false);
});

function theme(name) {
  document.documentElement.dataset.theme = name;
  if (latest) draw({ ...latest, history: [] });
}
$("theme").addEventListener("click", () => {
  const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  localStorage.setItem("theme", next);
  theme(next);
});
theme(localStorage.getItem("theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));

legend($("halts-legend"), LEGS, "leg");
addEventListener("resize", () => {
  if (!latest) return;
  seen = null;
  draw({ ...latest, history: [] });
});
begin();
