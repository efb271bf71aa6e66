/**
 * The timeline: thumbnails, which frames are marked and computed, and how sure
 * their masks are. It knows of no server: thumbnails come from a callback.
 */

import { level, LOW } from './confidence.js';
import { moved, showing, tick, toFrame, toX, zoomed } from './window.js';

/**
 * @typedef {object} Facts
 * @property {number} count of frames
 * @property {number} aspect width of the picture by its height
 * @property {Map<number, number[]>} marks frame -> the objects drawn there
 * @property {Uint8Array} computed 1: the frame has a mask
 * @property {Uint8Array} stale 1: it would be another today
 * @property {Float32Array} sure the lowest confidence of the frame; NaN: none
 * @property {{id: number, color: string, until: number | null}[]} objects
 */

/**
 * @typedef {object} Callbacks
 * @property {(frame: number) => void} onSeek
 * @property {(frame: number) => (CanvasImageSource | null)} thumbnail null:
 *   it is not there yet: call `redraw` when it is
 * @property {(frame: number | null, x: number) => void} onHover x: in the window
 * @property {(name: string) => string} colour of the page's palette
 * @property {(frame: number) => string} label of a frame
 */

const FILM = 44;
const RULER = 16;
const STATE = 14;
const GAP = 4;
const LEAST = 0.5; // How sure: at the bottom.
const LABEL = 72; // Pixels from a label to the next one, at least.

export class Timeline {
  /**
   * @param {HTMLElement} element a slider
   * @param {Callbacks} callbacks
   */
  constructor(element, callbacks) {
    this.element = element;
    this.callbacks = callbacks;
    this.canvas = document.createElement('canvas');
    element.append(this.canvas);
    /** @type {Facts | null} */
    this.facts = null;
    this.frame = 0;
    /** @type {number | null} */
    this.hovered = null;
    this.window = { from: 0, to: 1 };
    this.width = this.height = 0;
    this.asked = false;
    new ResizeObserver(() => this.resized()).observe(element);
    this.listen();
  }

  /** @param {Facts} facts kept: call `redraw` when they change */
  setFacts(facts) {
    const isOther = facts.count !== this.facts?.count;
    this.facts = facts;
    if (isOther) this.window = { from: 0, to: facts.count };
    this.redraw();
  }

  /** @param {number} frame the one that is seen */
  setFrame(frame) {
    this.frame = frame;
    if (this.facts) {
      this.window = showing(this.window, frame, this.facts.count);
    }
    this.redraw();
  }

  resized() {
    const bounds = this.element.getBoundingClientRect();
    this.width = bounds.width;
    this.height = bounds.height;
    this.canvas.width = Math.round(bounds.width * devicePixelRatio);
    this.canvas.height = Math.round(bounds.height * devicePixelRatio);
    this.redraw();
  }

