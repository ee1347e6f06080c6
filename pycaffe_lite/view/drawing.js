"use strict";
// A drawing of a net that is moved by dragging and zoomed by the wheel.
class Drawing {
  // box: the element that holds the drawing, an svg element. chosen: called with the key of the layer that
  // is clicked on, or null. options.keyed: whether the wheel zooms only while Ctrl or Shift is held down.
  constructor(box, chosen, options = {}) {
    this.box = box;
    this.svg = box.querySelector("svg");
    this.groups = new Map();
    for (const group of this.svg.querySelectorAll("g[data-key]")) this.groups.set(group.dataset.key, group);
    const whole = this.svg.viewBox.baseVal;
    [this.width, this.height] = [whole.width, whole.height];
    // What is seen: the left upper corner, in the drawing's own units, and pixels of the screen per unit.
    this.view = { x: 0, y: 0, scale: 1 };
    this.svg.removeAttribute("width");
    this.svg.removeAttribute("height");
    this.svg.setAttribute("preserveAspectRatio", "xMinYMin meet");
    this.listen(chosen, options);
  }

  listen(chosen, options) {
    let grip = null, moved = false;
    this.box.addEventListener("wheel", event => {
      if (options.keyed && !event.ctrlKey && !event.shiftKey) return;
      event.preventDefault();
      const box = this.box.getBoundingClientRect(), turn = event.deltaY || event.deltaX;
      this.zoom(Math.exp(-turn / 500), event.clientX - box.left, event.clientY - box.top);
    }, { passive: false });
    this.box.addEventListener("pointerdown", event => {
      grip = { x: event.clientX, y: event.clientY, from: { ...this.view } };
      moved = false;
    });
    addEventListener("pointermove", event => {
      if (!grip) return;
      const dx = event.clientX - grip.x, dy = event.clientY - grip.y;
      moved ||= Math.hypot(dx, dy) > 4;
      this.view.x = grip.from.x - dx / this.view.scale;
      this.view.y = grip.from.y - dy / this.view.scale;
      if (moved) this.draw();
    });
    addEventListener("pointerup", () => { grip = null; });
    this.size = [this.box.clientWidth, this.box.clientHeight];
    new ResizeObserver(() => this.resize()).observe(this.box);
    this.svg.addEventListener("click", event => {
      const group = event.target.closest("g[data-key]");
      if (!moved) chosen(group ? group.dataset.key : null);
    });
  }

  // Keeps what is in the middle there.
  resize() {
    const size = [this.box.clientWidth, this.box.clientHeight];
    this.view.x += (this.size[0] - size[0]) / 2 / this.view.scale;
    this.view.y += (this.size[1] - size[1]) / 2 / this.view.scale;
    this.size = size;
    this.draw();
  }

  draw() {
    const width = this.box.clientWidth / this.view.scale, height = this.box.clientHeight / this.view.scale;
    this.svg.setAttribute("viewBox", `${this.view.x} ${this.view.y} ${width} ${height}`);
  }

  centre(x, y) {
    this.view.x = x - this.box.clientWidth / this.view.scale / 2;
    this.view.y = y - this.box.clientHeight / this.view.scale / 2;
    this.draw();
  }

  fit() {
    this.view.scale = Math.min(this.box.clientWidth / this.width, this.box.clientHeight / this.height);
    this.centre(this.width / 2, this.height / 2);
  }

  // A long net is shown from its beginning, in letters that can be read.
  begin() {
    const wide = this.box.clientWidth, high = this.box.clientHeight;
    this.view.scale = Math.min(1, Math.max(wide / this.width, high / this.height));
    this.centre(this.width / 2, this.height / 2);
    if (this.width * this.view.scale > wide) this.view.x = 0;
    if (this.height * this.view.scale > high) this.view.y = 0;
    this.draw();
  }

  zoom(factor, px = this.box.clientWidth / 2, py = this.box.clientHeight / 2) {
    const x = this.view.x + px / this.view.scale, y = this.view.y + py / this.view.scale;
    this.view.scale = Math.min(8, Math.max(0.01, this.view.scale * factor));
    this.view.x = x - px / this.view.scale;
    this.view.y = y - py / this.view.scale;
    this.draw();
  }

  // Brings a layer into the middle.
  show(key) {
    const box = this.groups.get(key).getBBox();
    this.view.scale = Math.max(this.view.scale, 0.7);
    this.centre(box.x + box.width / 2, box.y + box.height / 2);
  }

  // Marks a layer, or none.
  mark(key) {
    for (const group of this.groups.values()) group.classList.remove("chosen");
    this.groups.get(key)?.classList.add("chosen");
  }
}
