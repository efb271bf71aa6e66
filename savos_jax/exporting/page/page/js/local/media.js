/**
 * The frames of what a person opens: a video, or images. Files are read and
 * decoded by this browser; mediabunny knows their formats.
 */

import {
  ALL_FORMATS, BlobSource, EncodedPacketSink, Input, VideoSampleSink,
} from '../../../mediabunny/mediabunny.min.mjs';

const BLOCK = 12; // Frames that are decoded at once on the way back.
const EXPECTED = 'Expected a video that this browser plays (MP4, WebM, MOV), ' +
  'or images.';

/**
 * @typedef {object} Video
 * @property {string} name
 * @property {number} count of frames
 * @property {number} width
 * @property {number} height
 * @property {number | null} fps
 * @property {number[] | null} times of the frames, seconds
 * @property {(index: number) => string} stem of the files of a frame
 * @property {() => Reader} reader
 */

/**
 * @typedef {object} Reader reads frames one after the other
 * @property {(index: number) => Promise<ImageBitmap>} read
 */

/** @param {File} file @param {string} what @returns {Error} */
const refused = (file, what) =>
  new Error(`${file.name}: ${what}.\n${EXPECTED}`);

const stemOf = (name) => name.replace(/\.[^.]*$/, '');

/**
 * @param {File[]} files a video, or images
 * @returns {Promise<Video>}
 */
export async function open(files) {
  const images = files.filter(({ type }) => type.startsWith('image/'));
  const isGif = images.length === 1 && images[0].type === 'image/gif';
  if (images.length === files.length && !isGif) return ofImages(images);
  if (files.length > 1) {
    throw refused(files[0], `one of ${files.length} files that are not images`);
  }
  return ofVideo(files[0]);
}

// --- Images. -----------------------------------------------------------------

/** @param {File[]} images @returns {Promise<Video>} */
async function ofImages(images) {
  const inOrder = new Intl.Collator('en', { numeric: true });
  const sorted = [...images].sort((a, b) => inOrder.compare(a.name, b.name));
  const decode = (file) =>
    // As they are stored: a mask must not depend on the screen's profile.
    createImageBitmap(file, { colorSpaceConversion: 'none' }).catch(() => {
      throw refused(file, 'is no image that can be decoded');
    });
  const { width, height } = await decode(sorted[0]);
  const read = async (index) => {
    const image = await decode(sorted[index]);
    if (image.width === width && image.height === height) return image;
    throw refused(
      sorted[index],
      `${image.width}x${image.height} pixels, where the first image has ` +
        `${width}x${height}`,
    );
  };
  const [{ name }] = sorted;
  return {
    name: sorted.length > 1 ? `${sorted.length} images` : name,
    count: sorted.length,
    width,
    height,
    fps: null,
    times: null,
    stem: (index) => stemOf(sorted[index].name),
    reader: () => ({ read }),
  };
}

// --- Videos. -----------------------------------------------------------------

/** @param {File} file */
async function trackOf(file) {
  const input = new Input({
    formats: ALL_FORMATS, source: new BlobSource(file),
  });
  let track = null;
  try {
    track = await input.getPrimaryVideoTrack();
  } catch {
    throw refused(file, 'is of no format that is known');
  }
  if (!track) throw refused(file, 'holds no video');
  return track;
}

/** @param {File} file @returns {Promise<Video>} */
async function ofVideo(file) {
  const track = await trackOf(file);
  const times = [];
  const packets = new EncodedPacketSink(track);
  const all = packets.packets(undefined, undefined, { metadataOnly: true });
  for await (const { timestamp } of all) {
    if (timestamp >= 0) times.push(timestamp);
  }
  times.sort((a, b) => a - b);
  if (!times.length) throw refused(file, 'holds no frame');
  const [first, last] = [times[0], times.at(-1)];
  const fps = times.length > 1 ? (times.length - 1) / (last - first) : null;
  const width = await track.getDisplayWidth();
  const height = await track.getDisplayHeight();
  const canDecode = 'VideoDecoder' in window && (await track.canDecode());
  // There is one element, for all who read.
  const sought = canDecode
    ? null
    : new Sought(await played(file), times, width, height);
  return {
    name: file.name,
    count: times.length,
    width,
    height,
    fps,
    times: times.map((time) => time - first),
    stem: (index) => String(index).padStart(5, '0'),
    reader: () => sought ?? new Decoded(track, times, width, height),
  };
}

