/** The studio's server, as far as the page asks it something. */

import { decode, encode } from '../png.js';

/** What went wrong, as the server tells it. */
export class ServerError extends Error {
  /** @param {string} text @param {number} status 0: it does not answer */
  constructor(text, status) {
    super(text);
    this.status = status;
  }

  /** Whether the same may work later. */
  get isPassing() {
    return [0, 403, 408, 429].includes(this.status) || this.status >= 500;
  }
}

const AWAY =
  'The studio does not answer.\n' +
  'Start it again with the same command, and open the address that it prints.';

/** What the page says of where masks are made and kept. */
export const about = {
  saved: {
    saved: 'Saved', saving: 'Saving', waiting: 'Not saved yet: trying again',
  },
  direction: 'forward',
  both: 'Both ways, joined',
  refusal:
    'This project has a video already.\n' +
    'Start the studio with another --out for another video.',
};

/** @param {Response} response @returns {Promise<ServerError>} */
async function refusal(response) {
  const text = await response.text();
  let told = text;
  try {
    told = JSON.parse(text).error;
  } catch {
    // No JSON: as it is.
  }
  return new ServerError(told || `error ${response.status}`, response.status);
}

/** @param {string} path @param {RequestInit} [init] */
async function ask(path, init) {
  let response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ServerError(AWAY, 0);
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

/** @param {string} path @param {string} method @param {object} [body] */
async function json(path, method = 'GET', body) {
  const init = { method };
  if (body) {
    init.body = JSON.stringify(body);
    init.headers = { 'content-type': 'application/json' };
  }
  return (await ask(path, init)).json();
}

export const project = () => json('/api/project');

/** @param {number} frame @param {number} width 0: its own
 *  @param {AbortSignal} [signal] @returns {Promise<ImageBitmap>} */
export async function frame(frame, width, signal) {
  const query = width ? `?width=${width}` : '';
  const response = await ask(`/api/frames/${frame}.jpg${query}`, { signal });
  return createImageBitmap(await response.blob());
}

/** @param {number} frame @param {AbortSignal} [signal]
 *  @returns {Promise<Uint8Array | null>} null: nothing yet */
export async function mask(frame, signal) {
  const response = await ask(`/api/masks/${frame}.png`, { signal });
  if (response.status === 204) return null;
  return (await decode(await response.arrayBuffer())).labels;
}

/** @param {number} frame @param {Uint8Array} labels
 *  @param {{width: number, height: number}} size @param {number[]} ids */
export async function putMark(frame, labels, { width, height }, ids) {
  const body = await encode(labels, width, height);
  const path = `/api/marks/${frame}?objects=${ids.join(',')}`;
  return (await ask(path, { method: 'PUT', body })).json();
}

/** @param {number} frame */
export const deleteMark = (frame) => json(`/api/marks/${frame}`, 'DELETE');

export const addObject = () => json('/api/objects', 'POST', {});

/** @param {number} id @param {object} changes */
export const changeObject = (id, changes) =>
  json(`/api/objects/${id}`, 'PATCH', changes);

/** @param {number} id */
export const deleteObject = (id) => json(`/api/objects/${id}`, 'DELETE');

/** @param {object} prompt @returns {Promise<Uint8Array>} 255: the object */
export async function snap(prompt) {
  const body = JSON.stringify(prompt);
  const headers = { 'content-type': 'application/json' };
  const init = { method: 'POST', body, headers };
  const response = await ask('/api/snap', init);
  return (await decode(await response.arrayBuffer())).labels;
}

/** @param {{direction: string, from: number, to: number | string | null}} what */
export const propagate = (what) => json('/api/propagate', 'POST', what);

export const stop = () => json('/api/stop', 'POST', {});

/** @param {{formats: string[], from?: number, to?: number}} what */
export const exportAs = (what) => json('/api/export', 'POST', what);

/** @param {string} name @returns {string} */
export const download = (name) => `/api/exports/${encodeURIComponent(name)}`;

/**
 * Sends a video. (Only XMLHttpRequest tells how much is sent.)
 *
 * @param {File[]} files the first is sent
 * @param {(share: number) => void} onProgress 0..1
 * @returns {{done: Promise<object>, abort: () => void}}
 */
export function upload([file], onProgress) {
  const request = new XMLHttpRequest();
  const done = new Promise((resolve, reject) => {
    request.open('POST', `/api/video?name=${encodeURIComponent(file.name)}`);
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) onProgress(event.loaded / event.total);
    };
    request.onload = async () => {
      if (request.status < 300) {
        resolve(JSON.parse(request.responseText));
        return;
      }
      const { responseText: text, status } = request;
      reject(await refusal(new Response(text, { status })));
    };
    request.onerror = () => reject(new ServerError(AWAY, 0));
    request.onabort = () => resolve(null);
    request.send(file);
  });
  return { done, abort: () => request.abort() };
}
