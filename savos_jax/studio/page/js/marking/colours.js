/** Labels as colours over the frame. */

/**
 * @typedef {object} Look
 * @property {Uint32Array} fill of each label, as ImageData has pixels
 * @property {Uint32Array} line of each label's outline
 * @property {number} thickness of it, pixels of the picture; 0: none
 */

/**
 * @param {string} text '#rrggbb'
 * @param {number} opacity 0..1
 * @returns {number} as a little-endian RGBA pixel
 */
export function pixel(text, opacity) {
  const rgb = parseInt(text.slice(1), 16);
  const [red, green, blue] = [rgb >> 16, (rgb >> 8) & 255, rgb & 255];
  const alpha = Math.round(255 * opacity);
  return ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/**
 * @param {{id: number, color: string}[]} objects those that are shown
 * @param {{opacity: number, thickness: number}} how
 * @returns {Look}
 */
export function look(objects, { opacity, thickness }) {
  const fill = new Uint32Array(256);
  const line = new Uint32Array(256);
  for (const { id, color } of objects) {
    fill[id] = pixel(color, opacity);
    line[id] = pixel(color, 1);
  }
  return { fill, line, thickness };
}

/**
 * Colours a part of the labels.
 *
 * @param {Uint8Array} labels
 * @param {number} width
 * @param {number} height
 * @param {import('./diff.js').Box} box the part
 * @param {Look} how
 * @returns {ImageData} of the part
 */
export function colour(labels, width, height, box, how) {
  const image = new ImageData(box.x1 - box.x0, box.y1 - box.y0);
  const out = new Uint32Array(image.data.buffer);
  const { fill, line, thickness: t } = how;
  let o = 0;
  for (let y = box.y0; y < box.y1; y++) {
    const [up, down] = [y >= t ? -t * width : 0, y < height - t ? t * width : 0];
    let i = y * width + box.x0;
    for (let x = box.x0; x < box.x1; x++, i++, o++) {
      const id = labels[i];
      if (!id) continue;
      const isEdge =
        t &&
        (labels[i + up] !== id ||
          labels[i + down] !== id ||
          (x >= t && labels[i - t] !== id) ||
          (x < width - t && labels[i + t] !== id));
      out[o] = isEdge ? line[id] : fill[id];
    }
  }
  return image;
}
