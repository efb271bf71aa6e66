/** Elements of the page. Texts are always put as text, never as HTML. */

/** @param {string} id @returns {any} */
export const byId = (id) => document.getElementById(id);

/**
 * @param {string} tag
 * @param {Record<string, any>} [properties] those with a dash or of SVG are
 *   attributes; on...: listeners
 * @param {...(Node | string)} children
 * @returns {any}
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name.includes('-') || name === 'role') {
      element.setAttribute(name, value);
    } else element[name] = value;
  }
  element.append(...children);
  return element;
}

/** @param {string} name of a symbol in index.html @returns {SVGElement} */
export function icon(name) {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(space, 'use');
  use.setAttribute('href', `#i-${name}`);
  svg.append(use);
  return svg;
}

/** @param {HTMLElement} bar @param {number | null} share null: unknown */
export function setBar(bar, share) {
  bar.classList.toggle('unknown', share === null);
  const percent = share === null ? null : Math.round(100 * share);
  bar.firstElementChild.style.width = percent === null ? '' : `${percent}%`;
  if (percent === null) bar.removeAttribute('aria-valuenow');
  else bar.setAttribute('aria-valuenow', String(percent));
}

/**
 * Makes buttons of which one is chosen; arrow keys go from one to the next.
 *
 * @param {HTMLElement} group
 * @param {{name: string, title: string, icon: string, text?: string}[]} all
 * @param {(name: string) => void} onChoose
 * @returns {(name: string) => void} shows which one is chosen
 */
export function radios(group, all, onChoose) {
  const buttons = all.map((each) => {
    const button = make(
      'button',
      {
        role: 'radio', title: each.title, type: 'button',
        'aria-label': each.text ?? each.title,
        onclick: () => onChoose(each.name),
      },
      icon(each.icon),
    );
    if (each.text) button.append(each.text);
    button.dataset.name = each.name;
    return button;
  });
  group.append(...buttons);
  group.addEventListener('keydown', (event) => {
    const steps = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 };
    const step = steps[event.key];
    if (!step) return;
    const at = buttons.indexOf(event.target);
    const next = buttons[(at + step + buttons.length) % buttons.length];
    next.focus();
    next.click();
    event.preventDefault();
    event.stopPropagation();
  });
  return (name) => {
    for (const button of buttons) {
      const chosen = button.dataset.name === name;
      button.setAttribute('aria-checked', String(chosen));
      button.tabIndex = chosen ? 0 : -1;
    }
  };
}

const probe = document.createElement('span');
probe.hidden = true;
document.body.append(probe);
/** @type {Map<string, string>} */
const palette = new Map();

/** @param {string} name of a colour in studio.css @returns {string} as it is */
export function colour(name) {
  if (!palette.has(name)) {
    probe.style.color = `var(--${name})`;
    palette.set(name, getComputedStyle(probe).color);
  }
  return palette.get(name);
}

/** The theme has changed. */
export const forgetColours = () => palette.clear();

/** Tells it to those who listen to the page. @param {string} text */
export function announce(text) {
  byId('status').textContent = text;
}
