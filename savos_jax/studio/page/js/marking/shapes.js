/**
 * Shapes painted into labels. A pixel is in a shape where its centre is; the
 * picture's coordinates are continuous: pixel 0 reaches from 0 to 1.
 */

import { clip } from './diff.js';

/** @typedef {import('./diff.js').Box} Box */

/**
 * @typedef {object} Paint
 * @property {number} value the label that is put
 * @property {Uint8Array} over of each of 256 labels, whether it may go
 */

/**
 * @param {number} id the active object
 * @param {{remove?: boolean, protect?: boolean}} how remove: takes it away;
 *   protect: leaves the pixels of other objects alone
 * @returns {Paint}
 */
export function paintOf(id, { remove = false, protect = false } = {}) {
  const over = new Uint8Array(256);
  if (remove) {
    over[id] = 1;
    return { value: 0, over };
  }
  if (protect) over[0] = over[id] = 1;
  else over.fill(1);
  return { value: id, over };
}

/**
 * Paints all that is near a line: a piece of a stroke of the brush.
 *
 * @param {Uint8Array} labels changed in place
 * @param {number} width
 * @param {number} height
 * @param {[number, number]} a
 * @param {[number, number]} b
 * @param {number} radius
 * @param {Paint} paint
 * @returns {Box} where it may have changed them
 */
export function paintLine(labels, width, height, a, b, radius, paint) {
  const box = clip(
    {
      x0: Math.floor(Math.min(a[0], b[0]) - radius),
      y0: Math.floor(Math.min(a[1], b[1]) - radius),
      x1: Math.ceil(Math.max(a[0], b[0]) + radius) + 1,
      y1: Math.ceil(Math.max(a[1], b[1]) + radius) + 1,
    },
    width,
    height,
  );
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
  const squared = dx * dx + dy * dy;
  for (let y = box.y0; y < box.y1; y++) {
    const py = y + 0.5 - a[1];
    for (let x = box.x0; x < box.x1; x++) {
      const px = x + 0.5 - a[0];
      let t = squared ? (px * dx + py * dy) / squared : 0;
      t = t < 0 ? 0 : t > 1 ? 1 : t;
      const [ex, ey] = [px - t * dx, py - t * dy];
      const i = y * width + x;
      if (ex * ex + ey * ey <= radius * radius && paint.over[labels[i]]) {
        labels[i] = paint.value;
      }
    }
  }
  return box;
}

/**
 * Fills a polygon, even-odd.
 *
 * @param {Uint8Array} labels changed in place
 * @param {number} width
 * @param {number} height
 * @param {[number, number][]} points
 * @param {Paint} paint
 * @returns {Box} where it may have changed them
 */
export function paintPolygon(labels, width, height, points, paint) {
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  const box = clip(
    {
      x0: Math.floor(Math.min(...xs)),
      y0: Math.floor(Math.min(...ys)),
      x1: Math.ceil(Math.max(...xs)),
      y1: Math.ceil(Math.max(...ys)),
    },
    width,
    height,
  );
  for (let y = box.y0; y < box.y1; y++) {
    const crossings = crossingsAt(points, y + 0.5);
    for (let k = 0; k + 1 < crossings.length; k += 2) {
      const from = Math.max(box.x0, Math.ceil(crossings[k] - 0.5));
      const to = Math.min(box.x1, Math.ceil(crossings[k + 1] - 0.5));
      for (let x = from; x < to; x++) {
        const i = y * width + x;
        if (paint.over[labels[i]]) labels[i] = paint.value;
      }
    }
  }
  return box;
}

/**
 * @param {[number, number][]} points
 * @param {number} y
 * @returns {number[]} where the polygon's sides cross a row, ascending
 */
function crossingsAt(points, y) {
  const found = [];
  let [bx, by] = points[points.length - 1];
  for (const [ax, ay] of points) {
    if (ay <= y !== by <= y) found.push(bx + ((y - by) / (ay - by)) * (ax - bx));
    [bx, by] = [ax, ay];
  }
  return found.sort((p, q) => p - q);
}

/**
 * Paints a box.
 *
 * @param {Uint8Array} labels changed in place
 * @param {number} width
 * @param {Box} box in the picture
 * @param {Paint} paint
 * @returns {Box} the same
 */
export function paintBox(labels, width, box, paint) {
  for (let y = box.y0; y < box.y1; y++) {
    for (let i = y * width + box.x0; i < y * width + box.x1; i++) {
      if (paint.over[labels[i]]) labels[i] = paint.value;
    }
  }
  return box;
}

/**
 * Paints where a mask is not 0.
 *
 * @param {Uint8Array} labels changed in place
 * @param {number} width
 * @param {number} height
 * @param {Uint8Array} mask of the same size
 * @param {Paint} paint
 * @returns {Box} where it may have changed them
 */
export function paintMask(labels, width, height, mask, paint) {
  for (let i = 0; i < mask.length; i++) {
    if (mask[i] && paint.over[labels[i]]) labels[i] = paint.value;
  }
  return { x0: 0, y0: 0, x1: width, y1: height };
}
