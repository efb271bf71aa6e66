/** What the page knows of the project, as the server has told it. */

import { doubtful, lowest } from './timeline/confidence.js';

/** @typedef {{id: number, name: string, color: string,
 *   until: number | null, hidden?: boolean}} Thing */

/** @param {[number, number][]} ranges first and last @param {number} count */
function flags(ranges, count) {
  const found = new Uint8Array(count);
  for (const [first, last] of ranges) found.fill(1, first, last + 1);
  return found;
}

export class Model {
  constructor() {
    /** @type {null | {name: string, frames: number, width: number,
     *   height: number, fps: number | null, times?: number[],
     *   pixel_aspect?: number}} */
    this.video = null;
    /** @type {Thing[]} */
    this.objects = [];
    /** @type {Map<number, number[]>} */
    this.marks = new Map();
    this.computed = new Uint8Array();
    this.stale = new Uint8Array();
    /** @type {Map<number, Float32Array>} object -> how sure, frame by frame */
    this.confidence = new Map();
    this.sure = new Float32Array();
    this.formats = [];
    this.formatsSay = {};
    this.hidden = new Set();
  }

  get count() {
    return this.video?.frames ?? 0;
  }

  /** Width of a pixel by its height. */
  get aspect() {
    return this.video?.pixel_aspect ?? 1;
  }

  /** @param {object} project as GET /api/project answers */
  setProject(project) {
    this.video = project.video;
    this.formats = project.formats;
    this.formatsSay = project.formats_say ?? {};
    this.setObjects(project.objects);
    this.setMarks(project);
    this.confidence = new Map();
    for (const [id, pairs] of Object.entries(project.confidence ?? {})) {
      const values = new Float32Array(this.count).fill(NaN);
      for (const [frame, value] of pairs) values[frame] = value;
      this.confidence.set(Number(id), values);
    }
    this.measure();
  }

  /** @param {Thing[]} objects */
  setObjects(objects) {
    this.objects = objects.map((each) => ({
      ...each,
      hidden: this.hidden.has(each.id),
    }));
  }

  /** @param {{marks: object, computed: [number, number][],
   *   stale: [number, number][]}} told */
  setMarks({ marks, computed, stale }) {
    const pairs = Object.entries(marks).map(([i, ids]) => [Number(i), ids]);
    this.marks = new Map(pairs.sort(([a], [b]) => a - b));
    this.computed = flags(computed, this.count);
    this.stale = flags(stale, this.count);
  }

  /** @param {number} frame just computed @param {object} confidence */
  setFrame(frame, confidence) {
    this.computed[frame] = 1;
    this.stale[frame] = 0;
    for (const values of this.confidence.values()) values[frame] = NaN;
    let low = NaN;
    for (const [key, value] of Object.entries(confidence)) {
      const id = Number(key);
      if (!this.confidence.has(id)) {
        this.confidence.set(id, new Float32Array(this.count).fill(NaN));
      }
      this.confidence.get(id)[frame] = value;
      if (!(low <= value)) low = value;
    }
    this.sure[frame] = low;
  }

  measure() {
    this.sure = lowest(this.count, this.confidence.values());
  }

  /** @returns {number[]} frames to look at, the least sure first */
  doubtful() {
    return doubtful(this.sure, (i) => this.marks.has(i));
  }

  /** @param {number} id @returns {Thing | undefined} */
  object(id) {
    return this.objects.find((each) => each.id === id);
  }

  /** @param {number} frame @returns {number | null} seconds from the begin */
  time(frame) {
    const { times, fps } = this.video;
    return times ? times[frame] : fps ? frame / fps : null;
  }

  /** @param {number} frame @param {1 | -1} step @returns {number | undefined} */
  nextMark(frame, step) {
    const all = [...this.marks.keys()];
    if (step > 0) return all.find((i) => i > frame);
    return all.findLast((i) => i < frame);
  }

  /** What the timeline draws. */
  facts() {
    const { width, height } = this.video;
    return {
      count: this.count,
      aspect: (width * this.aspect) / height,
      marks: this.marks,
      computed: this.computed,
      stale: this.stale,
      sure: this.sure,
      objects: this.objects,
    };
  }
}
