/** Frames, masks and thumbnails: fetched when wanted, kept within bounds. */

import { Lru } from '../lru.js';

const FRAMES = 320 << 20; // Bytes.
const MASKS = 128 << 20;
const THUMBNAILS = 600; // Pictures.
const AT_ONCE = 4;
const QUEUE = 40; // Thumbnails.
const PAUSE = 60; // Milliseconds.

/** @template V */
class Fetched {
  /**
   * @param {(key: number, signal: AbortSignal) => Promise<V>} get
   * @param {(value: V) => number} size
   * @param {number} most
   * @param {(value: V) => void} [drop]
   */
  constructor(get, size, most, drop) {
    this.get = get;
    this.size = size;
    this.cache = new Lru(most, drop);
    /** @type {Map<number, {promise: Promise<V>, abort: () => void}>} */
    this.coming = new Map();
  }

  /** @param {number} key @returns {boolean} */
  has(key) {
    return this.cache.has(key);
  }

  /** @param {number} key @returns {V | undefined} if it is there */
  peek(key) {
    return this.cache.get(key);
  }

  /** @param {number} key @returns {Promise<V>} */
  async want(key) {
    if (this.cache.has(key)) return this.cache.get(key);
    const coming = this.coming.get(key);
    if (coming) return coming.promise;
    const control = new AbortController();
    const fetching = { promise: null, abort: () => control.abort() };
    fetching.promise = this.get(key, control.signal)
      .then((value) => {
        if (this.coming.get(key) !== fetching) return this.want(key);
        this.cache.set(key, value, this.size(value));
        return value;
      })
      .finally(() => {
        if (this.coming.get(key) === fetching) this.coming.delete(key);
      });
    this.coming.set(key, fetching);
    return fetching.promise;
  }

  /** What is there, or comes, of a key is not it any more. @param {number} key */
  forget(key) {
    this.cache.delete(key);
    this.coming.delete(key);
  }

  /** Gives up what comes and is in a list no longer. @param {number[]} keys */
  only(keys) {
    for (const [key, { abort }] of [...this.coming]) {
      if (keys.includes(key)) continue;
      this.coming.delete(key);
      abort();
    }
  }

  clear() {
    this.only([]);
    this.cache.clear();
  }
}

const close = (image) => image.close();
const area = ({ width, height }) => 4 * width * height;

export class Images {
  /**
   * @param {typeof import('./api.js')} api
   * @param {() => void} onThumbnail another one is there
   */
  constructor(api, onThumbnail) {
    this.width = 0; // That frames are shrunk to; 0: their own.
    this.frames = new Fetched(
      (i, signal) => api.frame(i, this.width, signal), area, FRAMES, close,
    );
    this.masks = new Fetched(
      (i, signal) => api.mask(i, signal), (m) => m?.length ?? 1, MASKS,
    );
    this.thumbnails = new Fetched(
      (i, signal) => api.frame(i, 160, signal), () => 1, THUMBNAILS, close,
    );
    this.onThumbnail = onThumbnail;
    /** @type {number[]} thumbnails to come, the last one first */
    this.queue = [];
    this.failed = new Set();
  }

  /** @param {number} i @returns {Promise<[ImageBitmap, Uint8Array | null]>} */
  both(i) {
    return Promise.all([this.frames.want(i), this.masks.want(i)]);
  }

  /** @param {number} i @returns {boolean} whether both are there */
  hasBoth(i) {
    return this.frames.has(i) && this.masks.has(i);
  }

  /**
   * Fetches some frames ahead; what was fetched for others is given up.
   *
   * @param {number[]} list the first is needed most
   */
  ahead(list) {
    this.frames.only(list);
    this.masks.only(list);
    const missing = list.filter((i) => !this.hasBoth(i));
    for (const i of missing.slice(0, AT_ONCE)) this.both(i).catch(() => {});
  }

  /** @param {number} i @returns {ImageBitmap | null} null: it comes */
  thumbnail(i) {
    const there = this.thumbnails.peek(i);
    if (there) return there;
    if (!this.failed.has(i)) {
      this.queue = this.queue.filter((other) => other !== i).slice(-QUEUE);
      this.queue.push(i);
      this.fill();
    }
    return null;
  }

  async fill() {
    if (this.filling) return;
    this.filling = true;
    while (this.queue.length) {
      // Frames are more urgent.
      while (this.frames.coming.size) {
        await new Promise((resolve) => setTimeout(resolve, PAUSE));
      }
      const i = this.queue.pop();
      await this.thumbnails.want(i).then(
        this.onThumbnail, () => this.failed.add(i),
      );
    }
    this.filling = false;
  }

  clear() {
    for (const each of [this.frames, this.masks, this.thumbnails]) each.clear();
    this.queue = [];
    this.failed.clear();
  }
}
