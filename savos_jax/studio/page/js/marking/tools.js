/** The tools. Each is used by one pointer, in the picture's coordinates. */

import { NOWHERE, union } from './diff.js';
import { colourRegion, holes } from './regions.js';
import { paintBox, paintLine, paintPolygon } from './shapes.js';

/** @typedef {[number, number]} Point */

/**
 * @typedef {object} Bench what the tools share
 * @property {import('./marker.js').Marker} marker
 * @property {import('./stage.js').Stage} stage
 * @property {{size: number, tolerance: number, snap: boolean,
 *   remove: boolean, pressure: boolean}} settings
 * @property {() => Promise<Uint8ClampedArray>} pixels of the open frame, RGBA
 * @property {null | ((prompt: {box: number[], inside: Point[],
 *   outside: Point[]}) => Promise<Uint8Array>)} snap finds an object's mask
 * @property {() => void} redraw the lines
 * @property {(text: string) => void} say to the person
 * @property {(error: Error) => void} fail says that something did not work
 */

const NEAR = 10; // Screen pixels at which a polygon is closed.
const DRAG = 4; // Screen pixels that make a drag.

class Tool {
  /** @param {Bench} bench */
  constructor(bench) {
    this.bench = bench;
  }

  get marker() {
    return this.bench.marker;
  }

  /** Whether it is used to remove: by its setting, button, pen's end or Shift.
   *  @param {PointerEvent} event */
  removes(event) {
    const other = event.button === 2 || event.button === 5 || event.shiftKey;
    return this.bench.settings.remove !== other;
  }

  /** @param {number} screen @returns {number} the same, in the picture */
  far(screen) {
    return screen / this.bench.stage.view.scale;
  }

  down() {}
  move() {}
  up() {}
  hover() {}
  cancel() {}
  /** @returns {boolean} whether the key was for it */
  key() {
    return false;
  }
  draw() {}
}

/** Paints, or removes. */
export class Brush extends Tool {
  always = false; // Whether it removes.

  down(point, event) {
    this.paint = this.marker.paint(this.always || this.removes(event));
    this.marker.begin();
    this.last = point;
    const pressure = event.pointerType === 'pen' ? event.pressure : 1;
    this.move([{ point, pressure }]);
  }

  move(path) {
    const { marker } = this;
    const { size, pressure: presses } = this.bench.settings;
    let box = NOWHERE;
    for (const { point, pressure } of path) {
      const radius = (size / 2) * (presses ? 0.2 + 0.8 * pressure : 1);
      const [a, b] = [this.last, point];
      const { labels, width, height } = marker;
      box = union(
        box, paintLine(labels, width, height, a, b, radius, this.paint),
      );
      this.last = point;
    }
    if (box.x1 > box.x0 && box.y1 > box.y0) marker.changed(box);
  }

  up() {
    this.marker.commit();
  }

  cancel() {
    this.marker.cancel();
  }

  /** The brush's rim about the pointer. */
  draw(pen, at, pointer) {
    if (!pointer) return;
    const [x, y] = at(pointer);
    const { scale, aspect } = this.bench.stage.view;
    const radius = Math.max(1, (this.bench.settings.size / 2) * scale);
    for (const [style, width] of [['#000a', 3], ['#fff', 1.25]]) {
      pen.beginPath();
      pen.ellipse(x, y, radius * aspect, radius, 0, 0, 2 * Math.PI);
      pen.strokeStyle = style;
      pen.lineWidth = width;
      pen.stroke();
    }
  }
}

/** Takes away. */
export class Eraser extends Brush {
  always = true;
}

/** Outlines: click corner by corner, or draw around it. */
export class Lasso extends Tool {
  /** @type {Point[]} */
  points = [];
  pressed = false;

  down(point, event) {
    const first = this.points[0];
    const isClose = first && this.points.length > 2 && this.near(first, point);
    if (isClose) {
      this.close();
      return;
    }
    if (!first) this.remove = this.removes(event);
    this.pressed = true;
    this.drawn = 0;
    this.points.push(point);
    this.bench.redraw();
  }

