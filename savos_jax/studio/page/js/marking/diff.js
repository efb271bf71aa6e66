/**
 * What one change did to an array of labels, in runs along the rows.
 *
 * A label array is a Uint8Array of width * height object ids, 0 = background.
 */

/** @typedef {{x0: number, y0: number, x1: number, y1: number}} Box
 *  Pixels x0 <= x < x1, y0 <= y < y1. */

/**
 * @typedef {object} Change
 * @property {Uint32Array} starts where each run begins
 * @property {Uint32Array} lengths how many pixels it has
 * @property {Uint8Array} before the label that these had
 * @property {Uint8Array} after the label that they have
 */

/** @type {Box} */
export const NOWHERE = { x0: Infinity, y0: Infinity, x1: -1, y1: -1 };

/**
 * @param {Box} a
 * @param {Box} b
 * @returns {Box} the smallest box around both
 */
export function union(a, b) {
  return {
    x0: Math.min(a.x0, b.x0),
    y0: Math.min(a.y0, b.y0),
    x1: Math.max(a.x1, b.x1),
    y1: Math.max(a.y1, b.y1),
  };
}

/**
 * @param {Box} box
 * @param {number} width
 * @param {number} height
 * @returns {Box} the part of it that is in the picture
 */
export function clip(box, width, height) {
  return {
    x0: Math.max(0, box.x0),
    y0: Math.max(0, box.y0),
    x1: Math.min(width, box.x1),
    y1: Math.min(height, box.y1),
  };
}

/** @param {Box} box @returns {boolean} */
export const isEmpty = (box) => box.x1 <= box.x0 || box.y1 <= box.y0;

/**
 * @param {Uint8Array} before
 * @param {Uint8Array} after
 * @param {number} width of the picture
 * @param {Box} box outside of which nothing differs
 * @returns {Change | null} null: nothing differs
 */
export function diff(before, after, width, box) {
  const starts = [];
  const lengths = [];
  const was = [];
  const is = [];
  for (let y = box.y0; y < box.y1; y++) {
    const end = y * width + box.x1;
    let i = y * width + box.x0;
    while (i < end) {
      const [b, a] = [before[i], after[i]];
      if (a === b) {
        i++;
        continue;
      }
      const start = i;
      while (i < end && before[i] === b && after[i] === a) i++;
      starts.push(start);
      lengths.push(i - start);
      was.push(b);
      is.push(a);
    }
  }
  if (!starts.length) return null;
  return {
    starts: Uint32Array.from(starts),
    lengths: Uint32Array.from(lengths),
    before: Uint8Array.from(was),
    after: Uint8Array.from(is),
  };
}

/**
 * Does a change again, or takes it back.
 *
 * @param {Uint8Array} labels changed in place
 * @param {number} width of the picture
 * @param {Change} change
 * @param {'before' | 'after'} to
 * @returns {Box} where labels may be others now
 */
export function apply(labels, width, change, to) {
  let box = NOWHERE;
  for (let run = 0; run < change.starts.length; run++) {
    const start = change.starts[run];
    const end = start + change.lengths[run];
    labels.fill(change[to][run], start, end);
    const [x, y] = [start % width, Math.floor(start / width)];
    box = union(box, { x0: x, y0: y, x1: x + end - start, y1: y + 1 });
  }
  return box;
}

/**
 * @param {Change | null} change
 * @returns {Set<number>} the objects that gained or lost pixels
 */
export function touched(change) {
  const ids = new Set(change ? [...change.before, ...change.after] : []);
  ids.delete(0);
  return ids;
}
