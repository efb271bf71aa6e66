/**
 * What the studio's server knows of a project, in this page: objects, marks,
 * and the masks that were found. It goes with the page.
 */

import { decode, encode } from '../png.js';
import { toldOf, Way } from './ways.js';

const MOST_OBJECTS = 254; // Ids are bytes; 255 is none.
// As `pictures/overlay.py` has them, and darker ones behind them.
const COLOURS = [
  [238, 51, 119], [51, 187, 238], [240, 228, 66], [0, 119, 187],
  [238, 119, 51], [0, 153, 136], [204, 51, 17],
];

/** @param {number} id @returns {string} #rrggbb */
function colourOf(id) {
  const shade = Math.floor((id - 1) / COLOURS.length);
  const scale = shade % 2 ? 0.55 : 1;
  const hex = (value) =>
    Math.floor(scale * value).toString(16).padStart(2, '0');
  return `#${COLOURS[(id - 1) % COLOURS.length].map(hex).join('')}`;
}

/** @param {number[]} indices ascending @returns {[number, number][]} runs */
function ranges(indices) {
  const runs = [];
  for (const index of indices) {
    if (runs.at(-1)?.[1] === index - 1) runs.at(-1)[1] = index;
    else runs.push([index, index]);
  }
  return runs;
}

const ascending = (keys) => [...keys].sort((a, b) => a - b);

/**
 * @typedef {object} Result what was found in a frame
 * @property {Blob} png its labels
 * @property {string} key what they depend on
 * @property {Record<number, number>} confidences
 */

export class Project {
  /** @param {import('./media.js').Video} video */
  constructor(video) {
    this.video = video;
    this.objects = [];
    this.made = 0; // Objects, those that were deleted among them.
    /** @type {Map<number, import('./ways.js').Told>} */
    this.told = new Map();
    /** @type {Map<number, Result>} */
    this.results = new Map();
    this.setWays();
  }

  /** Called whenever marks or objects are others. */
  setWays() {
    const ends = this.objects.filter(({ until }) => until !== null);
    const until = new Map(ends.map((each) => [each.id, each.until]));
    this.forward = new Way(this.told, until, true);
    this.backward = new Way(this.told, until, false);
  }

  // --- What is told of it. ---------------------------------------------------

  /** @returns {object} as `GET /api/project` of the studio has it */
  view() {
    const { name, count, width, height, fps, times } = this.video;
    const video = { name, frames: count, width, height, fps };
    if (times) video.times = times;
    return { video, objects: this.objects, ...this.marked() };
  }

  /** @returns {object} marks, and which frames are computed and stale */
  marked() {
    const marks = {};
    for (const index of ascending(this.told.keys())) {
      const { ids, absent } = this.told.get(index);
      marks[index] = ascending([...ids, ...absent]);
    }
    const computed = ascending(this.results.keys());
    const isStale = (index) =>
      !this.told.has(index) &&
      !this.keys(index).includes(this.results.get(index).key);
    const confidence = Object.fromEntries(
      this.objects.map(({ id }) => [
        id,
        computed
          .filter((index) => id in this.results.get(index).confidences)
          .map((index) => [index, this.results.get(index).confidences[id]]),
      ]),
    );
    return {
      marks,
      computed: ranges(computed),
      stale: ranges(computed.filter(isStale)),
      confidence,
    };
  }

  /** @param {number} index @returns {(string | null)[]} of both directions */
  keys(index) {
    return [this.forward.key(index), this.backward.key(index)];
  }

  /** @param {number} index
   *  @returns {Promise<Uint8Array | null>} what is seen */
  async labels(index) {
    const result = this.results.get(index);
    const told = this.told.get(index);
    if (!result && !told) return null;
    const found = result
      ? (await decode(await result.png.arrayBuffer())).labels
      : new Uint8Array(this.video.width * this.video.height);
    const known = new Set(this.objects.map(({ id }) => id));
    const said = new Set(told ? [...told.ids, ...told.absent] : []);
    return found.map((id, i) => {
      if (told && said.has(told.labels[i])) return told.labels[i];
      return known.has(id) && !said.has(id) ? id : 0;
    });
  }

  // --- What a person does. ---------------------------------------------------

