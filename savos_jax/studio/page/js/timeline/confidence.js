/** How sure a video's masks are, frame by frame. */

/**
 * @param {number} count of frames
 * @param {Iterable<Float32Array>} objects how sure each object is, 0..1; NaN:
 *   unknown
 * @returns {Float32Array} the lowest of each frame; NaN: unknown
 */
export function lowest(count, objects) {
  const found = new Float32Array(count).fill(NaN);
  for (const each of objects) {
    for (let i = 0; i < count; i++) {
      if (!(found[i] <= each[i]) && !Number.isNaN(each[i])) found[i] = each[i];
    }
  }
  return found;
}

const AROUND = 1 / 40; // Of the video: doubtful frames are so far apart.

/**
 * Finds the frames to look at: each the least sure of those around it.
 *
 * @param {Float32Array} sure the lowest of each frame; NaN: unknown
 * @param {(frame: number) => boolean} isMarked these need no look
 * @returns {number[]} the least sure first
 */
export function doubtful(sure, isMarked) {
  const order = [...sure.keys()].filter(
    (i) => !Number.isNaN(sure[i]) && !isMarked(i),
  );
  order.sort((a, b) => sure[a] - sure[b] || a - b);
  const far = Math.max(2, Math.round(sure.length * AROUND));
  const taken = new Uint8Array(sure.length);
  const found = [];
  for (const i of order) {
    if (taken[i]) continue;
    found.push(i);
    taken.fill(1, Math.max(0, i - far), i + far + 1);
  }
  return found;
}

/**
 * @param {number[]} found from `doubtful`
 * @param {number} frame where one is
 * @param {number} step 1: less doubtful ones; -1: more
 * @returns {number | undefined} where to go
 */
export function nextDoubtful(found, frame, step) {
  const at = found.indexOf(frame);
  if (at < 0) return found[0];
  return found[(at + step + found.length) % found.length];
}

export const LOW = 0.7;
export const MIDDLE = 0.85;

/** @param {number} sure @returns {'low' | 'middle' | 'high'} */
export function level(sure) {
  if (sure < LOW) return 'low';
  return sure < MIDDLE ? 'middle' : 'high';
}
