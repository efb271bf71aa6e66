/** What is decoded finely: `inference/focus.py` in JavaScript. */

import { bounds, INSIDE } from './windows.js';

const STRIDE = 8; // Pixels per cell.

/**
 * @typedef {object} Region in cells
 * @property {number} top
 * @property {number} left
 * @property {number} rows
 * @property {number} columns
 */

/**
 * @param {Float32Array} mask as the network sees it
 * @param {import('./geometry.js').Size} view its size, pixels
 * @param {number} focus ratio of the region's larger side to the
 *   object's; 0: all
 * @returns {Region}
 */
export function regionOf(mask, view, focus) {
  const [down, across] = bounds(mask, view);
  const margins = (focus - 1) * Math.max(...[down, across].map(([a, b]) => b - a));
  const along = ([begin, end], length) => {
    const cells = length / STRIDE;
    const wanted = Math.ceil((end - begin + margins) / STRIDE) + 1;
    const side = focus ? Math.min(wanted, cells) : cells;
    const first = Math.floor((begin + end) / (2 * STRIDE) - side / 2 + 0.5);
    return [Math.min(Math.max(first, 0), cells - side), side];
  };
  const [top, rows] = along(down, view.height);
  const [left, columns] = along(across, view.width);
  return { top, left, rows, columns };
}

/**
 * @param {Float32Array} found in the region
 * @param {Region} region
 * @param {import('./geometry.js').Size} view
 * @returns {Float32Array} in the view; 0 outside the region
 */
export function placed(found, { top, left, rows, columns }, view) {
  const width = STRIDE * columns;
  const all = new Float32Array(view.height * view.width);
  for (let y = 0; y < STRIDE * rows; y++) {
    const row = found.subarray(y * width, (y + 1) * width);
    all.set(row, (STRIDE * top + y) * view.width + STRIDE * left);
  }
  return all;
}

/**
 * @param {Float32Array} found in the region
 * @param {Region} region
 * @param {import('./geometry.js').Size} view
 * @returns {boolean} whether the object may continue outside of the region
 */
export function leaves(found, { top, left, rows, columns }, view) {
  const [height, width] = [STRIDE * rows, STRIDE * columns];
  const touches = (first, step, count) => {
    for (let k = 0, i = first; k < count; k++, i += step) {
      if (found[i] > INSIDE) return true;
    }
    return false;
  };
  const below = view.height - STRIDE * top - height;
  const right = view.width - STRIDE * left - width;
  return (
    (top > 0 && touches(0, 1, width))
    || (below > 0 && touches((height - 1) * width, 1, width))
    || (left > 0 && touches(0, width, height))
    || (right > 0 && touches(width - 1, width, height))
  );
}

/** @param {number} first @param {number} count @returns {Int32Array} */
export function cells(first, count) {
  return Int32Array.from({ length: count }, (_, i) => first + i);
}
