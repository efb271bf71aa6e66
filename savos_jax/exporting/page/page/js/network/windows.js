/** A window around each object: `inference/zoom.py` in JavaScript. */

const { fround } = Math;
export const SMALLEST = 0.25; // Of the frame's sides.
export const INSIDE = 0.5; // Probability from which on a pixel is the object's.

/**
 * @param {Uint32Array} counts of pixels, by row or by column
 * @param {number} length of the frame
 * @param {number} stray share of the pixels that are left out at each end
 * @returns {[number, number]} begin and end
 */
function extent(counts, length, stray) {
  const total = counts.reduce((a, b) => a + b, 0);
  if (!total) return [0, length];
  const leftOut = fround(fround(stray) * total);
  const first = (list) => {
    let gone = 0;
    return list.findIndex((count) => (gone += count) > leftOut);
  };
  const end = counts.length - first(Uint32Array.from(counts).reverse());
  return [first(counts), end];
}

/**
 * @param {Float32Array} mask probabilities, [rows, columns] of `shape`
 * @param {import('./geometry.js').Size} shape
 * @returns {[Uint32Array, Uint32Array]} the object's pixels, by row and column
 */
function countsOf(mask, shape) {
  const rows = new Uint32Array(shape.height);
  const columns = new Uint32Array(shape.width);
  for (let y = 0, i = 0; y < shape.height; y++) {
    for (let x = 0; x < shape.width; x++, i++) {
      if (mask[i] > INSIDE) {
        rows[y]++;
        columns[x]++;
      }
    }
  }
  return [rows, columns];
}

/**
 * @param {Float32Array} mask probabilities, [rows, columns] of `shape`
 * @param {import('./geometry.js').Size} shape
 * @returns {[number, number][]} begin and end, of rows and columns; all of them
 *   where there is no object
 */
export function bounds(mask, shape) {
  const [rows, columns] = countsOf(mask, shape);
  return [extent(rows, shape.height, 0), extent(columns, shape.width, 0)];
}

/**
 * @param {Float32Array} mask probabilities, [padded height, padded width]
 * @param {import('./geometry.js').Geometry} geometry
 * @param {{zoom: number, stray?: number}} how of savos.json
 * @param {boolean} isLost the window is the frame then
 * @returns {import('./resampling.js').Box}
 */
export function windowOf(mask, { size, padded }, how, isLost = false) {
  const nowhere = new Float32Array(padded.height * padded.width);
  const [rows, columns] = countsOf(isLost ? nowhere : mask, padded);
  const stray = how.stray ?? 0;
  const [top, bottom] = extent(rows, size.height, stray);
  const [left, right] = extent(columns, size.width, stray);
  const part = Math.max(
    fround((bottom - top) / size.height), fround((right - left) / size.width),
  );
  const wanted = fround(fround(how.zoom) * part);
  const share = Math.min(1, Math.max(SMALLEST, wanted));
  const height = fround(share * size.height);
  const width = fround(share * size.width);
  const middle = (begin, end, side, whole) => {
    const from = fround(fround(begin + end - side) / 2);
    return Math.min(fround(whole - side), Math.max(0, from));
  };
  return [
    middle(top, bottom, height, size.height),
    middle(left, right, width, size.width),
    height,
    width,
  ];
}
