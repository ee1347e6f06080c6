"use strict";
// Lines over iterations on a canvas, with a legend, the values under the pointer, and zoom by dragging.

const PALETTE = ["#2f6fde", "#e5812a", "#2a9d5c", "#d64550", "#8a5fd0", "#8c6d4f", "#d45fae", "#7f8894",
  "#a8a02a", "#1fa7b8"];
const MARGIN = { left: 58, right: 18, top: 8, bottom: 24 };
const MARKED = 60;  // lines of no more points have a mark at each

// A number in a few letters.
function short(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2).replace(/\.?0+e/, "e");
  return String(Number(value.toPrecision(4)));
}

// An iteration as an axis has it: 2.5k, 1M.
function shortCount(value) {
  for (const [step, letter] of [[1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(value) >= 10 * step || (Math.abs(value) >= step && value % (step / 10) === 0)) {
      return `${Number((value / step).toPrecision(4))}${letter}`;
    }
  }
  return String(value);
}

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;  // names are shown, whatever they hold
  if (className) made.className = className;
  return made;
}

// Round numbers between two ends, `count` or so.
function ticks(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(f => f * power).find(s => s >= rough) ?? power;
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) found.push(Number((i * step).toPrecision(12)));
  return found;
}

function logTicks(low, high) {
  const decades = Math.log10(high / low), found = [];
  for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) {
    if (decades > 8 && e % 2) continue;
    for (const f of decades < 1.2 ? [1, 2, 3, 5] : decades < 2.5 ? [1, 3] : [1]) {
      const value = Number((f * 10 ** e).toPrecision(6));
      if (value >= low && value <= high) found.push(value);
    }
  }
  return found.length > 1 ? found : ticks(low, high, 4);
}

class Chart {
  // box: the section to fill. title: its heading. options.log: "auto", true or false.
  // options.zoomed: called with (first, last) when a part is chosen, with nothing for the whole.
  constructor(box, title, options) {
    this.box = box;
    this.options = options;
    this.log = options.log;
    this.lines = [];
    this.at = null;     // where the pointer is, in pixels
    this.grip = null;   // where dragging began
    const head = element("div", undefined, "head");
    this.whole = element("button", "whole run", "whole");
    this.whole.type = "button";
    this.whole.hidden = true;
    this.check = element("input");
    this.check.type = "checkbox";
    const label = element("label");
    label.append(this.check, " log");
    head.append(element("h2", title), this.whole, label);
    this.plot = element("div", undefined, "plot");
    this.canvas = element("canvas");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", `${title} over iterations`);
    this.tip = element("div", undefined, "tip");
    this.tip.hidden = true;
    this.plot.append(this.canvas, this.tip);
    this.legend = element("ul", undefined, "legend");
    box.append(head, this.plot, this.legend);
    this.listen();
  }

  listen() {
    this.check.addEventListener("change", () => { this.log = this.check.checked; this.draw(); });
    this.whole.addEventListener("click", () => this.options.zoomed());
    this.canvas.addEventListener("dblclick", () => this.options.zoomed());
    this.canvas.addEventListener("pointerdown", event => { this.grip = event.offsetX; });
    this.canvas.addEventListener("pointermove", event => {
      this.at = event.offsetX;
      this.draw();
    });
    this.canvas.addEventListener("pointerleave", () => { this.at = null; this.grip = null; this.draw(); });
    this.canvas.addEventListener("pointerup", event => {
      const from = this.grip;
      this.grip = null;
      if (from !== null && Math.abs(event.offsetX - from) > 8 && this.scale) {
        const ends = [from, event.offsetX].map(px => this.scale.iteration(px)).sort((a, b) => a - b);
        this.options.zoomed(Math.max(0, Math.floor(ends[0])), Math.ceil(ends[1]));
      }
    });
    new ResizeObserver(() => this.draw()).observe(this.plot);
  }

