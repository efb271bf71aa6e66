/** Dark or light: as the system has it, until the switch says otherwise. */

import { byId, forgetColours } from './dom.js';

const dark = matchMedia('(prefers-color-scheme: dark)');

/** @param {() => void} onChange colours are others now */
export function setUp(onChange) {
  const root = document.documentElement;
  const changed = () => {
    forgetColours();
    onChange();
  };
  const kept = localStorage.getItem('theme');
  if (kept) root.dataset.theme = kept;
  byId('theme').addEventListener('click', () => {
    const system = dark.matches ? 'dark' : 'light';
    const now = root.dataset.theme ?? system;
    const next = now === 'dark' ? 'light' : 'dark';
    if (next === system) {
      delete root.dataset.theme;
      localStorage.removeItem('theme');
    } else {
      root.dataset.theme = next;
      localStorage.setItem('theme', next);
    }
    changed();
  });
  dark.addEventListener('change', changed);
}
