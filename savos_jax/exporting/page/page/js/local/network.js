/** The network's thread, as a page asks it. */

export class Network {
  /**
   * @param {{engine: string, threads: number}} asked
   * @param {(done: number, total: number) => void} onProgress bytes
   */
  constructor(asked, onProgress) {
    this.asked = asked;
    this.onProgress = onProgress;
    this.count = 0;
    /** @type {Map<number, {resolve: Function, reject: Function}>} */
    this.waiting = new Map();
    /** @type {Promise<{engine: string}> | null} */
    this.loading = null;
  }

  /** Loads it, once; after a failure once more. */
  load() {
    this.loading ??= this.begin().catch((error) => {
      this.loading = null;
      this.worker.terminate();
      throw error;
    });
    return this.loading;
  }

  begin() {
    const address = new URL('../network/worker.js', import.meta.url);
    this.worker = new Worker(address, { type: 'module' });
    this.worker.onmessage = ({ data }) => this.hear(data);
    this.worker.onerror = (event) => {
      const text = event.message || 'The network could not be started.';
      for (const { reject } of this.waiting.values()) reject(new Error(text));
      this.waiting.clear();
    };
    return this.ask('load', this.asked);
  }

  hear({ id, result, error, progress }) {
    if (progress) {
      this.onProgress(progress.done, progress.total);
      return;
    }
    const { resolve, reject } = this.waiting.get(id);
    this.waiting.delete(id);
    if (error === undefined) resolve(result);
    else reject(new Error(error));
  }

  /**
   * @param {string} name of what `network/worker.js` does
   * @param {object} [given]
   * @returns {Promise<any>}
   */
  ask(name, given) {
    const id = this.count++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, name, given });
    });
  }
}
