/** The network in a thread of its own: it is asked by messages. */

import { Lru } from '../lru.js';
import { load } from './engine.js';
import { Tracker } from './tracker.js';

const STATES = 256 << 20; // Bytes of what was known after some frames.

/** @type {import('./engine.js').Loaded | null} */
let loaded = null;
/** @type {Tracker | null} */
let tracker = null;
/** @type {Lru<import('./tracker.js').Followed[]>} */
const states = new Lru(STATES);

const bytes = (state) =>
  state.reduce((sum, { guidance, reference }) => {
    const features = Object.values(reference);
    const more = features.reduce((all, { data }) => all + data.byteLength, 0);
    return sum + guidance.byteLength + more;
  }, 0);

const does = {
  async load(asked) {
    loaded = await load(asked, (done, total) =>
      postMessage({ progress: { done, total } }),
    );
    return { engine: loaded.engine };
  },
  open(shape) {
    states.clear();
    tracker = new Tracker(loaded.network, loaded.told, shape);
  },
  start: ({ rgba, labels, ids }) => tracker.start(rgba, labels, ids),
  async step({ rgba }) {
    const labels = await tracker.step(rgba);
    return { labels, confidences: tracker.confidences };
  },
  give: ({ labels, ids }) => tracker.give(labels, ids),
  hide: ({ ids }) => tracker.hide(ids),
  drop: ({ ids }) => tracker.drop(ids),
  save({ key }) {
    states.set(key, tracker.state, bytes(tracker.state));
  },
  restore({ key }) {
    const state = states.get(key);
    if (state) tracker.restore(state);
    return Boolean(state);
  },
};

// One after the other: a tracker has one frame at a time.
let last = Promise.resolve();
addEventListener('message', ({ data: { id, name, given } }) => {
  last = last.then(async () => {
    try {
      const result = await does[name](given);
      postMessage({ id, result }, result?.labels ? [result.labels.buffer] : []);
    } catch (error) {
      postMessage({ id, error: error?.message ?? String(error) });
    }
  });
});
