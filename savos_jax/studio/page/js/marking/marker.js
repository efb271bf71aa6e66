/**
 * The marks of a video, one frame of them at a time, as they are drawn. It
 * knows of no server: what changes is told to callbacks.
 */

import { apply, diff, NOWHERE, touched, union } from './diff.js';
import { History } from './history.js';
import { paintMask, paintOf } from './shapes.js';

/**
 * @typedef {object} Callbacks
 * @property {(frame: number, labels: Uint8Array, ids: number[]) => void}
 *   onChange a frame is marked otherwise: its labels (to be copied), and the
 *   objects of which it tells; none: it is marked no longer
 * @property {(frame: number) => Promise<void>} onGo opens a frame, for what is
 *   to be undone there
 * @property {() => void} onState what can be undone is something else
 */

export class Marker {
  /**
   * @param {import('./stage.js').Stage} stage
   * @param {Callbacks} callbacks
   */
  constructor(stage, callbacks) {
    this.stage = stage;
    this.callbacks = callbacks;
    this.history = new History();
    this.frame = -1;
    /** @type {Uint8Array | null} null: no frame is open */
    this.labels = null;
    /** @type {Uint8Array | null} before what is being done */
    this.before = null;
    this.box = NOWHERE;
    /** @type {Set<number>} of which the frame tells */
    this.ids = new Set();
    /** @type {Set<number>} */
    this.known = new Set();
    this.active = 0;
    this.protect = false;
    /** @type {null | {entry: object, labels: Uint8Array}} a mark that was
     *  taken away, until it is known what was under it */
    this.removed = null;
    this.busy = false; // Going to a frame to undo something there.
  }

  get width() {
    return this.stage.picture.width;
  }

  get height() {
    return this.stage.picture.height;
  }

  /** Whether something can be drawn. */
  get isOpen() {
    return this.labels !== null && this.known.has(this.active);
  }

  /** @param {{id: number}[]} objects @param {number} active */
  setObjects(objects, active) {
    this.known = new Set(objects.map((each) => each.id));
    this.active = active;
  }

  /**
   * @param {number} frame
   * @param {Uint8Array | null} labels taken over; null: nothing yet
   * @param {Iterable<number>} ids of which the frame tells
   */
  open(frame, labels, ids) {
    this.frame = frame;
    this.labels = labels ?? new Uint8Array(this.width * this.height);
    this.ids = new Set(ids);
    this.before = null;
    if (this.removed?.entry.frame === frame) {
      const { entry, labels: was } = this.removed;
      const all = { x0: 0, y0: 0, x1: this.width, y1: this.height };
      entry.change = diff(was, this.labels, this.width, all);
      this.removed = null;
    }
    this.stage.showLabels(this.labels);
    this.callbacks.onState();
  }

  /** Nothing can be drawn until a frame is opened. */
  close() {
    this.cancel();
    this.frame = -1;
    this.labels = null;
  }

  /** @param {boolean} remove @returns {import('./shapes.js').Paint} */
  paint(remove) {
    return paintOf(this.active, { remove, protect: this.protect });
  }

  /** Begins to change labels. */
  begin() {
    this.before = Uint8Array.from(this.labels);
    this.box = NOWHERE;
  }

  /** @param {import('./diff.js').Box} box where labels have changed */
  changed(box) {
    this.box = union(this.box, box);
    this.stage.touch(box);
  }

  /** Takes back what was changed since `begin`. */
  cancel() {
    if (!this.before) return;
    this.labels.set(this.before);
    this.before = null;
    this.stage.touch();
  }

  /**
   * Ends what was begun.
   *
   * @param {number[]} [more] objects of which the frame tells from now on
   */
  commit(more = []) {
    const before = this.before;
    if (!before) return;
    this.before = null;
    const change =
      this.box === NOWHERE
        ? null
        : diff(before, this.labels, this.width, this.box);
    const had = [...this.ids];
    for (const id of [...touched(change), ...more]) {
      if (this.known.has(id)) this.ids.add(id);
    }
    const has = [...this.ids];
    if (!change && had.length === has.length) return;
    const frame = this.frame;
    this.history.push({ frame, change, before: had, after: has });
    this.tell();
  }

  tell() {
    this.callbacks.onChange(this.frame, this.labels, [...this.ids].sort());
    this.callbacks.onState();
  }

  /**
   * @param {Uint8Array} mask 1 where the active object is painted, or removed
   * @param {boolean} remove
   */
  put(mask, remove) {
    this.begin();
    const paint = this.paint(remove);
    this.changed(
      paintMask(this.labels, this.width, this.height, mask, paint),
    );
    this.commit();
  }

  /** Says that the active object is not to be seen in this frame. */
  clear() {
    if (!this.isOpen) return;
    const everywhere = new Uint8Array(this.labels.length).fill(1);
    this.begin();
    const paint = this.paint(true);
    this.changed(
      paintMask(this.labels, this.width, this.height, everywhere, paint),
    );
    this.commit([this.active]);
  }

  /** Makes what is seen a mark, of all objects. */
  accept() {
    if (!this.labels) return;
    this.begin();
    this.commit([...new Set(this.labels)].filter((id) => id));
  }

  /** Forgets the mark of the frame; what was drawn can be had by `undo`. */
  unmark() {
    if (!this.labels || !this.ids.size || this.before) return;
    const before = [...this.ids];
    this.ids.clear();
    const entry = { frame: this.frame, change: null, before, after: [] };
    this.removed = { entry, labels: Uint8Array.from(this.labels) };
    this.history.push(entry);
    this.tell();
  }

  get canUndo() {
    return this.history.last !== undefined;
  }

  get canRedo() {
    return this.history.next !== undefined;
  }

  undo() {
    return this.travel('last', 'undo', 'before');
  }

  redo() {
    return this.travel('next', 'redo', 'after');
  }

  /** @param {'last' | 'next'} peek @param {'undo' | 'redo'} step
   *  @param {'before' | 'after'} to */
  async travel(peek, step, to) {
    const entry = this.history[peek];
    if (!entry || this.busy || this.before) return;
    this.busy = true;
    try {
      if (this.frame !== entry.frame) await this.callbacks.onGo(entry.frame);
      // Somebody went elsewhere meanwhile.
      if (this.frame !== entry.frame || !this.labels) return;
      this.history[step]();
      if (entry.change) {
        const box = apply(this.labels, this.width, entry.change, to);
        this.withoutUnknown(box);
        this.stage.touch(box);
      }
      this.ids = new Set(entry[to].filter((id) => this.known.has(id)));
      this.tell();
    } finally {
      this.busy = false;
    }
  }

  /** Takes objects out that were deleted since. */
  withoutUnknown({ x0, y0, x1, y1 }) {
    for (let y = y0; y < y1; y++) {
      for (let i = y * this.width + x0; i < y * this.width + x1; i++) {
        if (!this.known.has(this.labels[i])) this.labels[i] = 0;
      }
    }
  }
}
