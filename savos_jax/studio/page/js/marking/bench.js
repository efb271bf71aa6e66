/** Pointers, tools and marker put together: what can be drawn with. */

import { Marker } from './marker.js';
import { listen } from './pointers.js';
import { Brush, Eraser, Flood, Hand, Lasso, Rectangle } from './tools.js';

/** @typedef {import('./tools.js').Point} Point */

const LEAST_SIZE = 1;
const MOST_SIZE = 400;
const MOST_MEASURES = 500;

export const TOOLS = {
  brush: Brush,
  eraser: Eraser,
  lasso: Lasso,
  rectangle: Rectangle,
  flood: Flood,
  hand: Hand,
};

export class Bench {
  /**
   * @param {import('./stage.js').Stage} stage
   * @param {import('./marker.js').Callbacks & {
   *   pixels: () => Promise<Uint8ClampedArray>,
   *   snap?: (prompt: object) => Promise<Uint8Array>,
   *   say: (text: string) => void,
   *   fail: (error: Error) => void,
   *   onUse: () => void,
   *   onNoObject: () => void,
   *   onSettings: () => void,
   * }} callbacks
   */
  constructor(stage, callbacks) {
    this.stage = stage;
    this.callbacks = callbacks;
    this.marker = new Marker(stage, callbacks);
    this.settings = {
      size: 24, tolerance: 24, snap: true, remove: false, pressure: true,
    };
    this.pixels = callbacks.pixels;
    this.snap = callbacks.snap ?? null;
    this.say = callbacks.say;
    this.fail = callbacks.fail;
    this.tools = Object.fromEntries(
      Object.entries(TOOLS).map(([name, kind]) => [name, new kind(this)]),
    );
    this.name = 'brush';
    /** @type {Point | null} where the pointer is, in the picture */
    this.pointer = null;
    this.using = false;
    this.penSeen = false;
    listen(stage.element, this.handlers());
  }

  get tool() {
    return this.tools[this.name];
  }

  /** @param {string} name of `TOOLS` */
  choose(name) {
    if (name === this.name) return;
    this.cancel();
    this.name = name;
    this.stage.element.dataset.tool = name;
    this.redraw();
    this.callbacks.onSettings();
  }

  /** @param {object} changes of `settings` */
  set(changes) {
    const size = changes.size ?? this.settings.size;
    Object.assign(this.settings, changes);
    this.settings.size = Math.min(MOST_SIZE, Math.max(LEAST_SIZE, size));
    this.redraw();
    this.callbacks.onSettings();
  }

  /** @param {number} steps makes the brush wider */
  resize(steps) {
    const size = this.settings.size * 1.15 ** steps;
    this.set({
      size: steps > 0
        ? Math.max(size, Math.floor(this.settings.size) + 1)
        : Math.min(size, Math.ceil(this.settings.size) - 1),
    });
  }

  /** Ends what is being drawn, without it. */
  cancel() {
    this.using = false;
    this.tool.cancel();
  }

  /** @param {string} key @returns {boolean} whether the tool used it */
  key(key) {
    return this.tool.key(key);
  }

  redraw() {
    this.stage.drawLines((pen, at) => this.tool.draw(pen, at, this.pointer));
  }

  /** @returns {import('./pointers.js').Handlers} */
  handlers() {
    const { stage } = this;
    return {
      down: (at, event) => {
        this.pointer = stage.toPicture(...at);
        if (event.pointerType === 'pen' && !this.penSeen) {
          this.penSeen = true;
          this.callbacks.onSettings();
        }
        if (!this.marker.labels || this.marker.busy) return;
        if (!this.marker.isOpen) {
          this.callbacks.onNoObject();
          return;
        }
        this.using = true;
        this.callbacks.onUse();
        this.tool.down(this.pointer, event);
        this.redraw();
        measure(event);
      },
      move: (path, event) => {
        const points = path.map(({ at, pressure }) => ({
          point: stage.toPicture(...at),
          pressure,
        }));
        this.pointer = points.at(-1).point;
        if (this.using) this.tool.move(points, event);
        this.redraw();
        if (this.using) measure(event);
      },
      up: (event) => {
        if (this.using) this.tool.up(event);
        this.using = false;
      },
      cancel: () => this.cancel(),
      hover: (at, event) => {
        this.pointer = at && stage.toPicture(...at);
        this.tool.hover(event);
        this.redraw();
      },
      pan: (dx, dy) => {
        stage.pan(dx, dy);
        this.redraw();
      },
      zoom: (factor, x, y) => {
        const { left, top } = stage.bounds;
        stage.zoom(factor, x - left, y - top);
        this.redraw();
      },
      wheel: (notches, event) => {
        if (!event.altKey) return false;
        this.resize(-Math.sign(notches));
        return true;
      },
      isHand: () => this.name === 'hand',
    };
  }
}

let waiting = false;

/**
 * Measures how long it takes from an event to the picture of it, as the
 * measure 'stroke': up to the task after the one that paints.
 *
 * @param {PointerEvent} event
 */
function measure(event) {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      waiting = false;
      if (performance.getEntriesByName('stroke').length > MOST_MEASURES) {
        performance.clearMeasures('stroke');
      }
      performance.measure('stroke', { start: event.timeStamp });
      port1.close();
    };
    port2.postMessage(null);
  });
}