  near([ax, ay], [bx, by]) {
    return Math.hypot(ax - bx, ay - by) < this.far(NEAR);
  }

  move(path) {
    if (!this.pressed) return;
    for (const { point } of path) {
      const [x, y] = this.points.at(-1);
      const step = Math.hypot(point[0] - x, point[1] - y);
      if (step < this.far(this.drawn ? 2 : DRAG)) continue;
      this.points.push(point);
      this.drawn += step;
    }
    this.bench.redraw();
  }

  up() {
    if (!this.pressed) return;
    this.pressed = false;
    // Drawn around in one go; else corners go on.
    const alone = this.drawn && this.drawn > this.far(3 * NEAR);
    if (alone) this.close();
  }

  close() {
    const { points, marker } = this;
    this.points = [];
    this.pressed = false;
    if (points.length > 2 && marker.isOpen) {
      marker.begin();
      const { labels, width, height } = marker;
      const paint = marker.paint(this.remove);
      marker.changed(paintPolygon(labels, width, height, points, paint));
      marker.commit();
    }
    this.bench.redraw();
  }

  cancel() {
    this.points = [];
    this.pressed = false;
    this.bench.redraw();
  }

  hover() {
    if (this.points.length) this.bench.redraw();
  }

  key(key) {
    if (!this.points.length) return false;
    if (key === 'Enter') this.close();
    else if (key === 'Escape') this.cancel();
    else if (key === 'Backspace') this.points.pop();
    else return false;
    this.bench.redraw();
    return true;
  }

  draw(pen, at, pointer) {
    const { points } = this;
    if (!points.length) return;
    const corners = points.map(at);
    if (pointer && !this.pressed) corners.push(at(pointer));
    line(pen, corners, false);
    const [x, y] = at(points[0]);
    pen.beginPath();
    pen.arc(x, y, 5, 0, 2 * Math.PI);
    pen.fillStyle = '#fff';
    pen.fill();
    pen.strokeStyle = '#000';
    pen.lineWidth = 1;
    pen.stroke();
  }
}

/** A rectangle, which snaps to the object in it; clicks then refine it. */
export class Rectangle extends Tool {
  /** @type {Point | null} */
  from = null;
  /** @type {Point | null} */
  to = null;
  waiting = false;
  /** @type {null | {box: number[], inside: Point[], outside: Point[],
   *    entry: object, remove: boolean}} */
  snapped = null;

  down(point, event) {
    if (this.waiting) return;
    this.from = this.to = point;
    this.isRemoval = this.removes(event);
  }

  move(path) {
    if (!this.from || this.waiting) return;
    this.to = path.at(-1).point;
    this.bench.redraw();
  }

  up() {
    const { from, to, marker } = this;
    if (!from || !to || this.waiting) return;
    this.from = this.to = null;
    const box = [
      Math.max(0, Math.min(from[0], to[0])),
      Math.max(0, Math.min(from[1], to[1])),
      Math.min(marker.width, Math.max(from[0], to[0])),
      Math.min(marker.height, Math.max(from[1], to[1])),
    ].map(Math.round);
    const isDrag =
      Math.hypot(from[0] - to[0], from[1] - to[1]) >= this.far(DRAG);
    if (!isDrag) this.refine(from);
    else if (box[2] > box[0] && box[3] > box[1]) this.use(box);
    this.bench.redraw();
  }

  use(box) {
    const { snap, settings } = this.bench;
    if (snap && settings.snap) {
      const remove = this.isRemoval;
      this.find({ box, inside: [], outside: [], entry: null, remove });
      return;
    }
    const [x0, y0, x1, y1] = box;
    const { marker } = this;
    marker.begin();
    const paint = marker.paint(this.isRemoval);
    marker.changed(
      paintBox(marker.labels, marker.width, { x0, y0, x1, y1 }, paint),
    );
    marker.commit();
  }

  /** A click after a snap: this belongs to the object; to remove: it does not. */
  refine(point) {
    const { snapped, marker } = this;
    if (!snapped || snapped.entry !== marker.history.last) {
      this.bench.say('Drag a rectangle around the object.');
      return;
    }
    const which = this.isRemoval === snapped.remove ? 'inside' : 'outside';
    this.find({ ...snapped, [which]: [...snapped[which], point] });
  }

