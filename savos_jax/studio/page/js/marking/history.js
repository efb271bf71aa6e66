/** Undo and redo, without limit, over all frames. */

/**
 * @typedef {object} Entry
 * @property {number} frame
 * @property {import('./diff.js').Change | null} change null: of `ids` alone
 * @property {number[]} before the objects that the frame told of
 * @property {number[]} after those of which it tells
 */

export class History {
  constructor() {
    /** @type {Entry[]} */
    this.done = [];
    /** @type {Entry[]} */
    this.undone = [];
  }

  /** @param {Entry} entry what was just done; nothing can be redone then */
  push(entry) {
    this.done.push(entry);
    this.undone = [];
  }

  /** @returns {Entry | undefined} what `undo` would give */
  get last() {
    return this.done.at(-1);
  }

  /** @returns {Entry | undefined} what `redo` would give */
  get next() {
    return this.undone.at(-1);
  }

  /** @returns {Entry | undefined} what is to be taken back */
  undo() {
    const entry = this.done.pop();
    if (entry) this.undone.push(entry);
    return entry;
  }

  /** @returns {Entry | undefined} what is to be done again */
  redo() {
    const entry = this.undone.pop();
    if (entry) this.done.push(entry);
    return entry;
  }
}
