/** The dialog that has masks written for others. */

import { announce, byId, icon, make, setBar } from './dom.js';
import { progress } from './propagation.js';

const OWN = ['davis', 'masks', 'overlay', 'cutout', 'green', 'prores', 'webm'];

export class Exporting {
  /**
   * @param {object} callbacks
   * @param {(what: {formats: string[], from?: number, to?: number}) =>
   *   Promise<void>} callbacks.onRun
   * @param {() => void} callbacks.onStop
   * @param {(name: string) => string} callbacks.address of a download
   */
  constructor(callbacks) {
    this.callbacks = callbacks;
    this.isRunning = false;
    byId('export-run').addEventListener('click', () => this.run());
    byId('export-stop').addEventListener('click', () => callbacks.onStop());
    byId('exporting').addEventListener('change', () => this.update());
  }

  /** @param {import('../model.js').Model} model */
  open(model) {
    const dialog = byId('exporting');
    if (dialog.open) return;
    if (!byId('formats-own').childElementCount) this.list(model);
    for (const id of ['export-from', 'export-to']) {
      byId(id).max = String(model.count - 1);
    }
    byId('export-from').placeholder = 'first';
    byId('export-to').placeholder = 'last';
    dialog.showModal();
    this.update();
  }

  /** @param {import('../model.js').Model} model */
  list({ formats, formatsSay }) {
    for (const name of formats) {
      const says = formatsSay[name] ?? '';
      const box = make('input', {
        type: 'checkbox', name, checked: name === formats[0],
      });
      const about = make('span', { className: 'muted' }, says);
      const label = make(
        'label', {}, box, make('span', {}, make('b', {}, name), about),
      );
      const list = OWN.includes(name) ? 'formats-own' : 'formats-other';
      byId(list).append(make('li', {}, label));
    }
    for (const id of ['formats-own', 'formats-other']) {
      byId(id).closest('fieldset').hidden = !byId(id).childElementCount;
    }
  }

  chosen() {
    const boxes = byId('exporting').querySelectorAll('[type=checkbox]:checked');
    return [...boxes].map((box) => box.name);
  }

  update() {
    byId('export-run').disabled = this.isRunning || !this.chosen().length;
  }

  async run() {
    const what = { formats: this.chosen() };
    for (const key of ['from', 'to']) {
      const { value } = byId(`export-${key}`);
      if (value !== '') what[key] = Number(value);
    }
    this.note('');
    byId('downloads').replaceChildren();
    try {
      await this.callbacks.onRun(what);
    } catch (error) {
      this.note(error.message, true);
    }
  }

  /** @param {string} text as the server tells it @param {boolean} isError */
  note(text, isError = false) {
    const note = byId('export-note');
    note.textContent = text;
    note.classList.toggle('error', isError);
  }

  /** @param {import('./propagation.js').Job} job */
  show(job) {
    this.isRunning = job.state === 'running';
    byId('export-job').hidden = !this.isRunning;
    const share = job.total ? job.done / job.total : null;
    setBar(byId('export-job').querySelector('.bar'), share);
    byId('export-text').textContent = progress(job, 'Starting');
    this.update();
    if (this.isRunning) return;
    if (job.state === 'failed') this.note(job.error ?? 'It failed.', true);
    else if (job.state === 'stopped') this.note('Stopped.');
    else {
      this.note(job.note ?? '');
      this.offer(job.files ?? []);
      announce('Exported');
    }
  }

  /** @param {string[]} files */
  offer(files) {
    byId('downloads').replaceChildren(
      ...files.map((name) =>
        make(
          'li', {},
          make(
            'a', { href: this.callbacks.address(name), download: name },
            icon('download'), name,
          ),
        ),
      ),
    );
  }
}