  async find(prompt) {
    const { marker, bench } = this;
    const frame = marker.frame;
    this.waiting = true;
    this.box = prompt.box;
    bench.redraw();
    try {
      const { box, inside, outside } = prompt;
      const mask = await bench.snap({ box, inside, outside });
      if (marker.frame !== frame || !marker.isOpen) return;
      if (prompt.entry && prompt.entry === marker.history.last) {
        await marker.undo();
      }
      const before = marker.history.last;
      marker.put(mask, prompt.remove);
      const entry = marker.history.last;
      this.snapped = entry === before ? null : { ...prompt, entry };
      if (entry === before) bench.say('Nothing new was found in the rectangle.');
    } catch (error) {
      bench.fail(error);
    } finally {
      this.waiting = false;
      bench.redraw();
    }
  }

  cancel() {
    this.from = this.to = this.snapped = null;
    this.bench.redraw();
  }

  key(key) {
    if (key !== 'Escape' || !(this.from || this.snapped)) return false;
    this.cancel();
    return true;
  }

  draw(pen, at) {
    const last =
      this.snapped !== null && this.snapped.entry === this.marker.history.last;
    let [a, b] = [this.from, this.to];
    if (!a) {
      if (!(this.waiting || last)) return;
      [a, b] = [this.box.slice(0, 2), this.box.slice(2)];
    }
    const corners = [a, [b[0], a[1]], b, [a[0], b[1]]].map(at);
    line(pen, corners, true, !this.from);
    if (this.waiting) note(pen, corners[0], 'Looking for the object');
    for (const [which, sign] of [['inside', '+'], ['outside', '−']]) {
      for (const point of last ? this.snapped[which] : []) {
        const [x, y] = at(point);
        pen.font = 'bold 16px sans-serif';
        pen.lineWidth = 3;
        pen.strokeStyle = '#000';
        pen.strokeText(sign, x - 5, y + 5);
        pen.fillStyle = '#fff';
        pen.fillText(sign, x - 5, y + 5);
      }
    }
  }
}

/** A region of one colour. */
export class Flood extends Tool {
  async down([x, y], event) {
    const { marker, bench } = this;
    const { width, height, frame } = marker;
    const [column, row] = [Math.floor(x), Math.floor(y)];
    if (column < 0 || row < 0 || column >= width || row >= height) return;
    const remove = this.removes(event);
    const rgba = await bench.pixels().catch(bench.fail);
    if (!rgba) return;
    if (marker.frame !== frame || !marker.isOpen) return;
    const { tolerance } = bench.settings;
    const region = colourRegion(rgba, width, height, column, row, tolerance);
    marker.put(region, remove);
  }
}

/** Moves the picture. */
export class Hand extends Tool {}

/**
 * Fills what the active object encloses, other objects left alone.
 *
 * @param {import('./marker.js').Marker} marker
 */
export function fillHoles(marker) {
  if (!marker.isOpen) return;
  const { labels, width, height, active } = marker;
  const enclosed = holes(labels, width, height, active);
  marker.put(enclosed.map((is, i) => (labels[i] ? 0 : is)), false);
}

/** A text that is seen on anything. */
function note(pen, [x, y], text) {
  pen.font = '13px system-ui, sans-serif';
  const { width } = pen.measureText(text);
  pen.fillStyle = '#000b';
  pen.fillRect(x, y - 24, width + 16, 22);
  pen.fillStyle = '#fff';
  pen.fillText(text, x + 8, y - 8);
}

/** A line that is seen on anything. */
function line(pen, corners, closed, dashed = false) {
  pen.beginPath();
  corners.forEach(([x, y], k) => (k ? pen.lineTo(x, y) : pen.moveTo(x, y)));
  if (closed) pen.closePath();
  pen.setLineDash(dashed ? [5, 4] : []);
  for (const [style, width] of [['#000a', 3], ['#fff', 1.25]]) {
    pen.strokeStyle = style;
    pen.lineWidth = width;
    pen.stroke();
  }
  pen.setLineDash([]);
}
