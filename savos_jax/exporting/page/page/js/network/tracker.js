/** Follows objects from frame to frame, as `inference/tracker.py` does. */

import { aggregate, confidence, labelsOf } from './aggregation.js';
import { leaves, placed, regionOf } from './focus.js';
import { geometryOf, prepared } from './geometry.js';
import {
  enlarging, intoWindow, outOfWindow, resampled,
} from './resampling.js';
import { windowOf } from './windows.js';

/**
 * @typedef {object} Followed
 * @property {number} id
 * @property {Record<string, any>} reference its features
 * @property {Float32Array} guidance its mask, [padded height, padded width]
 * @property {number} confidence
 */

/**
 * @typedef {object} Network
 * @property {(frame: Float32Array, mask: Float32Array,
 *   size: import('./geometry.js').Size) => Promise<Record<string, any>>}
 *   reference
 * @property {(frame: Float32Array, guidance: Float32Array,
 *   reference: Record<string, any>, size: import('./geometry.js').Size,
 *   region: import('./focus.js').Region) => Promise<Float32Array>} step
 *   probabilities in the region
 */

export class Tracker {
  /**
   * @param {Network} network
   * @param {object} told savos.json
   * @param {import('./geometry.js').Size} shape of the frames
   */
  constructor(network, told, shape) {
    this.network = network;
    this.how = told.inference;
    this.mean = told.frame.mean;
    this.geometry = geometryOf(shape, this.how);
    /** @type {Followed[]} */
    this.objects = [];
    /** @type {import('./resampling.js').Picture | null} the last frame */
    this.frame = null;
  }

  get ids() {
    return this.objects.map(({ id }) => id);
  }

  /** @returns {Record<number, number>} how sure each object is */
  get confidences() {
    const pairs = this.objects.map((each) => [each.id, each.confidence]);
    return Object.fromEntries(pairs);
  }

  /** @returns {Followed[]} for `restore`; nothing changes in it */
  get state() {
    return this.objects;
  }

  /** @param {Followed[]} state after the frame before the next one */
  restore(state) {
    this.objects = state;
  }

  /** @param {Uint8ClampedArray} rgba a frame */
  see(rgba) {
    const { height, width } = this.geometry.shape;
    const data = new Uint8Array(3 * height * width);
    for (let i = 0, k = 0; i < rgba.length; i += 4) {
      data[k++] = rgba[i];
      data[k++] = rgba[i + 1];
      data[k++] = rgba[i + 2];
    }
    const picture = { data, height, width, channels: 3 };
    this.frame = prepared(picture, this.geometry);
  }

  /** @param {Float32Array} mask */
  picture(mask) {
    return { data: mask, ...this.geometry.padded, channels: 1 };
  }

  /**
   * @param {Float32Array} mask where the object is, or was
   * @param {import('./resampling.js').Box | null} box null: all is seen
   * @returns {[Float32Array, Float32Array]} what the network sees
   */
  look(mask, box) {
    const { view } = this.geometry;
    if (box) {
      const frame = intoWindow(this.frame, box, view.height, view.width);
      const seen = intoWindow(this.picture(mask), box, view.height, view.width);
      return [frame.map((value) => value / 255), seen];
    }
    const { size, padded } = this.geometry;
    const frame = Float32Array.from(this.frame.data, (value) => value / 255);
    const seen = Float32Array.from(mask);
    for (let y = 0; y < padded.height; y++) {
      for (let x = y < size.height ? size.width : 0; x < padded.width; x++) {
        frame.set(this.mean, 3 * (y * padded.width + x));
        seen[y * padded.width + x] = 0;
      }
    }
    return [frame, seen];
  }

  box(mask, isLost) {
    if (!this.how.zoom) return null;
    return windowOf(mask, this.geometry, this.how, isLost);
  }

  /** @param {Uint8Array} labels @param {number} id
   *  @returns {Promise<Followed>} */
  async encoded(labels, id) {
    const mask = Float32Array.from(labels, (label) => Number(label === id));
    const { shape } = this.geometry;
    const picture = { data: mask, ...shape, channels: 1 };
    const guidance = prepared(picture, this.geometry).data;
    const [frame, seen] = this.look(guidance, this.box(guidance, false));
    const { view } = this.geometry;
    const reference = await this.network.reference(frame, seen, view);
    return { id, reference, guidance, confidence: 1 };
  }