/** Reads one frame at a time, however many are asked for. */
class InTurn {
  constructor(times, width, height) {
    this.times = times;
    this.canvas = new OffscreenCanvas(width, height);
    this.pen = this.canvas.getContext('2d', { alpha: false });
    this.last = Promise.resolve();
  }

  /** @param {number} index @returns {Promise<ImageBitmap>} */
  read(index) {
    const one = this.last.then(() => this.frame(index));
    this.last = one.catch(() => {});
    return one;
  }
}

/** Frames by WebCodecs. */
class Decoded extends InTurn {
  constructor(track, times, width, height) {
    super(times, width, height);
    this.sink = new VideoSampleSink(track);
    this.next = -1; // The frame that `samples` gives next.
    this.samples = null;
    this.asked = -1;
    /** @type {Map<number, ImageBitmap>} decoded on the way back */
    this.block = new Map();
  }

  async frame(index) {
    const isBack = index === this.asked - 1;
    this.asked = index;
    if (this.block.has(index)) {
      const image = this.block.get(index);
      this.block.delete(index);
      return image;
    }
    for (const image of this.block.values()) image.close();
    this.block.clear();
    if (isBack) {
      for (let i = Math.max(0, index - BLOCK + 1); i < index; i++) {
        this.block.set(i, await this.decoded(i));
      }
    }
    return this.decoded(index);
  }

  async decoded(index) {
    if (index !== this.next) {
      await this.samples?.return();
      this.samples = this.sink.samples(this.times[index]);
    }
    this.next = index + 1;
    const { value: sample } = await this.samples.next();
    if (!sample) throw new Error(`Frame ${index} can not be decoded.`);
    sample.draw(this.pen, 0, 0, this.canvas.width, this.canvas.height);
    sample.close();
    return this.canvas.transferToImageBitmap();
  }
}

/** @param {File} file @returns {Promise<HTMLVideoElement>} that can show it */
function played(file) {
  const element = document.createElement('video');
  element.muted = true;
  element.preload = 'auto';
  element.src = URL.createObjectURL(file);
  return new Promise((resolve, reject) => {
    element.onloadeddata = () => resolve(element);
    element.onerror = () =>
      reject(refused(file, 'is of a codec that this browser does not know'));
  });
}

/** Frames by a video element, where there is no WebCodecs. */
class Sought extends InTurn {
  constructor(element, times, width, height) {
    super(times, width, height);
    this.element = element;
  }

  async frame(index) {
    const { element, times } = this;
    const end = times[index + 1] ?? element.duration;
    const middle = (times[index] + Math.max(end, times[index])) / 2;
    await new Promise((resolve, reject) => {
      element.onseeked = resolve;
      element.onerror = () =>
        reject(new Error(`Frame ${index} can not be decoded.`));
      element.currentTime = middle;
    });
    this.pen.drawImage(element, 0, 0, this.canvas.width, this.canvas.height);
    return this.canvas.transferToImageBitmap();
  }
}

/** @param {ImageBitmap} image closed @returns {Uint8ClampedArray} RGBA */
export function pixelsOf(image) {
  const { width, height } = image;
  const pen = new OffscreenCanvas(width, height).getContext('2d', {
    alpha: false, willReadFrequently: true,
  });
  pen.drawImage(image, 0, 0);
  image.close();
  return pen.getImageData(0, 0, width, height).data;
}