  /** Draws it anew, once, soon. */
  redraw() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      this.draw();
    });
  }

  x(frame) {
    return toX(this.window, this.width, frame);
  }

  draw() {
    const pen = this.canvas.getContext('2d');
    pen.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    if (!this.facts?.count || !this.width) return;
    const names = [
      'track', 'text', 'muted', 'accent', 'computed', 'stale', 'low', 'middle',
      'high', 'panel',
    ];
    const colours = Object.fromEntries(
      names.map((name) => [name, this.callbacks.colour(name)]),
    );
    this.drawFilm(pen, colours);
    this.drawRuler(pen, colours, FILM);
    this.drawState(pen, colours, FILM + RULER);
    this.drawSure(pen, colours, FILM + RULER + STATE + GAP);
    this.drawCursor(pen, colours);
  }

  drawFilm(pen, colours) {
    const { aspect, count } = this.facts;
    pen.fillStyle = colours.track;
    pen.fillRect(0, 0, this.width, FILM);
    const tile = Math.max(8, FILM * aspect);
    for (let x = 0; x < this.width; x += tile) {
      const middle = toFrame(this.window, this.width, x + tile / 2);
      const frame = Math.max(0, Math.min(count - 1, middle));
      const image = this.callbacks.thumbnail(frame);
      if (image) pen.drawImage(image, x, 0, tile - 1, FILM);
    }
  }

  drawRuler(pen, colours, top) {
    const { from, to } = this.window;
    const step = tick(to - from, Math.max(1, this.width / LABEL));
    pen.font = '11px system-ui, sans-serif';
    pen.textBaseline = 'middle';
    for (let i = Math.ceil(from / step) * step; i < to; i += step) {
      const x = this.x(i);
      pen.fillStyle = colours.muted;
      pen.fillRect(Math.round(x), top + 2, 1, RULER - 4);
      const label = this.callbacks.label(i);
      if (x + 5 + pen.measureText(label).width < this.width) {
        pen.fillText(label, x + 4, top + RULER / 2 + 1);
      }
    }
  }

  /** Calls back with the runs of frames that have a value, in pixels. */
  runs(values, call) {
    const first = Math.max(0, Math.floor(this.window.from));
    const last = Math.min(values.length, Math.ceil(this.window.to));
    for (let i = first; i < last; i++) {
      if (!values[i]) continue;
      const start = i;
      while (i < last && values[i]) i++;
      const x = this.x(start);
      call(x, Math.max(1, this.x(i) - x));
    }
  }

  drawState(pen, colours, top) {
    const { computed, stale, marks, objects } = this.facts;
    const bar = STATE - 6;
    pen.fillStyle = colours.track;
    pen.fillRect(0, top + 3, this.width, bar);
    pen.fillStyle = colours.computed;
    this.runs(computed, (x, w) => pen.fillRect(x, top + 3, w, bar));
    pen.fillStyle = striped(pen, colours.stale, colours.track);
    this.runs(stale, (x, w) => pen.fillRect(x, top + 3, w, bar));
    for (const { color, until } of objects) {
      if (until === null) continue;
      pen.fillStyle = color;
      pen.fillRect(Math.round(this.x(until)), top, 2, STATE);
      pen.fillRect(Math.round(this.x(until)) - 3, top + 6, 4, 2);
    }
    const colour = new Map(objects.map(({ id, color }) => [id, color]));
    for (const [frame, ids] of marks) {
      const x = this.x(frame + 0.5);
      if (x < -8 || x > this.width + 8) continue;
      diamond(pen, x, top + STATE / 2, 6, colours.panel);
      diamond(pen, x, top + STATE / 2, 4.5, colour.get(ids[0]) ?? colours.text);
    }
  }

  drawSure(pen, colours, top) {
    const height = this.height - top - 1;
    if (height < 8) return;
    const { sure } = this.facts;
    pen.fillStyle = colours.track;
    pen.fillRect(0, top, this.width, height);
    const first = Math.max(0, Math.floor(this.window.from));
    const last = Math.min(sure.length, Math.ceil(this.window.to));
    // Where frames are narrower than a pixel: the lowest of each pixel.
    let i = first;
    while (i < last) {
      const x = Math.floor(this.x(i));
      let low = sure[i];
      let next = i + 1;
      while (next < last && Math.floor(this.x(next)) === x) {
        if (!(low <= sure[next])) low = sure[next];
        next++;
      }
      if (!Number.isNaN(low)) {
        const tall = Math.max(2, part(low) * height);
        const width = Math.max(1, Math.floor(this.x(next)) - x - gap(this, i));
        pen.fillStyle = colours[level(low)];
        pen.fillRect(x, top + height - tall, width, tall);
      }
      i = next;
    }
    pen.fillStyle = colours.muted;
    pen.globalAlpha = 0.5;
    pen.fillRect(0, Math.round(top + height * (1 - part(LOW))), this.width, 1);
    pen.globalAlpha = 1;
  }

  drawCursor(pen, colours) {
    if (this.hovered !== null) {
      pen.globalAlpha = 0.5;
      pen.fillStyle = colours.text;
      pen.fillRect(this.x(this.hovered + 0.5), 0, 1, this.height);
      pen.globalAlpha = 1;
    }
    const x = this.x(this.frame);
    const width = this.x(this.frame + 1) - x;
    pen.fillStyle = colours.accent;
    if (width > 6) {
      pen.globalAlpha = 0.3;
      pen.fillRect(x, FILM, width, this.height - FILM);
      pen.globalAlpha = 1;
    }
    const middle = Math.round(x + width / 2);
    pen.fillRect(middle - 1, 0, 2, this.height);
    pen.beginPath();
    pen.moveTo(middle - 6, 0);
    pen.lineTo(middle + 6, 0);
    pen.lineTo(middle, 8);
    pen.fill();
  }

  /** @param {PointerEvent | WheelEvent} event @returns {number} */
  at(event) {
    const { left } = this.element.getBoundingClientRect();
    const frame = toFrame(this.window, this.width, event.clientX - left);
    return Math.max(0, Math.min((this.facts?.count ?? 1) - 1, frame));
  }

  listen() {
    const { element, callbacks } = this;
    let dragging = false;
    element.addEventListener('pointerdown', (event) => {
      if (!this.facts || event.button) return;
      element.setPointerCapture(event.pointerId);
      dragging = true;
      callbacks.onSeek(this.at(event));
    });
    element.addEventListener('pointermove', (event) => {
      if (!this.facts) return;
      this.hovered = this.at(event);
      if (dragging) callbacks.onSeek(this.hovered);
      callbacks.onHover(this.hovered, event.clientX);
      this.redraw();
    });
    for (const type of ['pointerup', 'pointercancel']) {
      element.addEventListener(type, () => (dragging = false));
    }
    element.addEventListener('pointerleave', () => {
      this.hovered = null;
      callbacks.onHover(null, 0);
      this.redraw();
    });
    element.addEventListener('wheel', (event) => this.wheel(event), {
      passive: false,
    });
  }

  wheel(event) {
    if (!this.facts) return;
    event.preventDefault();
    const { left } = this.element.getBoundingClientRect();
    const share = (event.clientX - left) / this.width;
    const { count } = this.facts;
    const span = this.window.to - this.window.from;
    const sideways = event.shiftKey ? event.deltaY : event.deltaX;
    this.window =
      sideways && Math.abs(sideways) >= Math.abs(event.deltaX)
        ? moved(this.window, (sideways / this.width) * span, count)
        : zoomed(this.window, Math.exp(-event.deltaY / 400), share, count);
    this.redraw();
  }
}

/** Where a confidence is, of the height. */
const part = (sure) => Math.max(0, (sure - LEAST) / (1 - LEAST));

/** A pixel between bars that are wide enough. */
const gap = (timeline, i) => (timeline.x(i + 1) - timeline.x(i) >= 4 ? 1 : 0);

function diamond(pen, x, y, radius, colour) {
  pen.fillStyle = colour;
  pen.beginPath();
  pen.moveTo(x, y - radius);
  pen.lineTo(x + radius, y);
  pen.lineTo(x, y + radius);
  pen.lineTo(x - radius, y);
  pen.fill();
}

/** A pattern of slanted stripes: told apart without colours, too. */
function striped(pen, colour, ground) {
  const tile = document.createElement('canvas');
  tile.width = tile.height = 6;
  const brush = tile.getContext('2d');
  brush.fillStyle = ground;
  brush.fillRect(0, 0, 6, 6);
  brush.strokeStyle = colour;
  brush.lineWidth = 2.5;
  for (const shift of [-6, 0, 6]) {
    brush.beginPath();
    brush.moveTo(shift, 6);
    brush.lineTo(shift + 6, 0);
    brush.stroke();
  }
  return pen.createPattern(tile, 'repeat');
}
