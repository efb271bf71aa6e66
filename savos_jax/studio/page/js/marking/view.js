/**
 * Zoom and pan. A view says where the picture is on the stage:
 * screen x = x * scale * aspect + left, screen y = y * scale + top.
 */

/**
 * @typedef {object} View
 * @property {number} scale screen pixels a pixel of the picture, down
 * @property {number} left
 * @property {number} top
 * @property {number} aspect width of a pixel by its height
 */

export const MOST = 64; // Screen pixels a pixel.
const LEAST = 0.25; // Of the size that fits.
const MARGIN = 12; // Around a picture that fits.
const KEPT = 60; // Of the picture, on the stage, however it is moved.

/**
 * @param {{width: number, height: number, aspect: number}} picture
 * @param {{width: number, height: number}} stage
 * @returns {View} all of the picture, in the middle
 */
export function fit({ width, height, aspect }, stage) {
  const scale = Math.max(
    0.01,
    Math.min(
      (stage.width - 2 * MARGIN) / (width * aspect),
      (stage.height - 2 * MARGIN) / height,
    ),
  );
  return {
    scale,
    left: (stage.width - width * aspect * scale) / 2,
    top: (stage.height - height * scale) / 2,
    aspect,
  };
}

/**
 * @param {View} view
 * @param {number} x on the stage
 * @param {number} y on the stage
 * @returns {[number, number]} in the picture
 */
export const toPicture = (view, x, y) => [
  (x - view.left) / (view.scale * view.aspect),
  (y - view.top) / view.scale,
];

/**
 * @param {View} view
 * @param {number} x in the picture
 * @param {number} y in the picture
 * @returns {[number, number]} on the stage
 */
export const toStage = (view, x, y) => [
  x * view.scale * view.aspect + view.left,
  y * view.scale + view.top,
];

/**
 * @param {View} view
 * @param {number} factor
 * @param {number} x on the stage: what is there stays there
 * @param {number} y on the stage
 * @param {number} fitting the scale at which the picture fits
 * @returns {View}
 */
export function zoomAt(view, factor, x, y, fitting) {
  const least = Math.min(LEAST * fitting, 1);
  const scale = Math.min(MOST, Math.max(least, view.scale * factor));
  const ratio = scale / view.scale;
  return {
    ...view,
    scale,
    left: x - (x - view.left) * ratio,
    top: y - (y - view.top) * ratio,
  };
}

/**
 * @param {View} view
 * @param {{width: number, height: number}} picture
 * @param {{width: number, height: number}} stage
 * @returns {View} moved so that some of the picture is on the stage
 */
export function kept(view, picture, stage) {
  const width = picture.width * view.scale * view.aspect;
  const height = picture.height * view.scale;
  const between = (value, low, high) => Math.min(high, Math.max(low, value));
  return {
    ...view,
    left: between(view.left, KEPT - width, stage.width - KEPT),
    top: between(view.top, KEPT - height, stage.height - KEPT),
  };
}
