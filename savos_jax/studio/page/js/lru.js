/** A cache of bounded size: what was used longest ago goes first. */

/** @template V */
export class Lru {
  /**
   * @param {number} most the sizes of all values together, at most
   * @param {(value: V) => void} [drop] called with what goes
   */
  constructor(most, drop = () => {}) {
    this.most = most;
    this.size = 0;
    this.drop = drop;
    /** @type {Map<any, {value: V, size: number}>} */
    this.entries = new Map();
  }

  /** @param {any} key @returns {boolean} */
  has(key) {
    return this.entries.has(key);
  }

  /** @param {any} key @returns {V | undefined} */
  get(key) {
    const entry = this.entries.get(key);
    if (!entry) return undefined;
    this.entries.delete(key);
    this.entries.set(key, entry);
    return entry.value;
  }

  /** @param {any} key @param {V} value @param {number} size */
  set(key, value, size) {
    this.delete(key);
    this.entries.set(key, { value, size });
    this.size += size;
    for (const oldest of this.entries.keys()) {
      if (this.size <= this.most || oldest === key) break;
      this.delete(oldest);
    }
  }

  /** @param {any} key */
  delete(key) {
    const entry = this.entries.get(key);
    if (!entry) return;
    this.entries.delete(key);
    this.size -= entry.size;
    this.drop(entry.value);
  }

  clear() {
    for (const key of [...this.entries.keys()]) this.delete(key);
  }
}
