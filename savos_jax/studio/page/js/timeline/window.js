/** The part of a video that the timeline shows: frames from <= i < to. */

/** @typedef {{from: number, to: number}} Window */

const FEWEST = 8; // Frames.

/**
 * @param {Window} window
 * @param {number} width pixels
 * @param {number} frame
 * @returns {number} where it begins, pixels
 */
export const toX = ({ from, to }, width, frame) =>
  ((frame - from) / (to - from)) * width;

/**
 * @param {Window} window
 * @param {number} width pixels
 * @param {number} x pixels
 * @returns {number} the frame there
 */
export const toFrame = ({ from, to }, width, x) =>
  Math.floor(from + (x / width) * (to - from));

/**
 * @param {number} from
 * @param {number} span
 * @param {number} count of frames
 * @returns {Window} of this span, moved into the video
 */
function inside(from, span, count) {
  const begin = Math.max(0, Math.min(from, count - span));
  return { from: begin, to: begin + span };
}

/**
 * @param {Window} window
 * @param {number} factor above 1: closer
 * @param {number} share of its width: what is there stays there
 * @param {number} count of frames
 * @returns {Window}
 */
export function zoomed({ from, to }, factor, share, count) {
  const span = Math.min(count, Math.max(FEWEST, (to - from) / factor));
  return inside(from + share * (to - from - span), span, count);
}

/**
 * @param {Window} window
 * @param {number} frames by which it moves
 * @param {number} count of frames
 * @returns {Window}
 */
export const moved = ({ from, to }, frames, count) =>
  inside(from + frames, to - from, count);

/**
 * @param {Window} window
 * @param {number} frame to be seen
 * @param {number} count of frames
 * @returns {Window} turned over as a page, where it is not
 */
export function showing(window, frame, count) {
  if (frame >= window.from && frame + 1 <= window.to) return window;
  const span = window.to - window.from;
  return inside(Math.floor(frame / span) * span, span, count);
}

/**
 * @param {number} span frames that are seen
 * @param {number} most how many labels have room
 * @returns {number} frames from one label to the next: 1, 2, 5, 10, ...
 */
export function tick(span, most) {
  for (let step = 1; ; step *= 10) {
    for (const nice of [1, 2, 5]) {
      if (span / (nice * step) <= most) return nice * step;
    }
  }
}
