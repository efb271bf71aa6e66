/** Where one was, for when the page is loaded again. */

/** @typedef {{frame: number, object: number}} Place */

const SOON = 200; // Milliseconds.
let timer = 0;

/** @param {string} video its name @returns {Partial<Place>} */
export function restore(video) {
  const hash = new URLSearchParams(location.hash.slice(1));
  const kept = hash.has('frame')
    ? hash
    : new URLSearchParams(localStorage.getItem(`place ${video}`) ?? '');
  const number = (name) => {
    const value = Number(kept.get(name) ?? NaN);
    return Number.isInteger(value) && value >= 0 ? value : undefined;
  };
  return { frame: number('frame'), object: number('object') };
}

/** @param {string} video @param {Place} place */
export function keep(video, { frame, object }) {
  clearTimeout(timer);
  timer = setTimeout(() => {
    const text = new URLSearchParams({ frame, object }).toString();
    history.replaceState(null, '', `#${text}`);
    localStorage.setItem(`place ${video}`, text);
  }, SOON);
}

/** @returns {object} how tools and view are set */
export function settings() {
  try {
    return JSON.parse(localStorage.getItem('settings') ?? '{}');
  } catch {
    return {};
  }
}

/** @param {object} changes */
export function keepSettings(changes) {
  const all = { ...settings(), ...changes };
  localStorage.setItem('settings', JSON.stringify(all));
}
