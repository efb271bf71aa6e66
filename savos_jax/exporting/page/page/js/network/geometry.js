/** From a video's frames to what the network sees of them. */

import { areas, enlarging, resampled } from './resampling.js';
import { SMALLEST } from './windows.js';

const MULTIPLE = 32; // Of the sides of what the network sees.

/** Rounds halves to the even number, as Python does. @param {number} x */
function rounded(x) {
  const below = Math.floor(x);
  if (x - below !== 0.5) return Math.round(x);
  return below % 2 ? below + 1 : below;
}

const toMultiple = (side) =>
  Math.max(MULTIPLE, rounded(side / MULTIPLE) * MULTIPLE);

/**
 * @typedef {object} Size
 * @property {number} height
 * @property {number} width
 */

/**
 * @param {Size} shape of a frame
 * @param {number} shortSide what its shorter side is shrunk to; 0: nothing
 * @returns {Size}
 */
export function networkSize({ height, width }, shortSide) {
  const short = Math.min(height, width);
  if (!shortSide || short <= shortSide) return { height, width };
  const scale = shortSide / short;
  return {
    height: toMultiple(height * scale), width: toMultiple(width * scale),
  };
}

/**
 * @typedef {object} Geometry
 * @property {Size} shape of the frames
 * @property {Size} size as they are kept
 * @property {Size} padded the same, to multiples of 32
 * @property {Size} view what the network sees
 */

/**
 * @param {Size} shape
 * @param {{short_side: number, zoom: number}} inference of savos.json
 * @returns {Geometry}
 */
export function geometryOf(shape, { short_side: shortSide, zoom }) {
  const up = (side) => Math.ceil(side / MULTIPLE) * MULTIPLE;
  const pad = ({ height, width }) => ({ height: up(height), width: up(width) });
  const seen = networkSize(shape, shortSide);
  if (!zoom) return { shape, size: seen, padded: pad(seen), view: pad(seen) };
  // Large enough that the smallest window has a pixel for each of the view's.
  const size = networkSize(shape, rounded(shortSide / SMALLEST));
  const view = {
    height: toMultiple(seen.height), width: toMultiple(seen.width),
  };
  return { shape, size, padded: pad(size), view };
}

/**
 * Shrinks and pads a frame or a mask, by zeros.
 *
 * @param {import('./resampling.js').Picture} picture
 * @param {Geometry} geometry
 * @returns {import('./resampling.js').Picture} padded; bytes stay bytes
 */
export function prepared(picture, { size, padded }) {
  const { channels, data: given } = picture;
  const isBytes = given.BYTES_PER_ELEMENT === 1;
  let { height, width } = picture;
  const large = {
    height: Math.max(height, size.height), width: Math.max(width, size.width),
  };
  const resize = (data, how, to) => {
    const rows = how(height, to.height);
    const columns = how(width, to.width);
    const found = resampled({ data, height, width, channels }, rows, columns);
    ({ height, width } = to);
    return isBytes ? Uint8Array.from(found, rounded) : found;
  };
  let data = given;
  if (large.height !== height || large.width !== width) {
    data = resize(data, enlarging, large);
  }
  if (size.height !== height || size.width !== width) {
    data = resize(data, areas, size);
  }
  const kind = isBytes ? Uint8Array : Float32Array;
  const out = new kind(padded.height * padded.width * channels);
  for (let y = 0; y < height; y++) {
    const row = data.subarray(y * width * channels, (y + 1) * width * channels);
    out.set(row, y * padded.width * channels);
  }
  return { data: out, ...padded, channels };
}