  // lines: {label, colour, dash, x, mean, low, high, smooth}; range: [first, last] or null.
  set(lines, range) {
    this.lines = lines;
    this.range = range;
    this.box.hidden = !lines.length;
    this.whole.hidden = !range;
    this.legend.replaceChildren(...lines.map(line => {
      const item = element("li"), value = (line.smooth ?? line.mean).findLast(v => !Number.isNaN(v));
      item.append(this.swatch(line), element("span", line.label), element("span", short(value), "note"));
      return item;
    }));
    this.draw();
  }

  swatch(line) {
    const made = element("span", undefined, line.dash.length ? "swatch dashed" : "swatch");
    made.style.borderColor = line.colour;
    return made;
  }

  // The least and the largest value that the axis has to show.
  extent() {
    let low = Infinity, high = -Infinity, least = Infinity;
    for (const line of this.lines) {
      for (const values of [line.smooth ?? line.mean, line.mean, line.low, line.high]) {
        for (const value of values ?? []) {
          if (!Number.isFinite(value)) continue;
          low = Math.min(low, value);
          high = Math.max(high, value);
          if (value > 0) least = Math.min(least, value);
        }
      }
    }
    return { low, high, least };
  }

  makeScale() {
    const width = this.plot.clientWidth - MARGIN.left - MARGIN.right;
    const height = this.plot.clientHeight - MARGIN.top - MARGIN.bottom;
    let { low, high, least } = this.extent();
    if (!Number.isFinite(low)) return null;
    const log = Number.isFinite(least) && (this.log === "auto" ? low > 0 && high > 20 * low : this.log);
    this.check.checked = log;
    if (log) {
      low = Math.max(least, high * 1e-12);
      if (high <= low) high = low * 2;
    } else {
      const room = (high - low) * 0.04 || Math.abs(high) * 0.1 || 1;
      [low, high] = [low >= 0 && low < room * 3 ? 0 : low - room, high + room];
    }
    let first = Infinity, last = -Infinity;
    for (const line of this.lines) {
      first = Math.min(first, line.x[0]);
      last = Math.max(last, line.x[line.x.length - 1]);
    }
    if (this.range) [first, last] = this.range;
    if (!(last > first)) last = first + 1;
    const y = log
      ? v => MARGIN.top + height * (1 - Math.log(Math.max(v, low) / low) / Math.log(high / low))
      : v => MARGIN.top + height * (1 - (v - low) / (high - low));
    return {
      low, high, first, last, log, width, height, y,
      x: i => MARGIN.left + width * (i - first) / (last - first),
      iteration: px => first + (last - first) * (px - MARGIN.left) / width,
    };
  }

  draw() {
    const ratio = devicePixelRatio || 1, wide = this.plot.clientWidth, high = this.plot.clientHeight;
    if (!wide || !this.lines.length) return;
    this.canvas.width = Math.round(wide * ratio);
    this.canvas.height = Math.round(high * ratio);
    const pen = this.canvas.getContext("2d"), scale = this.scale = this.makeScale();
    pen.scale(ratio, ratio);
    if (!scale) return;
    this.drawAxes(pen, scale);
    pen.save();
    pen.beginPath();
    pen.rect(MARGIN.left - 3, MARGIN.top - 3, scale.width + 6, scale.height + 6);  // 3: half a dot
    pen.clip();
    for (const line of this.lines) this.drawLine(pen, scale, line);
    pen.restore();
    this.drawPointer(pen, scale);
  }

