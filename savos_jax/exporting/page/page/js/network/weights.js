/** The network's files: fetched once, kept by the browser from then on. */

const NAME = 'savos_jax';

/** @returns {Promise<Cache | null>} null: the browser keeps none here */
async function kept() {
  try {
    return await caches.open(NAME); // Not where a page is not secure.
  } catch {
    return null;
  }
}

/**
 * @param {Response} response
 * @param {(bytes: number, total: number) => void} onBytes how many there are
 *   so far, and in all; 0: unknown
 * @returns {Promise<Uint8Array>}
 */
async function read(response, onBytes) {
  const parts = [];
  const isPacked = response.headers.has('content-encoding');
  const total = isPacked ? 0 : Number(response.headers.get('content-length'));
  let taken = 0;
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    taken += value.length;
    onBytes(taken, total);
  }
  const all = new Uint8Array(taken);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/**
 * @param {URL} url
 * @param {string} key of what is there: another one is another file
 * @param {(bytes: number, total: number) => void} onBytes as for `read`
 * @returns {Promise<Uint8Array>}
 */
export async function fetched(url, key, onBytes) {
  const cache = await kept();
  const address = new URL(url);
  address.search = `?${key}`;
  const there = await cache?.match(address);
  if (there) return read(there, onBytes);
  const response = await fetch(address);
  if (!response.ok) {
    throw new Error(`${url.pathname}: the server answers ${response.status}.`);
  }
  const bytes = await read(response, onBytes);
  if (cache) await keep(cache, address, bytes);
  return bytes;
}

/** Keeps a file in place of what was at its address before. */
async function keep(cache, address, bytes) {
  try {
    for (const request of await cache.keys()) {
      const { origin, pathname } = new URL(request.url);
      if (origin + pathname === address.origin + address.pathname) {
        await cache.delete(request);
      }
    }
    await cache.put(address, new Response(bytes));
  } catch {
    // The disk is full, or it is a private window: it is fetched again then.
  }
}
