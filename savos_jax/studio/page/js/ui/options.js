/** The tools' buttons, and what can be set of the one that is chosen. */

import { byId, icon, make, radios } from './dom.js';

const TOOLS = [
  { name: 'brush', title: 'Brush (B)', icon: 'brush' },
  { name: 'eraser', title: 'Eraser (E)', icon: 'eraser' },
  { name: 'lasso', title: 'Polygon and lasso (L)', icon: 'lasso' },
  { name: 'rectangle', title: 'Rectangle that snaps (R)', icon: 'rectangle' },
  { name: 'flood', title: 'Region of a colour (F)', icon: 'flood' },
  { name: 'hand', title: 'Move (H)', icon: 'hand' },
];

const ABOUT = {
  brush: 'Right button or Shift: erase',
  eraser: 'Takes the active object away',
  lasso: 'Click corner by corner, or draw around it · Enter closes it',
  rectangle: 'Drag around the object · a click adds to it',
  flood: 'Click a colour',
  hand: 'Also with the middle button, or two fingers',
};

export class Options {
  /**
   * @param {import('../marking/bench.js').Bench} bench
   * @param {() => void} onFillHoles
   */
  constructor(bench, onFillHoles) {
    this.bench = bench;
    this.chosen = radios(byId('tools'), TOOLS, (name) => bench.choose(name));
    byId('tools').append(
      make('hr'),
      make(
        'button',
        { title: 'Fill holes (G)', 'aria-label': 'Fill holes', id: 'holes',
          onclick: onFillHoles },
        icon('holes'),
      ),
    );
    this.size = this.slider('Size', 1, 400, (size) => bench.set({ size }));
    this.tolerance = this.slider('Tolerance', 0, 128, (tolerance) =>
      bench.set({ tolerance }),
    );
    this.remove = this.check('Remove', 'Takes away instead (X)', (remove) =>
      bench.set({ remove }),
    );
    this.snap = this.check('Snap', 'Finds the object in the rectangle', (snap) =>
      bench.set({ snap }),
    );
    this.protect = this.check(
      'Protect others', 'Paints over no other object (K)',
      (protect) => {
        bench.marker.protect = protect;
        bench.set({});
      },
    );
    this.pressure = this.check(
      'Pressure', 'The harder the pen, the wider the stroke',
      (pressure) => bench.set({ pressure }),
    );
    this.about = make('span', { className: 'about muted' });
    byId('options').append(
      this.size.label, this.tolerance.label, this.snap.label,
      this.remove.label, this.protect.label, this.pressure.label, this.about,
    );
    this.update();
  }

  slider(text, min, max, onInput) {
    const input = make('input', {
      type: 'range', min, max,
      oninput: () => onInput(Number(input.value)),
    });
    const output = make('output', { className: 'number' });
    const label = make('label', {}, text, input, output);
    return { input, output, label };
  }

  check(text, title, onChange) {
    const input = make('input', {
      type: 'checkbox', onchange: () => onChange(input.checked),
    });
    return { input, label: make('label', { title }, input, text) };
  }

  update() {
    const { name, settings, marker } = this.bench;
    this.chosen(name);
    const isBrush = name === 'brush' || name === 'eraser';
    this.size.label.hidden = !isBrush;
    this.size.input.value = String(settings.size);
    this.size.output.textContent = `${Math.round(settings.size)} px`;
    this.tolerance.label.hidden = name !== 'flood';
    this.tolerance.input.value = String(settings.tolerance);
    this.tolerance.output.textContent = String(settings.tolerance);
    this.snap.label.hidden = name !== 'rectangle' || !this.bench.snap;
    this.snap.input.checked = settings.snap;
    this.remove.label.hidden = name === 'eraser' || name === 'hand';
    this.remove.input.checked = settings.remove;
    this.protect.label.hidden = name === 'eraser' || name === 'hand';
    this.protect.input.checked = marker.protect;
    this.pressure.label.hidden = !isBrush || !this.bench.penSeen;
    this.pressure.input.checked = settings.pressure;
    this.about.textContent = ABOUT[name];
  }
}
