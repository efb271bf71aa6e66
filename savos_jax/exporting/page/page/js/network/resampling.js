/**
 * Pictures at other sizes. Numbers are rounded to float32 where Python's are:
 * a mask must not depend on who makes it.
 */

const { fround } = Math;
const LEAST = 1000 * 2 ** -23; // Weights that add up to less are none.

/**
 * @typedef {object} Taps what each pixel of a resampled axis is made of
 * @property {Int32Array} places [count * reach]
 * @property {Float32Array} weights [count * reach]
 * @property {number} reach
 */

/**
 * @typedef {object} Picture
 * @property {Uint8Array | Uint8ClampedArray | Float32Array} data [height,
 *   width, channels]
 * @property {number} height
 * @property {number} width
 * @property {number} channels
 */

/**
 * As `jax.image.scale_and_translate` has it: linear; a pixel that gets smaller
 * averages its area.
 *
 * @param {number} length of the axis
 * @param {number} count of pixels that are made
 * @param {number} scale what a pixel becomes, pixels
 * @param {number} shift where the first one goes
 * @returns {Taps}
 */
export function taps(length, count, scale, shift) {
  const inverse = fround(1 / fround(scale));
  const wide = Math.max(inverse, 1);
  const offset = fround(fround(fround(shift) * inverse) + 0.5);
  const reach = Math.ceil(2 * wide) + 1;
  const places = new Int32Array(count * reach);
  const weights = new Float32Array(count * reach);
  for (let i = 0; i < count; i++) {
    const centre = fround(fround(fround(i + 0.5) * inverse) - offset);
    const first = Math.ceil(fround(centre - wide));
    let total = 0;
    for (let k = 0; k < reach; k++) {
      const place = first + k;
      const isInside = place >= 0 && place < length;
      const far = fround(fround(Math.abs(fround(centre - place))) / wide);
      const weight = isInside ? Math.max(0, fround(1 - far)) : 0;
      places[i * reach + k] = Math.min(length - 1, Math.max(0, place));
      weights[i * reach + k] = weight;
      total = fround(total + weight);
    }
    const isSeen = centre >= -0.5 && centre <= length - 0.5 && total > LEAST;
    for (let k = i * reach; k < (i + 1) * reach; k++) {
      weights[k] = isSeen ? weights[k] / total : 0;
    }
  }
  return { places, weights, reach };
}

/**
 * As OpenCV's INTER_AREA has it: each pixel averages the part that it covers.
 *
 * @param {number} length
 * @param {number} count no more than `length`
 * @returns {Taps}
 */
export function areas(length, count) {
  const scale = length / count;
  const reach = Math.ceil(scale) + 1;
  const places = new Int32Array(count * reach);
  const weights = new Float32Array(count * reach);
  for (let i = 0; i < count; i++) {
    const [begin, end] = [i * scale, Math.min(length, (i + 1) * scale)];
    const first = Math.floor(begin);
    for (let k = 0; k < reach; k++) {
      const place = first + k;
      const part = Math.min(place + 1, end) - Math.max(place, begin);
      places[i * reach + k] = Math.min(length - 1, place);
      weights[i * reach + k] = Math.max(0, part) / (end - begin);
    }
  }
  return { places, weights, reach };
}

/**
 * Linear without antialias, half-pixel centres: what enlarges.
 *
 * @param {number} length
 * @param {number} count
 * @returns {Taps}
 */
export function enlarging(length, count) {
  const places = new Int32Array(2 * count);
  const weights = new Float32Array(2 * count);
  for (let i = 0; i < count; i++) {
    const centre = fround(((i + 0.5) * length) / count - 0.5);
    const first = Math.floor(centre);
    for (const k of [0, 1]) {
      const place = Math.min(length - 1, Math.max(0, first + k));
      places[2 * i + k] = place;
      weights[2 * i + k] = k ? centre - first : 1 - (centre - first);
    }
  }
  return { places, weights, reach: 2 };
}

/**
 * @param {Picture} picture
 * @param {Taps} rows
 * @param {Taps} columns
 * @returns {Float32Array} [rows, columns, channels]
 */
export function resampled({ data, width, channels }, rows, columns) {
  const height = rows.places.length / rows.reach;
  const across = columns.places.length / columns.reach;
  // Columns that are not seen are not added up.
  const used = columns.places.filter((_, k) => columns.weights[k] > 0);
  const out = new Float32Array(height * across * channels);
  if (!used.length) return out;
  const begin = used.reduce((a, b) => Math.min(a, b)) * channels;
  const end = (used.reduce((a, b) => Math.max(a, b)) + 1) * channels;
  const line = new Float32Array(width * channels);
  for (let y = 0; y < height; y++) {
    line.fill(0, begin, end);
    for (let k = y * rows.reach; k < (y + 1) * rows.reach; k++) {
      const weight = rows.weights[k];
      if (!weight) continue;
      const from = rows.places[k] * width * channels;
      for (let x = begin; x < end; x++) line[x] += weight * data[from + x];
    }
    for (let x = 0; x < across; x++) {
      const to = (y * across + x) * channels;
      for (let k = x * columns.reach; k < (x + 1) * columns.reach; k++) {
        const weight = columns.weights[k];
        if (!weight) continue;
        const from = columns.places[k] * channels;
        for (let c = 0; c < channels; c++) {
          out[to + c] += weight * line[from + c];
        }
      }
    }
  }
  return out;
}

/** @typedef {[number, number, number, number]} Box top, left, height, width */

/**
 * @param {Picture} picture
 * @param {Box} box
 * @param {number} height of what is returned
 * @param {number} width of it
 * @returns {Float32Array} what is in the window
 */
export function intoWindow(picture, [top, left, high, wide], height, width) {
  const [down, across] = [fround(height / high), fround(width / wide)];
  return resampled(
    picture,
    taps(picture.height, height, down, fround(-top * down)),
    taps(picture.width, width, across, fround(-left * across)),
  );
}

/**
 * Puts what was found in a window where it is; 0 outside of it.
 *
 * @param {Picture} found of one channel
 * @param {Box} box
 * @param {number} height of the frame
 * @param {number} width of it
 * @returns {Float32Array} [height, width]
 */
export function outOfWindow(found, [top, left, high, wide], height, width) {
  const down = fround(high / found.height);
  const across = fround(wide / found.width);
  return resampled(
    found,
    taps(found.height, height, down, top),
    taps(found.width, width, across, left),
  );
}
