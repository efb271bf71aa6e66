/**
 * What is marked, followed through the frames that need it: what
 * `studio/propagation.py` does, in JavaScript.
 */

const SAVE_EVERY = 50; // Frames.

/**
 * @typedef {object} Found
 * @property {number} index
 * @property {string} key
 * @property {Uint8Array} labels
 * @property {Record<number, number>} confidences
 */

export class Follower {
  /**
   * @param {object} host
   * @param {(name: string, given?: object) => Promise<any>} host.ask the
   *   network
   * @param {(index: number) => Promise<Uint8ClampedArray>} host.pixels RGBA
   * @param {() => boolean} host.isStopped
   * @param {import('./ways.js').Way} way
   */
  constructor(host, way) {
    this.host = host;
    this.way = way;
    this.step = way.forwards ? 1 : -1;
  }

  stateKey(index) {
    const { way } = this;
    return `${way.forwards ? 'f' : 'b'} ${way.key(index)} ${index}`;
  }

  /**
   * @param {number[]} needed frames, one at least
   * @returns {AsyncGenerator<Found>} until it is stopped
   */
  async *follow(needed) {
    const { way } = this;
    const passes = new Map();
    const order = [...needed].sort((a, b) => way.place(a) - way.place(b));
    for (const index of order) {
      const begin = way.chain(index)[0].index;
      passes.set(begin, [...(passes.get(begin) ?? []), index]);
    }
    for (const [begin, frames] of passes) yield* this.pass(begin, frames);
  }

  /** @returns {Promise<number>} the frame that comes */
  async resume(begin, first) {
    const { way, step } = this;
    for (let i = first - step; way.place(i) >= way.place(begin); i -= step) {
      const key = this.stateKey(i);
      if (await this.host.ask('restore', { key })) return i + step;
    }
    return begin;
  }

  async *pass(begin, frames) {
    const { way, host, step } = this;
    const wanted = new Set(frames);
    const last = frames.at(-1);
    const events = new Map(way.chain(last).map((each) => [each.index, each]));
    let index = await this.resume(begin, frames[0]);
    let coming = host.pixels(index);
    for (let isLast = false; !isLast; index += step) {
      const rgba = await coming;
      if (host.isStopped()) return;
      isLast = index === last;
      if (!isLast) {
        coming = host.pixels(index + step);
        coming.catch(() => {}); // It is told where it is waited for.
      }
      const found = await this.at(index, rgba, events.get(index));
      // Who stops it stops it before the next frame.
      const isEnd = isLast || host.isStopped() || index % SAVE_EVERY === 0;
      if (isEnd) await host.ask('save', { key: this.stateKey(index) });
      if (wanted.has(index)) yield { index, key: way.key(index), ...found };
    }
  }

  /** @param {import('./ways.js').Event | undefined} event */
  async at(index, rgba, event) {
    const { ask } = this.host;
    if (event?.begins) {
      const { labels, ids } = event.told;
      await ask('start', { rgba, labels, ids });
      const only = labels.map((id) => (ids.includes(id) ? id : 0));
      return {
        labels: only, confidences: Object.fromEntries(ids.map((i) => [i, 1])),
      };
    }
    if (event) await ask('drop', { ids: event.dropped });
    const { labels, confidences } = await ask('step', { rgba });
    if (event?.told) {
      const { ids, absent } = event.told;
      await ask('give', { labels: event.told.labels, ids });
      await ask('hide', { ids: absent });
      for (const id of ids) confidences[id] = 1;
      for (const id of absent) if (id in confidences) confidences[id] = 1;
    }
    return { labels, confidences };
  }
}
