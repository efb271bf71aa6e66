/** One answer of all objects: `inference/aggregation.py` in JavaScript. */

const { fround } = Math;
const EPSILON = fround(1e-7); // Odds of 0 and 1 are not finite.

const oddsOf = (p) => {
  const inside = Math.min(fround(1 - EPSILON), Math.max(EPSILON, p));
  return inside / (1 - inside);
};

/**
 * Eq. 5: each object's share of all odds, the background's among them.
 *
 * @param {Float32Array[]} objects probabilities of each on its own
 * @param {'product' | 'max'} background
 * @returns {Float32Array[]}
 */
function softmax(objects, background) {
  const count = objects.length;
  const out = objects.map((p) => new Float32Array(p.length));
  const odds = new Float64Array(count + 1);
  for (let i = 0; i < objects[0].length; i++) {
    let [product, most] = [1, 0];
    for (const p of objects) {
      product = fround(product * fround(1 - p[i]));
      most = Math.max(most, p[i]);
    }
    const behind = background === 'max' ? fround(1 - most) : product;
    let total = (odds[count] = oddsOf(behind));
    for (let k = 0; k < count; k++) {
      total += odds[k] = oddsOf(objects[k][i]);
    }
    for (let k = 0; k < count; k++) out[k][i] = odds[k] / total;
  }
  return out;
}

/** @param {Float32Array[]} objects
 *  @returns {Float32Array[]} the largest alone */
function winnerTakesAll(objects) {
  return objects.map((mine, k) =>
    mine.map((p, i) => {
      const isFirst = objects.every((other, j) =>
        j < k ? other[i] < p : other[i] <= p,
      );
      return isFirst ? p : 0;
    }),
  );
}

/**
 * @param {Float32Array[]} objects probabilities of each on its own
 * @param {{aggregation: string, background: 'product' | 'max'}} how of
 *   savos.json
 * @returns {Float32Array[]} what guides the next frame
 */
export function aggregate(objects, { aggregation, background }) {
  if (objects.length < 2 || aggregation === 'independent') return objects;
  if (aggregation === 'winner_takes_all') return winnerTakesAll(objects);
  return softmax(objects, background);
}

/**
 * @param {Float32Array[]} objects from `aggregate`
 * @param {string} mode of the aggregation
 * @returns {Uint8Array} 1 + the most probable one, 0: the background
 */
export function labelsOf(objects, mode) {
  const out = new Uint8Array(objects[0].length);
  for (let i = 0; i < out.length; i++) {
    let [best, most, sum] = [0, -1, 0];
    for (let k = 0; k < objects.length; k++) {
      const p = objects[k][i];
      sum = fround(sum + p);
      if (p > most) [best, most] = [k, p];
    }
    const behind = fround(1 - (mode === 'softmax' ? sum : most));
    if (most > behind) out[i] = best + 1;
  }
  return out;
}

/**
 * @param {Float32Array} mask from `aggregate`
 * @param {import('./geometry.js').Geometry} geometry
 * @returns {number} the mean probability of its pixels; 0: it has none
 */
export function confidence(mask, { size, padded }) {
  let [total, count] = [0, 0];
  for (let y = 0; y < size.height; y++) {
    const row = y * padded.width;
    for (let i = row; i < row + size.width; i++) {
      if (!(mask[i] <= 0.5)) {
        total += mask[i];
        count++;
      }
    }
  }
  return total / Math.max(1, count);
}
