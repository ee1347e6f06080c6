"use strict";
// The page: asks the server for what has changed, and shows it.

const REFRESH_MS = 2000;  // between two looks at curves that grow
const state = {
  runs: [],           // as the server told last
  chosen: new Set(),  // numbers of the runs whose curves are shown
  active: 0,          // the run of which all else is shown
  range: null,        // first and last iteration of the curves; null for all
  seen: {},           // versions that are on the screen
  news: null,         // where they come from
  server: null,       // by whose name
};
const $ = id => document.getElementById(id);

const charts = Object.fromEntries([["loss", "Loss", "auto"], ["output", "Other outputs", false],
  ["rate", "Learning rate", "auto"], ["ratio", "Update / weights", true]].map(([id, title, log]) =>
  [id, new Chart($(id), title, { log, zoomed })]));

function zoomed(first, last) {
  state.range = first === undefined ? null : [first, last];
  loadCurves();
}

async function ask(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  return answer.json();
}

// ------------------------------------------------------------------------------------------- curves

function unpack(text, kind) {
  if (text === null) return null;
  const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  return new kind(bytes.buffer);
}

let loading = false, again = false;
async function loadCurves() {
  if (loading) { again = true; return; }
  loading = true;
  try {
    do {
      again = false;
      const columns = Math.max(200, Math.min(1200, Math.round($("loss").parentElement.clientWidth)));
      const query = new URLSearchParams({ runs: [...state.chosen].join(","), columns });
      if (state.range) { query.set("first", state.range[0]); query.set("last", state.range[1]); }
      showCurves(await ask(`curves?${query}`));
    } while (again);
  } finally {
    loading = false;
  }
}

function showCurves(lines) {
  const panels = { loss: [], output: [], rate: [], ratio: [] };
  for (const line of lines) {
    const shown = { ...line, x: unpack(line.x, Float64Array) };
    for (const name of ["mean", "low", "high", "smooth"]) shown[name] = unpack(line[name], Float32Array);
    if (line.panel !== "ratio" || line.run === state.active) panels[line.panel]?.push(shown);
  }
  for (const [id, shown] of Object.entries(panels)) {
    colour(shown, id);
    charts[id].set(shown, state.range);
  }
}

// One run has a colour for each line; of several, each has one for all its lines. Layers go from blue to red.
function colour(lines, panel) {
  const several = state.chosen.size > 1;
  lines.forEach((line, i) => {
    const name = state.runs[line.run]?.name ?? "";
    line.dash = line.test ? [6, 4] : [];
    if (panel === "ratio") {
      line.colour = `hsl(${Math.round(225 - 225 * i / Math.max(1, lines.length - 1))} 65% 52%)`;
    } else if (several) {
      line.colour = PALETTE[line.run % PALETTE.length];
      line.label = `${name}: ${line.label}`;
    } else {
      line.colour = PALETTE[i % PALETTE.length];
    }
  });
}

// ------------------------------------------------------------------------------------------- the top

