/** What a person takes away: masks in an archive, and a film of them. */

import {
  BufferTarget, CanvasSource, canEncodeVideo, Mp4OutputFormat, Output,
  QUALITY_HIGH, WebMOutputFormat,
} from '../../../mediabunny/mediabunny.min.mjs';
import { colour, look } from '../marking/colours.js';
import { encode } from '../png.js';
import { zip } from './zip.js';

const FPS = 25; // Of images.
const ALL = { opacity: 0.5, thickness: 2 };

/** The colours of PASCAL VOC, which DAVIS has: three bytes an id. */
export function palette() {
  const bytes = new Uint8Array(3 * 256);
  for (let id = 0; id < 256; id++) {
    for (let bit = 0, rest = id; rest; bit++, rest >>= 3) {
      for (let channel = 0; channel < 3; channel++) {
        bytes[3 * id + channel] |= ((rest >> channel) & 1) << (7 - bit);
      }
    }
  }
  return bytes;
}

/**
 * @typedef {object} Work
 * @property {import('./project.js').Project} project
 * @property {number} first
 * @property {number} last
 * @property {() => void} onFrame called before each; may throw
 */

/** @param {Work} work @param {number} index @returns {Promise<Uint8Array>} */
async function labelsOf({ project }, index) {
  const { width, height } = project.video;
  return (await project.labels(index)) ?? new Uint8Array(width * height);
}

/** @param {Work} work @returns {Promise<Blob>} indexed PNGs */
async function masks(work) {
  const { project, first, last, onFrame } = work;
  const { video } = project;
  const colours = palette();
  const files = [];
  for (let index = first; index <= last; index++) {
    onFrame();
    const labels = await labelsOf(work, index);
    const png = await encode(labels, video.width, video.height, colours);
    const data = new Uint8Array(await png.arrayBuffer());
    files.push({ name: `masks/${video.stem(index)}.png`, data });
  }
  return zip(files);
}

/** @returns {Promise<{codec: string, format: any} | null>} of films */
async function filmOf() {
  if (!('VideoEncoder' in window)) return null;
  const kinds = [
    ['avc', () => new Mp4OutputFormat()], ['vp9', () => new WebMOutputFormat()],
    ['vp8', () => new WebMOutputFormat()],
  ];
  for (const [codec, make] of kinds) {
    if (await canEncodeVideo(codec)) return { codec, format: make() };
  }
  return null;
}

/** @param {Work} work @returns {Promise<Blob>} */
async function overlay(work) {
  const { project, first, last, onFrame } = work;
  const { video } = project;
  const { codec, format } = await filmOf();
  // Sides of films are even.
  const [width, height] = [video.width, video.height].map((n) => n - (n % 2));
  const canvas = new OffscreenCanvas(width, height);
  const pen = canvas.getContext('2d', { alpha: false });
  const target = new BufferTarget();
  const output = new Output({ format, target });
  const source = new CanvasSource(canvas, { codec, bitrate: QUALITY_HIGH });
  output.addVideoTrack(source);
  await output.start();
  const reader = video.reader();
  const shown = look(project.objects, ALL);
  const time = (index) => video.times?.[index] ?? index / FPS;
  const whole = { x0: 0, y0: 0, x1: video.width, y1: video.height };
  const sheet = new OffscreenCanvas(video.width, video.height);
  for (let index = first; index <= last; index++) {
    onFrame();
    const image = await reader.read(index);
    pen.drawImage(image, 0, 0);
    image.close();
    const labels = await labelsOf(work, index);
    const over = colour(labels, video.width, video.height, whole, shown);
    sheet.getContext('2d').putImageData(over, 0, 0);
    pen.drawImage(sheet, 0, 0);
    const until = index < last ? time(index + 1) : time(index) + 1 / FPS;
    await source.add(time(index) - time(first), until - time(index));
  }
  await output.finalize();
  return new Blob([target.buffer], { type: format.mimeType });
}

/** @returns {Promise<Record<string, string>>} format -> what it is */
export async function formats() {
  const found = { masks: 'indexed PNGs, a frame each, in a ZIP' };
  const film = await filmOf();
  if (film) {
    found.overlay = `the masks over the video${film.format.fileExtension}`
      .replace(/\.(\w+)$/, (_, kind) => `, ${kind.toUpperCase()}`);
  }
  return found;
}

/**
 * @param {string} name of a format
 * @param {Work} work
 * @returns {Promise<{name: string, blob: Blob}>}
 */
export async function write(name, work) {
  const stem = work.project.video.name.replace(/\.[^.]*$/, '');
  if (name === 'masks') {
    return { name: `${stem}-masks.zip`, blob: await masks(work) };
  }
  const blob = await overlay(work);
  const kind = blob.type.includes('mp4') ? 'mp4' : 'webm';
  return { name: `${stem}-overlay.${kind}`, blob };
}
