/** Something that is being done, as the page is told of it. */

import { tell } from '../server/events.js';

const TELL_EVERY = 200; // Milliseconds.

export class Job {
  /** @param {'propagate' | 'export'} kind @param {number} total */
  constructor(kind, total) {
    this.kind = kind;
    this.total = total;
    this.done = 0;
    this.isStopped = false;
    this.first = 0; // When the first step was done.
    this.told = 0;
    this.say('running');
  }

  get isRunning() {
    return this.state === 'running';
  }

  /** One step more is done. */
  advance() {
    const now = performance.now();
    this.first ||= now;
    this.done++;
    if (now - this.told >= TELL_EVERY) this.say('running');
  }

  /**
   * @param {'running' | 'done' | 'stopped' | 'failed'} state
   * @param {object} [more] to be told
   */
  say(state, more = {}) {
    const now = performance.now();
    this.state = state;
    this.told = now;
    // What comes before the first step is loading.
    const seconds = (now - this.first) / 1000;
    const fps = this.done > 1 && seconds ? (this.done - 1) / seconds : 0;
    const { kind, total, done } = this;
    const facts = {
      kind, state, total, done, fps,
      seconds_left: fps ? (total - done) / fps : null,
    };
    tell({ type: 'job', ...facts, ...more });
  }
}
