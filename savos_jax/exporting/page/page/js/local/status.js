/** Says below the button what runs the network, and how its loading goes. */

import { byId, make, setBar } from '../ui/dom.js';

const bar = make('div', { className: 'bar', hidden: true }, make('i'));
const text = make('p', { className: 'muted', id: 'engine' });
byId('hint').after(bar, text);

const mega = (bytes) => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);

/** @param {number} done bytes @param {number} total 0: unknown */
export function loading(done, total) {
  bar.hidden = false;
  const isComing = done < total;
  setBar(bar, isComing ? done / total : null);
  text.textContent = isComing
    ? `Loading the network: ${mega(done)} of ${mega(total)} MB`
    : 'Starting the network';
}

/** @param {string} engine */
export function ready(engine) {
  bar.hidden = true;
  text.textContent = `Runs on your ${engine}.`;
}

/** @param {Error} error */
export function failed(error) {
  bar.hidden = true;
  text.textContent = `The network could not be loaded: ${error.message}`;
}