  /** @param {number} index @param {Uint8Array} labels @param {number[]} ids */
  mark(index, labels, ids) {
    const known = this.objects.map(({ id }) => id);
    const told = toldOf(labels, ids.filter((id) => known.includes(id)));
    if (told.ids.length || told.absent.length) this.told.set(index, told);
    else this.told.delete(index);
    this.setWays();
  }

  /** @param {number} index */
  unmark(index) {
    this.told.delete(index);
    this.setWays();
  }

  addObject() {
    if (this.made >= MOST_OBJECTS) {
      throw new Error(`There can be ${MOST_OBJECTS} objects at most.`);
    }
    const id = ++this.made;
    const object = {
      id, name: `object ${id}`, color: colourOf(id), until: null,
    };
    this.objects.push(object);
    return object;
  }

  /** @param {number} id @param {object} changes @returns {object} the object */
  changeObject(id, changes) {
    const at = this.objects.findIndex((each) => each.id === id);
    this.objects[at] = { ...this.objects[at], ...changes };
    this.setWays();
    return this.objects[at];
  }

  /** @param {number} id */
  deleteObject(id) {
    this.objects = this.objects.filter((each) => each.id !== id);
    for (const [index, { labels, ids, absent }] of [...this.told]) {
      if (ids.includes(id) || absent.includes(id)) {
        this.mark(index, labels, [...ids, ...absent]);
      }
    }
    this.setWays();
  }

  // --- Propagation. ----------------------------------------------------------

  /**
   * @param {string} direction 'forward', 'backward' or 'both'
   * @param {number} from where the person is
   * @param {number | 'mark' | null} to
   * @returns {[number, number]} the first and the last frame that are meant
   */
  range(direction, from, to) {
    let [low, high] = [0, this.video.count - 1];
    const marked = ascending(this.told.keys());
    if (to === 'mark') {
      low = marked.findLast((i) => i < from) ?? low;
      high = marked.find((i) => i > from) ?? high;
    } else if (to !== null) {
      const wrong = { forward: to < from, backward: to > from };
      if (wrong[direction]) {
        throw new Error(`Frame ${to} is on the other side.`);
      }
      [low, high] = [Math.min(from, to), Math.max(from, to)];
    }
    if (direction === 'forward') low = from;
    if (direction === 'backward') high = from;
    return [low, high];
  }

  /**
   * @param {string} direction
   * @param {number} first
   * @param {number} last
   * @returns {{way: Way, frames: number[]}[]} what has to be computed
   */
  needed(direction, first, last) {
    const lists = [
      { way: this.forward, frames: [] }, { way: this.backward, frames: [] },
    ];
    const isThere = (index, key) => this.results.get(index)?.key === key;
    let isFollowed = false;
    for (let index = first; index <= last; index++) {
      const [forward, backward] = this.keys(index);
      // Both ways: backwards, where forwards nothing is followed yet.
      const isBack =
        direction === 'backward' || (direction === 'both' && !forward);
      const key = isBack ? backward : forward;
      isFollowed ||= key !== null;
      if (key && !isThere(index, key)) lists[Number(isBack)].frames.push(index);
    }
    if (!isFollowed) {
      throw new Error(
        `Nothing is marked that could be followed in frames ${first} to ` +
          `${last}.\nDraw an object in a frame: the brush paints one.`,
      );
    }
    for (const { way, frames } of lists) this.addPassed(way, frames);
    return lists.filter(({ frames }) => frames.length);
  }

  /** Adds frames that are passed on the way and have no mask of today. */
  addPassed(way, frames) {
    if (!frames.length) return;
    const there = new Set(frames);
    const farthest = way.forwards ? frames[0] : frames.at(-1);
    const start = way.chain(farthest)[0].index;
    const low = Math.min(start, frames[0]);
    const high = Math.max(start, frames.at(-1));
    for (let index = low; index <= high; index++) {
      if (there.has(index) || !way.key(index)) continue;
      const key = this.results.get(index)?.key;
      if (!this.keys(index).includes(key)) frames.push(index);
    }
    frames.sort((a, b) => a - b);
  }

  /** @param {import('./propagation.js').Found} found */
  async keep({ index, key, labels, confidences }) {
    const { width, height } = this.video;
    const png = await encode(labels, width, height);
    this.results.set(index, { png, key, confidences });
  }
}
