/**
 * What the masks of a frame depend on, as a key of each frame: what
 * `studio/chains.py` tells, in JavaScript. A mask is stale where its frame has
 * another key now.
 */

/**
 * @typedef {object} Told what a person says of a frame
 * @property {number[]} ids objects that are drawn, ascending
 * @property {number[]} absent objects that are not there, ascending
 * @property {Uint8Array} labels
 * @property {string} digest of all of it
 */

/**
 * @typedef {object} Event
 * @property {number} index of the frame
 * @property {string} key of this frame and all up to the next event
 * @property {Told | null} told
 * @property {boolean} begins whether the tracker begins anew
 * @property {number[]} dropped objects that are followed no longer from here on
 */

/** @param {Iterable<number>} numbers @returns {string} 53 bits (cyrb53) */
function digest(numbers) {
  let [a, b] = [0xdeadbeef, 0x41c6ce57];
  for (const n of numbers) {
    a = Math.imul(a ^ n, 2654435761);
    b = Math.imul(b ^ n, 1597334677);
  }
  const mixed = (x, y) =>
    Math.imul(x ^ (x >>> 16), 2246822507) ^
    Math.imul(y ^ (y >>> 13), 3266489909);
  a = mixed(a, b);
  b = mixed(b, a);
  return (4294967296 * (2097151 & b) + (a >>> 0)).toString(36);
}

const digestOfText = (text) => digest(new TextEncoder().encode(text));

/**
 * @param {Uint8Array} labels
 * @param {number[]} named objects that the frame tells of
 * @returns {Told}
 */
export function toldOf(labels, named) {
  const sorted = [...new Set(named)].sort((a, b) => a - b);
  const drawn = labels.map((id) => (sorted.includes(id) ? id : 0));
  const seen = new Set(drawn);
  const ids = sorted.filter((id) => seen.has(id));
  const absent = sorted.filter((id) => !seen.has(id));
  return { ids, absent, labels: drawn, digest: digest(drawn) };
}

/**
 * @param {Told} told
 * @param {number} index of its frame
 * @param {Map<number, number>} until object -> where it is followed no longer
 * @returns {Told | null} what is left of it
 */
function left(told, index, until) {
  const stays = (id) => index < (until.get(id) ?? Infinity);
  const [ids, absent] = [told.ids.filter(stays), told.absent.filter(stays)];
  return ids.length || absent.length ? { ...told, ids, absent } : null;
}

/** A direction in which a video is followed. */
export class Way {
  /**
   * @param {Map<number, Told>} told
   * @param {Map<number, number>} until
   * @param {boolean} forwards
   */
  constructor(told, until, forwards) {
    this.forwards = forwards;
    const marks = new Map();
    for (const [index, each] of told) {
      const rest = left(each, index, until);
      if (rest) marks.set(index, rest);
    }
    const ends = new Set(forwards ? until.values() : []);
    const places = [...new Set([...marks.keys(), ...ends])];
    places.sort((a, b) => this.place(a) - this.place(b));
    /** @type {Event[]} */
    this.events = [];
    let followed = new Set();
    for (const index of places) {
      const dropped = [...followed].filter(
        (id) => forwards && until.get(id) === index,
      );
      for (const id of dropped) followed.delete(id);
      const said = marks.get(index) ?? null;
      const holds = said && [...followed].every((id) => said.ids.includes(id));
      const begins = Boolean(holds && said.ids.length);
      if (!begins && !this.events.length) continue; // Nothing is followed yet.
      if (!said && !dropped.length) continue;
      const before = begins ? '' : this.events.at(-1).key;
      const key = digestOfText(JSON.stringify([
        before, index, said && [said.ids, said.absent, said.digest],
        begins ? [] : dropped,
      ]));
      const event = { index, key, told: said, begins, dropped };
      this.events.push(begins ? { ...event, dropped: [] } : event);
      followed = new Set([...followed, ...(said?.ids ?? [])]);
    }
  }

  /** @param {number} index @returns {number} grows along the way */
  place(index) {
    return this.forwards ? index : -index;
  }

  last(index) {
    const place = this.place(index);
    return this.events.findLastIndex((each) => this.place(each.index) <= place);
  }

  /** @param {number} index
   *  @returns {string | null} null: nothing is followed */
  key(index) {
    const last = this.last(index);
    return last < 0 ? null : this.events[last].key;
  }

  /** @param {number} index @returns {Event[]} from where the tracker begins */
  chain(index) {
    const last = this.last(index);
    if (last < 0) return [];
    let first = last;
    while (first > 0 && !this.events[first].begins) first--;
    return this.events.slice(first, last + 1);
  }
}
