/** What the keyboard does, and the list of it. */

import { byId, make } from './dom.js';

/**
 * @typedef {object} Key
 * @property {string[]} keys as `nameOf` has them
 * @property {string} [says] what it does; unset: it is not in the list
 * @property {() => void} [does] unset: the mouse or a tool does it
 * @property {string[]} [shown] in the list, in place of `keys`
 */

const SHOWN = {
  ArrowLeft: '←', ArrowRight: '→', Delete: 'Del', ' ': 'Space',
};

/** @param {KeyboardEvent} event @returns {string} 'Ctrl+Shift+z' */
export function nameOf(event) {
  const { key } = event;
  const isLetter = /^[a-zA-Z]$/.test(key);
  const name = isLetter ? key.toLowerCase() : key;
  const isNamed = key.length > 1 || isLetter;
  return [
    ...(event.ctrlKey || event.metaKey ? ['Ctrl'] : []),
    ...(event.shiftKey && isNamed ? ['Shift'] : []),
    name,
  ].join('+');
}

/** Whether a key means something to what has the focus. */
function isTaken(event) {
  const { target, key } = event;
  if (document.querySelector('dialog[open]')) return true;
  if (target.matches('input[type=text], input[type=number], select')) {
    return key !== 'Escape';
  }
  if (target.matches('input[type=range]')) {
    return key.startsWith('Arrow') || key === 'Home' || key === 'End';
  }
  return target.matches('button, a, input') && [' ', 'Enter'].includes(key);
}

/**
 * @param {Record<string, Key[]>} groups
 * @param {(key: string) => boolean} first is asked first: the tool in use
 */
export function listen(groups, first) {
  /** @type {Map<string, () => void>} */
  const does = new Map();
  for (const { keys, does: call } of Object.values(groups).flat()) {
    if (call) for (const key of keys) does.set(key, call);
  }
  addEventListener('keydown', (event) => {
    if (event.altKey || isTaken(event)) return;
    if (first(event.key)) {
      event.preventDefault();
      return;
    }
    const call = does.get(nameOf(event));
    if (!call) return;
    event.preventDefault();
    call();
  });
  byId('keys-list').replaceChildren(
    ...Object.entries(groups).map(([title, keys]) =>
      make('section', {}, make('h3', {}, title), ...lines(keys)),
    ),
  );
}

const lines = (keys) => keys.filter(({ says }) => says).map(line);

function line({ keys, says, shown }) {
  const names = shown ?? keys.slice(0, 1).map(display);
  const boxes = names.map((name) => make('kbd', {}, name));
  return make('div', {}, make('span', {}, says), make('span', {}, ...boxes));
}

/** @param {string} key @returns {string} as keyboards have it */
function display(key) {
  const parts = key === '+' ? [key] : key.split('+');
  const names = parts.map((part) => {
    const name = SHOWN[part] ?? part;
    return /^[a-z]$/.test(name) ? name.toUpperCase() : name;
  });
  return names.join(' ');
}
