/** The list of objects, and what is told of them in the frame that is seen. */

import { level } from '../timeline/confidence.js';
import { byId, icon, make, setBar } from './dom.js';

/** @typedef {import('../model.js').Thing} Thing */

/**
 * @typedef {object} Callbacks
 * @property {(id: number) => void} onChoose
 * @property {(id: number, changes: object) => void} onChange
 * @property {(id: number) => void} onHide
 * @property {(id: number) => void} onDelete
 * @property {() => void} onAdd
 */

export class Objects {
  /** @param {Callbacks} callbacks */
  constructor(callbacks) {
    this.callbacks = callbacks;
    this.renaming = 0;
    this.told = ''; // What is shown.
    byId('add').addEventListener('click', callbacks.onAdd);
  }

  /** @param {Thing[]} objects @param {number} active */
  show(objects, active) {
    const list = byId('objects');
    const focused = document.activeElement;
    if (this.renaming && list.contains(focused)) return;
    // What is clicked twice stays, and the system's dialog for colours.
    const told = JSON.stringify(objects);
    const isColour = focused?.type === 'color' && list.contains(focused);
    if (told === this.told || isColour) {
      this.activate(active);
      return;
    }
    this.told = told;
    const key = focused?.closest?.('#objects') && focused.dataset.key;
    const rows = objects.map((each) => this.row(each));
    const none = make('li', { className: 'none muted' }, 'None yet: add one.');
    list.replaceChildren(...(rows.length ? rows : [none]));
    this.activate(active);
    if (key) list.querySelector(`[data-key='${key}']`)?.focus();
  }

  /** @param {number} active */
  activate(active) {
    for (const row of byId('objects').querySelectorAll('[data-id]')) {
      const isActive = Number(row.dataset.id) === active;
      row.classList.toggle('active', isActive);
      row.querySelector('.name')?.setAttribute('aria-pressed', String(isActive));
      if (isActive) row.scrollIntoView({ block: 'nearest' });
    }
  }

  /** @param {Thing} object */
  row(object) {
    const { callbacks } = this;
    const { id, name, color, until, hidden } = object;
    const swatch = make('input', {
      type: 'color', value: color, 'aria-label': `Colour of ${name}`,
      onchange: () => {
        swatch.blur();
        callbacks.onChange(id, { color: swatch.value });
      },
    });
    const label = make(
      'button',
      {
        className: 'name', title: 'Choose it; twice: rename it',
        onclick: () => callbacks.onChoose(id),
        ondblclick: () => this.rename(object, row),
        onkeydown: (event) => {
          if (event.key === 'F2') this.rename(object, row);
        },
      },
      make('span', {}, name),
    );
    label.dataset.key = `name ${id}`;
    if (until !== null) {
      label.append(
        make('span', { className: 'ended' }, `until ${until}`),
      );
    }
    const button = (what, title, call, pressed) => {
      const made = make(
        'button',
        { className: 'plain', title, 'aria-label': `${title}: ${name}`,
          onclick: call },
        icon(what),
      );
      if (pressed !== undefined) {
        made.setAttribute('aria-pressed', String(pressed));
      }
      made.dataset.key = `${what} ${id}`;
      return made;
    };
    const row = make(
      'li',
      {},
      swatch,
      label,
      button(
        'until',
        until === null
          ? 'It ends here: gone from this frame on (T)'
          : 'It goes on to the end (T)',
        () => callbacks.onChange(id, { until: 'toggle' }),
      ),
      button(
        hidden ? 'hidden' : 'eye', hidden ? 'Show' : 'Hide',
        () => callbacks.onHide(id),
      ),
      button('trash', 'Delete', () => callbacks.onDelete(id)),
    );
    row.dataset.id = String(id);
    return row;
  }

  rename({ id, name }, row) {
    this.renaming = id;
    this.told = '';
    const field = make('input', {
      type: 'text', value: name, maxLength: 200, 'aria-label': 'Name',
    });
    let left = false;
    const end = (keep) => {
      if (left) return;
      left = true;
      this.renaming = 0;
      const text = field.value.trim();
      const changed = keep && text && text !== name;
      this.callbacks.onChange(id, changed ? { name: text } : {});
    };
    field.addEventListener('keydown', (event) => {
      event.stopPropagation();
      if (event.key === 'Enter') end(true);
      if (event.key === 'Escape') end(false);
    });
    field.addEventListener('blur', () => end(true));
    row.querySelector('.name').replaceWith(field);
    field.select();
  }
}

/**
 * Shows what is told of the frame that is seen.
 *
 * @param {import('../model.js').Model} model
 * @param {number} frame
 * @param {Iterable<number>} drawn the objects that are drawn there
 */
export function showFrame(model, frame, drawn) {
  const told = new Set(drawn);
  const state = told.size
    ? 'marked'
    : model.stale[frame]
      ? 'stale'
      : model.computed[frame] ? 'computed' : 'no mask';
  const chip = byId('here');
  chip.textContent = state;
  chip.dataset.state = state;
  const lines = [];
  for (const { id, name, until } of model.objects) {
    const sure = model.confidence.get(id)?.[frame] ?? NaN;
    if (told.has(id)) {
      lines.push(make('dt', {}, name), make('dd', { className: 'told' }, 'drawn'));
    } else if (until !== null && frame >= until) {
      lines.push(make('dt', {}, name), make('dd', { className: 'told' }, 'ended'));
    } else if (!Number.isNaN(sure)) {
      const bar = make('dd', { className: `bar ${level(sure)}` }, make('i'));
      setBar(bar, sure);
      const text = make('dd', { className: 'number' }, sure.toFixed(2));
      lines.push(make('dt', {}, name), bar, text);
    }
  }
  const hint = 'Nothing is known here: draw, or propagate.';
  const none = make('dd', { className: 'all' }, hint);
  byId('sure').replaceChildren(...(lines.length ? lines : [none]));
  byId('unmark').disabled = !told.size;
}