function time(seconds) {
  const s = Math.round(seconds), two = n => String(n).padStart(2, "0");
  return `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
}

function showTop() {
  const run = state.runs[state.active];
  document.querySelector("h1").textContent = run.name;
  document.title = run.is_live ? `${run.iteration} · ${run.name}` : run.name;
  $("state").textContent = run.state;
  $("state").classList.toggle("live", run.is_live);
  const bar = document.querySelector("progress");
  bar.hidden = !run.max_iter;
  bar.value = run.max_iter ? run.iteration / run.max_iter : 0;
  const speed = run.iterations_per_second;
  const facts = [
    ["iteration", run.max_iter ? `${run.iteration} of ${run.max_iter}` : String(run.iteration)],
    ["loss", short(run.loss)],
    ["learning rate", short(run.rate)],
    ["iterations/s", speed ? short(speed) : ""],
    ["images/s", run.images_per_second ? String(Math.round(run.images_per_second)) : ""],
    ["left", run.seconds_left !== null ? time(run.seconds_left) : ""],
    ["waits for data", run.is_live && speed ? `${short(run.waited_ms)} ms an iteration` : ""],
  ];
  $("facts").replaceChildren(...facts.filter(fact => fact[1]).map(([name, value]) => {
    const pair = element("div");
    pair.append(element("dt", name), element("dd", value));
    return pair;
  }));
}

function showRuns() {
  $("runs").hidden = state.runs.length < 2;
  $("runs").querySelector("ul").replaceChildren(...state.runs.map(run => {
    const item = element("li"), check = element("input"), name = element("button", run.name);
    check.type = "checkbox";
    check.checked = state.chosen.has(run.id);
    check.setAttribute("aria-label", `Curves of ${run.name}`);
    check.addEventListener("change", () => {
      if (check.checked) state.chosen.add(run.id); else state.chosen.delete(run.id);
      loadCurves();
    });
    const swatch = element("span", undefined, "swatch");
    swatch.style.borderColor = PALETTE[run.id % PALETTE.length];
    name.type = "button";
    name.classList.toggle("chosen", run.id === state.active);
    name.addEventListener("click", () => activate(run.id));
    item.append(check, swatch, name, element("span", run.state || `iteration ${run.iteration}`, "note"));
    return item;
  }));
}

function activate(id) {
  state.active = id;
  state.chosen.add(id);
  state.seen = {};
  showTop();
  showRuns();
  refresh(true);
}

// ------------------------------------------------------------------------------- weights and gradients

function svgElement(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function spread(histogram) {
  const cell = element("td"), count = histogram.counts.length, most = Math.max(1, ...histogram.counts);
  const svg = svgElement("svg", { class: "spread", viewBox: `0 0 ${count} 1`, preserveAspectRatio: "none" });
  const steps = histogram.counts.map((n, i) => `V${1 - n / most}H${i + 1}`).join("");
  svg.append(svgElement("path", { d: `M0 1${steps}V1Z` }));
  const { low, high } = histogram;
  if (low < 0 && high > 0) {
    const zero = -low / (high - low) * count;
    svg.append(svgElement("line", { x1: zero, x2: zero, y1: 0, y2: 1 }));
  }
  const range = element("div", undefined, "range");
  range.append(element("span", short(Number(low.toPrecision(2)))), element("span", short(Number(high.toPrecision(2)))));
  cell.append(svg, range);
  if (histogram.lost) cell.append(element("div", `${histogram.lost} not finite`, "note"));
  return cell;
}

// From a millionth to one, on a logarithmic scale.
function meter(ratio) {
  const box = element("span", undefined, "meter"), bar = element("span");
  bar.style.width = `${Math.max(0, Math.min(100, 100 * (1 + Math.log10(ratio) / 6)))}%`;
  box.append(bar);
  return box;
}

function showBlobs(look) {
  $("blobs").hidden = !look;
  $("kernels").hidden = !look?.kernels_of;
  if (!look) return;
  $("blobs").querySelector("h2").textContent = `Weights, gradients and updates at iteration ${look.iteration}`;
  $("blobs").querySelector("tbody").replaceChildren(...look.blobs.map(blob => {
    const row = element("tr"), ratio = element("td", undefined, "number");
    row.dataset.layer = blob.layer;
    ratio.append(blob.ratio === null ? "–" : short(Number(blob.ratio.toPrecision(2))));
    if (blob.ratio !== null) ratio.append(meter(blob.ratio));
    row.append(element("td", blob.index ? `${blob.layer} [${blob.index}]` : blob.layer), element("td", blob.shape),
      element("td", short(blob.size), "number"), element("td", short(blob.gradient_size), "number"),
      ratio, spread(blob.weights), spread(blob.gradients));
    return row;
  }));
  markLayer(state.layer);
  if (look.kernels_of !== null) {
    $("kernels").querySelector("h2").textContent = `Kernels of ${look.kernels_of}`;
    $("kernels").querySelector("img").src = `kernels/${state.active}?at=${look.iteration}`;
  }
}

// ---------------------------------------------------------------------------------------------- tests

function matrix(test) {
  const table = element("table", undefined, "matrix"), head = element("tr");
  head.append(element("th"), ...test.matrix.map((_, i) => element("th", String(i))));
  table.append(head);
  test.matrix.forEach((counts, label) => {
    const row = element("tr"), all = counts.reduce((a, b) => a + b, 0);
    row.append(element("th", String(label)));
    counts.forEach((count, guess) => {
      const cell = element("td", String(count), count ? "" : "none");
      const share = all ? Math.round(100 * (label === guess ? count / all : Math.sqrt(count / all))) : 0;
      const tint = label === guess ? "--good" : "--bad";
      cell.style.background = `color-mix(in srgb, var(${tint}) ${Math.round(share * 0.6)}%, transparent)`;
      row.append(cell);
    });
    table.append(row);
  });
  return table;
}

function pairs(test) {
  const table = element("table", undefined, "pairs"), head = element("tr");
  for (const text of ["label", "taken for", "times"]) head.append(element("th", text));
  table.append(head, ...test.pairs.map(pair => {
    const row = element("tr");
    row.append(...pair.map(number => element("td", String(number))));
    return row;
  }));
  return table;
}

function showTest(test) {
  const box = element("div"), parts = element("div", undefined, "test"), left = element("div");
  const net = test.net === null ? "" : `net ${test.net} `;
  const share = test.tested ? ` (${(100 * test.right / test.tested).toFixed(2)} %)` : "";
  box.append(element("h2", `Test ${net}at iteration ${test.iteration}: ${test.right} of ${test.tested} right${share}`));
  left.append(element("h3", test.matrix ? "Labels (rows) and what they were taken for (columns)"
    : "What was mistaken most often"), test.matrix ? matrix(test) : pairs(test));
  left.className = "scroll";
  parts.append(left);
  if (test.mistakes.length) {
    const right = element("div", undefined, "mistakes");
    test.mistakes.forEach((mistake, k) => {
      const figure = element("figure"), image = element("img"), caption = element("figcaption");
      image.src = `mistake/${state.active}/${test.id}/${k}?at=${test.iteration}`;
      image.alt = `A picture of class ${mistake.label} that was taken for ${mistake.guess}`;
      caption.append("label ", element("b", String(mistake.label)), ` (${short(Number(mistake.p_label.toPrecision(2)))}), taken for `,
        element("b", String(mistake.guess)), ` (${short(Number(mistake.p_guess.toPrecision(2)))})`);
      figure.append(image, caption);
      right.append(figure);
    });
    parts.append(right);
  }
  box.append(parts);
  return box;
}

function showTests(tests) {
  $("tests").hidden = !tests.length;
  $("tests").replaceChildren(...tests.map(showTest));
}

// ------------------------------------------------------------------------------------------------ net

let picture = null;

function markLayer(name) {
  state.layer = name;
  for (const row of $("blobs").querySelectorAll("tbody tr")) row.classList.toggle("chosen", row.dataset.layer === name);
}

async function loadNet() {
  const net = await ask(`net?id=${state.active}`);
  $("net").hidden = !net;
  $("layer").replaceChildren();
  picture = null;
  if (!net) return;
  $("net").querySelector("h2").textContent = net.name;
  const svg = new DOMParser().parseFromString(net.svg, "image/svg+xml").documentElement;
  $("drawing").replaceChildren(document.importNode(svg, true));
  picture = new Drawing($("drawing"), key => {
    const layer = key === null ? null : net.layers[key];
    picture.mark(layer ? key : null);
    markLayer(layer?.name);
    describe(layer ?? { name: "", facts: net.facts, text: "" });
  }, { keyed: true });
  describe({ name: "", facts: net.facts, text: "" });
  picture.begin();
}

function describe(layer) {
  const list = element("dl");
  for (const [name, value] of layer.facts) if (value) list.append(element("dt", name), element("dd", value));
  $("layer").replaceChildren(element("h3", layer.name), list);
  if (layer.text) $("layer").append(element("pre", layer.text));
}

for (const button of document.querySelectorAll("[data-zoom]")) {
  button.addEventListener("click", () => {
    const factor = Number(button.dataset.zoom);
    if (picture && factor) picture.zoom(factor); else picture?.fit();
  });
}

// ----------------------------------------------------------------------------------------------- news

let last = 0, timer = null;

// Loads what is not on the screen yet; while curves grow, not more often than every REFRESH_MS.
async function refresh(now = false) {
  const wait = last + REFRESH_MS - Date.now();
  if (!now && wait > 0) {
    timer ??= setTimeout(() => { timer = null; refresh(true); }, wait);
    return;
  }
  last = Date.now();
  const run = state.runs[state.active], seen = state.seen;
  const versions = [...state.chosen].map(id => `${id}:${state.runs[id].version}`).join();
  const details = `${run.id}:${run.look}:${run.tested}`;
  const jobs = [];
  if (seen.versions !== versions) { seen.versions = versions; jobs.push(loadCurves()); }
  if (seen.details !== details) {
    seen.details = details;
    jobs.push(ask(`run?id=${run.id}`).then(found => { showBlobs(found.look); showTests(found.tests); }));
  }
  if (seen.net !== run.id) { seen.net = run.id; jobs.push(loadNet()); }
  try {
    await Promise.all(jobs);
  } catch (error) {
    notice(`The page cannot be brought up to date: ${error.message}`);
  }
}

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

function take(runs) {
  state.runs = runs;
  showTop();
  if (!document.activeElement?.closest("#runs")) showRuns();
  if (!document.hidden) refresh();
}

function listen() {
  const news = state.news = new EventSource("news");
  news.addEventListener("server", event => {
    // Another training has taken the port, while this page waited for an answer.
    if (state.server && state.server !== event.data) location.reload();
    state.server = event.data;
  });
  news.addEventListener("message", event => { notice(""); take(JSON.parse(event.data)); });
  news.addEventListener("end", () => {
    news.close();
    notice("This page's server has ended. What you see stays; open the run again with: pycaffe-lite dashboard");
  });
  news.addEventListener("error", () => {
    notice(news.readyState !== EventSource.CLOSED ? "The page's server does not answer at present."
      : "Too many pages of this training are open: this one is not kept up to date. Close some, and load it again.");
  });
}

document.addEventListener("visibilitychange", () => { if (!document.hidden && state.runs.length) refresh(true); });

async function begin() {
  state.runs = await ask("runs");
  state.chosen = new Set(state.runs.slice(0, PALETTE.length).map(run => run.id));
  showTop();
  showRuns();
  await refresh(true);
  document.body.dataset.ready = "yes";
  listen();
}
begin();