  /**
   * Begins: forgets what was before.
   *
   * @param {Uint8ClampedArray} rgba the frame
   * @param {Uint8Array} labels what is drawn in it
   * @param {number[]} ids the objects that are followed
   */
  async start(rgba, labels, ids) {
    this.see(rgba);
    this.objects = [];
    await this.give(labels, ids);
  }

  /**
   * Tells what is drawn in the last frame: objects get it as their reference.
   *
   * @param {Uint8Array} labels
   * @param {number[]} ids
   */
  async give(labels, ids) {
    for (const id of ids) {
      const one = await this.encoded(labels, id);
      this.objects = this.ids.includes(id)
        ? this.objects.map((each) => (each.id === id ? one : each))
        : [...this.objects, one];
    }
  }

  /** These are not to be seen in the last frame. @param {number[]} ids */
  hide(ids) {
    this.objects = this.objects.map((each) => {
      if (!ids.includes(each.id)) return each;
      const guidance = new Float32Array(each.guidance.length);
      return { ...each, guidance, confidence: 0 };
    });
  }

  /** @param {number[]} ids are followed no longer */
  drop(ids) {
    this.objects = this.objects.filter(({ id }) => !ids.includes(id));
  }

  /**
   * @param {Float32Array} frame as the network sees it, and the mask
   * @param {Float32Array} seen
   * @param {Record<string, any>} reference
   * @returns {Promise<Float32Array>} probabilities in the view
   */
  async found(frame, seen, reference) {
    const { view } = this.geometry;
    const within = (region) =>
      this.network.step(frame, seen, reference, view, region);
    const region = regionOf(seen, view, this.how.focus ?? 0);
    const part = await within(region);
    if (!leaves(part, region, view)) return placed(part, region, view);
    return within(regionOf(seen, view, 0));
  }

  /** @param {Followed} object @returns {Promise<Float32Array>} on its own */
  async alone({ reference, guidance, confidence: sure }) {
    const { view, padded } = this.geometry;
    const box = this.box(guidance, sure < (this.how.lost_confidence ?? 0));
    const [frame, seen] = this.look(guidance, box);
    const found = await this.found(frame, seen, reference);
    if (!box) return found;
    const picture = { data: found, ...view, channels: 1 };
    return outOfWindow(picture, box, padded.height, padded.width);
  }

  /**
   * @param {Uint8ClampedArray} rgba the next frame
   * @returns {Promise<Uint8Array>} its labels, [height, width]
   */
  async step(rgba) {
    this.see(rgba);
    const found = [];
    for (const each of this.objects) found.push(await this.alone(each));
    const agreed = aggregate(found, this.how);
    this.objects = this.objects.map((each, k) => ({
      ...each,
      guidance: agreed[k],
      confidence: confidence(agreed[k], this.geometry),
    }));
    if (Object.values(this.confidences).some(Number.isNaN)) {
      throw new Error('What the network finds is no number.');
    }
    return this.labels(agreed);
  }

  /** @param {Float32Array[]} agreed @returns {Uint8Array} */
  labels(agreed) {
    const { shape, size, padded } = this.geometry;
    const out = new Uint8Array(shape.height * shape.width);
    if (!agreed.length) return out;
    const isKept = size.height === shape.height && size.width === shape.width;
    const rows = enlarging(padded.height, shape.height);
    const columns = enlarging(padded.width, shape.width);
    const whole = isKept
      ? agreed
      : agreed.map((mask) => resampled(this.picture(mask), rows, columns));
    const width = isKept ? padded.width : shape.width;
    const found = labelsOf(whole, this.how.aggregation);
    const table = [0, ...this.ids];
    for (let y = 0, i = 0; y < shape.height; y++) {
      for (let x = 0; x < shape.width; x++, i++) {
        out[i] = table[found[y * width + x]];
      }
    }
    return out;
  }
}
