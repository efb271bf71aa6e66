/** Short messages in a corner. */

import { byId, icon, make } from './dom.js';

const LONG = 6000; // Milliseconds that a mere hint stays.

/** @param {string} text @param {boolean} isError stays until it is closed */
function show(text, isError) {
  const box = byId('toasts');
  for (const other of box.children) {
    if (other.dataset.text === text) other.remove();
  }
  const [first, ...rest] = text.trim().split('\n');
  const more = rest.map((line) => line.trim()).join('\n');
  const toast = make(
    'div',
    { className: isError ? 'toast error' : 'toast' },
    make('p', {}, make(isError ? 'b' : 'span', {}, first), more),
    make(
      'button',
      {
        className: 'plain', 'aria-label': 'Close',
        onclick: () => toast.remove(),
      },
      icon('close'),
    ),
  );
  toast.dataset.text = text;
  box.append(toast);
  while (box.children.length > 4) box.firstElementChild.remove();
  if (!isError) setTimeout(() => toast.remove(), LONG);
}

/** @param {string} text */
export const say = (text) => show(text, false);

/** @param {Error} error what the server tells is shown as it is */
export function fail(error) {
  if (error?.name === 'AbortError') return;
  show(error?.message || String(error), true);
}

/**
 * @param {(...args: any[]) => Promise<any>} call
 * @returns {(...args: any[]) => Promise<any>} the same; says what goes wrong
 */
export const told = (call) => (...args) => call(...args).catch(fail);