  drawAxes(pen, scale) {
    const style = getComputedStyle(document.documentElement);
    pen.strokeStyle = style.getPropertyValue("--edge");
    pen.fillStyle = style.getPropertyValue("--faint");
    pen.font = "12px system-ui, sans-serif";
    pen.lineWidth = 1;
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const value of scale.log ? logTicks(scale.low, scale.high) : ticks(scale.low, scale.high, 5)) {
      const y = Math.round(scale.y(value)) + 0.5;
      pen.beginPath();
      pen.moveTo(MARGIN.left, y);
      pen.lineTo(MARGIN.left + scale.width, y);
      pen.stroke();
      pen.fillText(short(value), MARGIN.left - 6, y);
    }
    pen.textAlign = "center";
    pen.textBaseline = "top";
    const count = Math.max(2, Math.floor(scale.width / 90));
    for (const value of ticks(scale.first, scale.last, count).filter(Number.isInteger)) {
      pen.fillText(shortCount(value), scale.x(value), MARGIN.top + scale.height + 8);
    }
  }

  drawLine(pen, scale, line) {
    pen.strokeStyle = pen.fillStyle = line.colour;
    pen.lineJoin = "round";
    if (line.low) {
      pen.globalAlpha = 0.16;
      this.fillBand(pen, scale, line);
    }
    if (line.smooth) {
      pen.globalAlpha = 0.35;
      pen.lineWidth = 1;
      this.strokeLine(pen, scale, line.x, line.mean);
    }
    pen.globalAlpha = 1;
    pen.lineWidth = 1.8;
    pen.setLineDash(line.dash);
    this.strokeLine(pen, scale, line.x, line.smooth ?? line.mean);
    pen.setLineDash([]);
    if (line.x.length <= MARKED && !line.smooth) {
      line.mean.forEach((value, i) => {
        if (!Number.isFinite(value)) return;
        pen.beginPath();
        pen.arc(scale.x(line.x[i]), scale.y(value), 2.2, 0, 7);
        pen.fill();
      });
    }
  }

  strokeLine(pen, scale, x, values) {
    pen.beginPath();
    let on = false;
    for (let i = 0; i < x.length; i++) {
      if (!Number.isFinite(values[i])) { on = false; continue; }
      if (on) pen.lineTo(scale.x(x[i]), scale.y(values[i]));
      else pen.moveTo(scale.x(x[i]), scale.y(values[i]));
      on = true;
    }
    pen.stroke();
  }

  fillBand(pen, scale, line) {
    pen.beginPath();
    const there = [...line.x.keys()].filter(i => Number.isFinite(line.low[i]));
    for (const i of there) pen.lineTo(scale.x(line.x[i]), scale.y(line.high[i]));
    for (const i of there.reverse()) pen.lineTo(scale.x(line.x[i]), scale.y(line.low[i]));
    pen.fill();
  }

  drawPointer(pen, scale) {
    this.tip.hidden = this.at === null || this.at < MARGIN.left || this.at > MARGIN.left + scale.width;
    if (this.tip.hidden) return;
    const style = getComputedStyle(document.documentElement);
    pen.strokeStyle = style.getPropertyValue("--faint");
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(this.at, MARGIN.top);
    pen.lineTo(this.at, MARGIN.top + scale.height);
    pen.stroke();
    if (this.grip !== null) {
      pen.globalAlpha = 0.12;
      pen.fillStyle = style.getPropertyValue("--accent");
      pen.fillRect(Math.min(this.grip, this.at), MARGIN.top, Math.abs(this.at - this.grip), scale.height);
      pen.globalAlpha = 1;
    }
    const wanted = scale.iteration(this.at);
    const room = (scale.last - scale.first) * 0.02;  // beyond its ends, a line says nothing
    const there = this.lines.filter(line => wanted > line.x[0] - room && wanted < line.x.at(-1) + room);
    const rows = there.slice(0, 10).map(line => {
      const row = element("div"), i = nearest(line.x, wanted), values = line.smooth ?? line.mean;
      row.append(this.swatch(line), element("span", line.label), element("b", short(values[i])));
      return row;
    });
    this.tip.replaceChildren(element("div", `iteration ${Math.round(wanted)}`), ...rows);
    const right = this.at > this.plot.clientWidth / 2;
    this.tip.style.left = right ? "auto" : `${this.at + 12}px`;
    this.tip.style.right = right ? `${this.plot.clientWidth - this.at + 12}px` : "auto";
    this.tip.style.top = `${MARGIN.top}px`;
  }
}

// The place, among increasing numbers, of the one that is nearest.
function nearest(numbers, wanted) {
  let low = 0, high = numbers.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] < wanted) low = middle + 1; else high = middle;
  }
  return low > 0 && wanted - numbers[low - 1] < numbers[low] - wanted ? low - 1 : low;
}
