/** Connected regions: of one colour, and the holes of an object. */

/**
 * Finds what is connected (by sides) to a pixel among those that are in.
 *
 * @param {number} width
 * @param {number} height
 * @param {number[]} seeds indices of pixels
 * @param {(i: number) => boolean} isIn
 * @returns {Uint8Array} 1 where it is
 */
function connected(width, height, seeds, isIn) {
  const found = new Uint8Array(width * height);
  const open = seeds.filter(isIn);
  while (open.length) {
    const seed = /** @type {number} */ (open.pop());
    if (found[seed]) continue;
    // A whole run of the row at once; then where rows above and below go on.
    const row = seed - (seed % width);
    let [from, to] = [seed, seed + 1];
    while (from > row && !found[from - 1] && isIn(from - 1)) from--;
    while (to < row + width && !found[to] && isIn(to)) to++;
    found.fill(1, from, to);
    for (const step of [-width, width]) {
      const next = row + step;
      if (next < 0 || next >= width * height) continue;
      let wasIn = false;
      for (let i = from + step; i < to + step; i++) {
        const is = !found[i] && isIn(i);
        if (is && !wasIn) open.push(i);
        wasIn = is;
      }
    }
  }
  return found;
}

/**
 * Finds the region around a pixel whose colours are near this pixel's.
 *
 * @param {Uint8ClampedArray} rgba of the frame
 * @param {number} width
 * @param {number} height
 * @param {number} x of the pixel
 * @param {number} y of the pixel
 * @param {number} tolerance by how much red, green and blue may differ, 0..255
 * @returns {Uint8Array} 1 where it is
 */
export function colourRegion(rgba, width, height, x, y, tolerance) {
  const seed = y * width + x;
  const [red, green, blue] = rgba.subarray(4 * seed, 4 * seed + 3);
  return connected(
    width,
    height,
    [seed],
    (i) =>
      Math.abs(rgba[4 * i] - red) <= tolerance &&
      Math.abs(rgba[4 * i + 1] - green) <= tolerance &&
      Math.abs(rgba[4 * i + 2] - blue) <= tolerance,
  );
}

/**
 * Finds what an object encloses.
 *
 * @param {Uint8Array} labels
 * @param {number} width
 * @param {number} height
 * @param {number} id
 * @returns {Uint8Array} 1 in its holes
 */
export function holes(labels, width, height, id) {
  const border = [];
  for (let x = 0; x < width; x++) border.push(x, (height - 1) * width + x);
  for (let y = 0; y < height; y++) border.push(y * width, (y + 1) * width - 1);
  const outside = connected(width, height, border, (i) => labels[i] !== id);
  return outside.map((out, i) => (out || labels[i] === id ? 0 : 1));
}
