/**
 * Sends marks to where they are kept, one after the other, and never loses
 * one: what could not be sent is sent again until it is. It knows of no server:
 * `put` and `remove` do.
 */

/**
 * @typedef {object} Mark
 * @property {Uint8Array} labels
 * @property {number[]} ids none: the mark is to go
 */

/**
 * @typedef {object} Callbacks
 * @property {(frame: number, mark: Mark) => Promise<any>} send
 * @property {(frame: number, answer: any) => void} onSaved
 * @property {(error: any) => boolean} isPassing whether to try it again
 * @property {(error: any) => void} onRefused it was given up
 * @property {(state: 'saved' | 'saving' | 'waiting') => void} onState waiting:
 *   it could not be sent, and will be tried again
 */

const SOON = 120; // Milliseconds: strokes that follow each other go together.
const FIRST = 500;
const LONGEST = 5000;

export class Saving {
  /** @param {Callbacks} callbacks */
  constructor(callbacks) {
    this.callbacks = callbacks;
    /** @type {Map<number, Mark>} */
    this.marks = new Map();
    this.wait = FIRST;
    this.timer = 0;
    this.sending = false;
    /** @type {(() => void)[]} who waits until all is saved */
    this.flushed = [];
  }

  /** @param {number} frame @returns {Mark | undefined} what is not saved yet */
  get(frame) {
    return this.marks.get(frame);
  }

  get isEmpty() {
    return !this.marks.size;
  }

  /** @param {number} frame @param {Uint8Array} labels copied
   *  @param {number[]} ids */
  add(frame, labels, ids) {
    this.marks.delete(frame);
    this.marks.set(frame, { labels: Uint8Array.from(labels), ids });
    this.callbacks.onState('saving');
    this.later(SOON);
  }

  later(wait) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.run(), wait);
  }

  /** Tries at once. */
  now() {
    this.wait = FIRST;
    if (this.marks.size) this.later(0);
  }

  /** @returns {Promise<void>} when all is saved, or was refused */
  flush() {
    if (this.isEmpty) return Promise.resolve();
    this.now();
    return new Promise((resolve) => this.flushed.push(resolve));
  }

  async run() {
    if (this.sending) return;
    this.sending = true;
    try {
      while (this.marks.size) await this.sendFirst();
      this.callbacks.onState('saved');
      for (const resolve of this.flushed.splice(0)) resolve();
    } catch {
      this.callbacks.onState('waiting');
      this.later(this.wait);
      this.wait = Math.min(LONGEST, this.wait * 1.6);
    } finally {
      this.sending = false;
    }
  }

  /** Throws what was passing; what was refused for good goes. */
  async sendFirst() {
    const [frame, mark] = this.marks.entries().next().value;
    const { callbacks } = this;
    try {
      const answer = await callbacks.send(frame, mark);
      this.wait = FIRST;
      this.forget(frame, mark);
      callbacks.onSaved(frame, answer);
    } catch (error) {
      if (callbacks.isPassing(error)) throw error;
      this.forget(frame, mark);
      callbacks.onRefused(error);
    }
  }

  /** Unless something else was drawn there meanwhile. */
  forget(frame, mark) {
    if (this.marks.get(frame) === mark) this.marks.delete(frame);
  }
}
