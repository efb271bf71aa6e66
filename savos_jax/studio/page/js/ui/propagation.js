/** The panel that has masks computed, and tells how far it is. */

import { announce, byId, radios, setBar } from './dom.js';

/** @typedef {{kind: string, state: string, done: number, total: number,
 *   fps: number, seconds_left: number | null, error?: string,
 *   files?: string[], note?: string}} Job */

const DIRECTIONS = [
  { name: 'backward', title: 'Backward', text: 'Back', icon: 'backward' },
  { name: 'both', title: '', text: 'Both', icon: 'both' },
  { name: 'forward', title: 'Forward', text: 'Forward', icon: 'forward' },
];

/** @param {number} seconds @returns {string} */
export function duration(seconds) {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/** @param {Job} job @param {string} before text until something is done */
export function progress(job, before) {
  if (!job.done) return before;
  const parts = [`${job.done} of ${job.total}`];
  if (job.fps) parts.push(`${job.fps.toFixed(1)}/s`);
  if (job.seconds_left !== null) {
    parts.push(`${duration(job.seconds_left)} left`);
  }
  return parts.join(' · ');
}

export class Propagation {
  /**
   * @param {object} callbacks
   * @param {(direction: string, end: number | 'mark' | null,
   *   again: boolean) => void} callbacks.onRun again: goes on with what was
   *   stopped
   * @param {() => void} callbacks.onStop
   * @param {{direction: string, both: string}} about the one that is chosen at
   *   first, and what both are
   */
  constructor(callbacks, about) {
    this.callbacks = callbacks;
    this.direction = about.direction;
    this.isRunning = false;
    this.ended = 0; // How many have.
    this.canGoOn = false;
    this.hasMarks = false;
    const all = DIRECTIONS.map((each) => ({
      ...each, title: each.title || about.both,
    }));
    this.shown = radios(byId('directions'), all, (name) => {
      this.choose(name);
    });
    this.shown(this.direction);
    const until = byId('until');
    until.addEventListener('change', () => {
      byId('until-frame').hidden = until.value !== 'frame';
      this.changed();
    });
    byId('until-frame').addEventListener('input', () => this.changed());
    byId('run').addEventListener('click', () => this.run());
    byId('stop').addEventListener('click', () => callbacks.onStop());
  }

  choose(direction) {
    this.direction = direction;
    this.shown(direction);
    this.changed();
  }

  /** The next direction. */
  turn() {
    const names = ['forward', 'both', 'backward'];
    const next = (names.indexOf(this.direction) + 1) % names.length;
    this.choose(names[next]);
    announce(`Direction: ${names[next]}`);
  }

  /** Something else is meant now than what was stopped. */
  changed() {
    this.canGoOn = false;
    this.update();
  }

  run() {
    if (this.isRunning || !this.hasMarks) return;
    const until = byId('until').value;
    const text = byId('until-frame').value;
    const end =
      until === 'mark' ? 'mark' : until === 'end' || !text ? null : Number(text);
    this.callbacks.onRun(this.direction, end, this.canGoOn);
  }

  /** @param {{hasMarks: boolean, stale: number}} facts */
  setFacts({ hasMarks, stale }) {
    this.hasMarks = hasMarks;
    this.stale = stale;
    this.update();
  }

  update() {
    byId('run').textContent = this.canGoOn ? 'Go on' : 'Propagate';
    byId('run').disabled = !this.hasMarks;
    byId('run').hidden = this.isRunning;
    let hint = '';
    if (!this.hasMarks) hint = 'Draw an object in a frame first.';
    else if (this.stale && !this.isRunning) {
      const frames = this.stale === 1 ? 'frame is' : 'frames are';
      hint = `${this.stale} ${frames} stale: what you drew changes them.`;
    }
    byId('hint').textContent = hint;
  }

  /** @param {Job | null} job */
  show(job) {
    const wasRunning = this.isRunning;
    this.isRunning = job?.state === 'running';
    byId('job').hidden = !this.isRunning;
    if (this.isRunning) {
      const share = job.total ? job.done / job.total : null;
      setBar(byId('job').querySelector('.bar'), job.done ? share : null);
      byId('job-text').textContent = progress(job, 'Starting the network');
      if (!wasRunning) announce('Propagating');
    } else if (job) {
      this.ended++;
      this.canGoOn = job.state === 'stopped';
      const what = { done: 'is done', stopped: 'was stopped' }[job.state];
      announce(`Propagation ${what ?? 'has failed'}`);
    }
    this.update();
  }
}
