/**
 * What the studio's page asks of its server, answered by the page itself:
 * frames, masks and the network are on this machine, and stay there.
 */

import * as exports from '../local/exports.js';
import { Job } from '../local/job.js';
import { open, pixelsOf } from '../local/media.js';
import { Network } from '../local/network.js';
import { Project } from '../local/project.js';
import { Follower } from '../local/propagation.js';
import * as status from '../local/status.js';
import { tell } from './events.js';

/** What the page says of where masks are made and kept. */
export const about = {
  saved: { saved: 'Kept in this tab', saving: '', waiting: '' },
  direction: 'both',
  both: 'Both ways: all of the video',
  refusal:
    'This page has a video already.\n' +
    'Load the page again for another one; export the masks before.',
};

/** What can't be done. */
export class ServerError extends Error {
  /** Whether the same may work later: never. */
  get isPassing() {
    return false;
  }
}

const asked = new URLSearchParams(location.search);
const network = new Network(
  { engine: asked.get('engine') ?? '', threads: Number(asked.get('threads')) },
  status.loading,
);

/** @type {Project | null} */
let current = null;
let formats = {};
/** @type {Job | null} */
let job = null;
let readers = {};
/** @type {Map<string, string>} name of an export -> its address */
const addresses = new Map();

addEventListener('beforeunload', (event) => {
  if (current?.told.size) event.preventDefault();
});

// --- The project. ------------------------------------------------------------

const view = () => ({
  ...current.view(),
  job: null,
  formats: Object.keys(formats),
  formats_say: formats,
});

export const project = async () => view();

/**
 * Opens what was dropped; it goes nowhere.
 *
 * @param {File[]} files
 * @param {(share: number) => void} onProgress
 * @returns {{done: Promise<object | null>, abort: () => void}}
 */
export function upload(files, onProgress) {
  let isAborted = false;
  onProgress(1); // Nothing is sent: it is looked at at once.
  const begin = async () => {
    const video = await open(files);
    await video.reader().read(0).then((image) => image.close());
    if (isAborted) return null;
    current = new Project(video);
    formats = await exports.formats();
    readers = { seen: video.reader(), small: video.reader() };
    ready().catch(() => {}); // It is told, and tried again when it is needed.
    return view();
  };
  return { done: begin(), abort: () => (isAborted = true) };
}

/** Loads the network, and tells how that goes. */
async function ready() {
  try {
    const { engine } = await network.load();
    status.ready(engine);
  } catch (error) {
    status.failed(error);
    throw error;
  }
}

// --- Frames and masks. -------------------------------------------------------

/** @param {number} index @param {number} width 0: its own
 *  @param {AbortSignal} [signal] @returns {Promise<ImageBitmap>} */
export async function frame(index, width, signal) {
  const isSmall = width > 0 && width < 400;
  signal?.throwIfAborted();
  const image = await readers[isSmall ? 'small' : 'seen'].read(index);
  if (!width || width >= image.width) return image;
  const small = await createImageBitmap(image, {
    resizeWidth: width, resizeQuality: 'medium',
  });
  image.close();
  return small;
}

/** @param {number} index @returns {Promise<Uint8Array | null>} */
export const mask = (index) => current.labels(index);

/** @param {number} index @param {Uint8Array} labels @param {object} _size
 *  @param {number[]} ids */
export async function putMark(index, labels, _size, ids) {
  current.mark(index, labels, ids);
  return current.marked();
}

/** @param {number} index */
export async function deleteMark(index) {
  current.unmark(index);
  return current.marked();
}

// --- Objects. ----------------------------------------------------------------

export async function addObject() {
  return current.addObject();
}

/** @param {number} id @param {object} changes */
export async function changeObject(id, changes) {
  const made = current.changeObject(id, changes);
  tell({ type: 'marks', ...current.marked() });
  return made;
}

/** @param {number} id */
export async function deleteObject(id) {
  current.deleteObject(id);
  tell({ type: 'project', ...view() });
  return current.marked();
}

// --- Work. -------------------------------------------------------------------

function checkFree() {
  if (job?.isRunning) {
    throw new ServerError('Something else is being done: stop it first.');
  }
}

/** @param {{direction: string, from: number,
 *   to: number | 'mark' | null}} what */
export async function propagate({ direction, from, to }) {
  checkFree();
  const [first, last] = current.range(direction, from, to);
  const work = current.needed(direction, first, last);
  const total = work.reduce((sum, { frames }) => sum + frames.length, 0);
  job = new Job('propagate', total);
  run(job, () => follow(work));
}

/** @param {{way: import('../local/ways.js').Way, frames: number[]}[]} work */
async function follow(work) {
  await ready();
  const { width, height } = current.video;
  if (!readers.network) {
    await network.ask('open', { width, height });
    readers.network = current.video.reader();
  }
  const host = {
    ask: (name, given) => network.ask(name, given),
    pixels: async (index) => pixelsOf(await readers.network.read(index)),
    isStopped: () => job.isStopped,
  };
  for (const { way, frames } of work) {
    for await (const found of new Follower(host, way).follow(frames)) {
      await current.keep(found);
      const { index, confidences } = found;
      tell({ type: 'frame', frame: index, confidence: confidences });
      job.advance();
    }
  }
}

/** @param {Job} one @param {() => Promise<object | void>} does */
async function run(one, does) {
  try {
    const more = await does();
    one.say(one.isStopped ? 'stopped' : 'done', more ?? {});
  } catch (error) {
    const text = error?.message ?? String(error);
    one.say(one.isStopped ? 'stopped' : 'failed', { error: text });
    if (!one.isStopped) tell({ type: 'error', error: text });
  }
  tell({ type: 'marks', ...current.marked() });
}

export async function stop() {
  if (job) job.isStopped = true;
}

/** @param {{formats: string[], from?: number, to?: number}} what */
export async function exportAs({ formats: names, from, to }) {
  checkFree();
  const first = from ?? 0;
  const last = to ?? current.video.count - 1;
  if (!(first >= 0 && first <= last && last < current.video.count)) {
    throw new ServerError(`Frames ${first} to ${last} are not in the video.`);
  }
  job = new Job('export', names.length * (last - first + 1));
  run(job, () => write(names, first, last));
}

async function write(names, first, last) {
  const files = [];
  const onFrame = () => {
    if (job.isStopped) throw new Error('stopped');
    job.advance();
  };
  for (const each of names) {
    const { name, blob } = await exports.write(each, {
      project: current, first, last, onFrame,
    });
    if (addresses.has(name)) URL.revokeObjectURL(addresses.get(name));
    addresses.set(name, URL.createObjectURL(blob));
    files.push(name);
  }
  let empty = 0;
  for (let i = first; i <= last; i++) {
    if (!current.results.has(i) && !current.told.has(i)) empty++;
  }
  return { files, note: empty ? `${empty} frames have no mask yet.` : '' };
}

/** @param {string} name @returns {string} */
export const download = (name) => addresses.get(name);
