/** The editor: stage, timeline, panels and server put together. */

import { Bench } from './marking/bench.js';
import { Stage } from './marking/stage.js';
import { fillHoles } from './marking/tools.js';
import { Model } from './model.js';
import * as api from './server/api.js';
import { Images } from './server/images.js';
import { Saving } from './server/saving.js';
import { nextDoubtful } from './timeline/confidence.js';
import { Timeline } from './timeline/timeline.js';
import { byId, colour, icon } from './ui/dom.js';
import { Exporting } from './ui/exporting.js';
import { Objects, showFrame } from './ui/objects.js';
import { Options } from './ui/options.js';
import * as place from './ui/place.js';
import { Player } from './ui/player.js';
import { Propagation } from './ui/propagation.js';
import { fail, say, told } from './ui/toasts.js';

const LARGE = 1920; // Pixels: wider frames are shrunk while all is seen.
const PATIENCE = 250; // Milliseconds until it is told that something loads.

/** @param {number | null} seconds @returns {string} 1:02.34 */
export function clock(seconds) {
  if (seconds === null) return '';
  const hundredths = Math.round(100 * seconds);
  const minutes = Math.floor(hundredths / 6000);
  const rest = ((hundredths % 6000) / 100).toFixed(2).padStart(5, '0');
  return `${minutes}:${rest}`;
}

export class Editor {
  constructor() {
    this.model = new Model();
    this.frame = 0; // That is wanted; `bench.marker.frame` is open.
    this.active = 0;
    this.following = false;
    this.latest = -1;
    this.loads = 0;
    /** @type {Set<number>} computed while they were drawn on */
    this.outdated = new Set();
    this.colours = { frame: -1, rgba: null };
    this.previewed = { frame: null, x: 0 };
    this.images = new Images(api, () => {
      this.timeline.redraw();
      this.preview(this.previewed.frame, this.previewed.x);
    });
    this.stage = new Stage(byId('stage'), { onView: () => this.showZoom() });
    this.bench = new Bench(this.stage, {
      onChange: (frame, labels, ids) => this.changed(frame, labels, ids),
      onGo: (frame) => this.seek(frame),
      onState: () => this.showUndo(),
      onSettings: () => this.keepSettings(),
      onUse: () => (this.following = false),
      onNoObject: () => say('Add an object first: A.'),
      pixels: () => this.pixels(),
      snap:
        api.snap && ((prompt) => api.snap({ frame: this.frame, ...prompt })),
      say,
      fail,
    });
    this.marker = this.bench.marker;
    this.options = new Options(this.bench, () => fillHoles(this.marker));
    this.saving = new Saving({
      send: (frame, { labels, ids }) =>
        ids.length
          ? api.putMark(frame, labels, this.model.video, ids)
          : api.deleteMark(frame),
      onSaved: (frame, answer) => this.saved(frame, answer),
      isPassing: (error) => !(error instanceof api.ServerError) ||
        error.isPassing,
      onRefused: fail,
      onState: (state) => {
        byId('saved').textContent = api.about.saved[state];
        byId('saved').dataset.state = state;
      },
    });
    this.timeline = new Timeline(byId('timeline'), {
      onSeek: (frame) => this.seek(frame),
      thumbnail: (frame) => this.images.thumbnail(frame),
      onHover: (frame, x) => this.preview(frame, x),
      colour,
      label: String,
    });
    this.player = new Player({
      frame: () => this.frame,
      count: () => this.model.count,
      seconds: (frame) => {
        const [a, b] = [frame, frame + 1].map((i) => this.model.time(i));
        return a === null || !(b > a) ? 1 / 25 : b - a;
      },
      ahead: (frames) => this.images.ahead(frames),
      isThere: (frame) => this.images.hasBoth(frame),
      show: (frame) => this.go(frame),
      onState: (isPlaying) => this.showPlaying(isPlaying),
    });
    this.objects = new Objects({
      onChoose: (id) => this.choose(id),
      onChange: told((id, changes) => this.changeObject(id, changes)),
      onHide: (id) => this.hide(id),
      onDelete: told((id) => this.deleteObject(id)),
      onAdd: told(() => this.addObject()),
    });
    this.propagation = new Propagation({
      onRun: told((direction, end, again) =>
        this.propagate(direction, end, again),
      ),
      onStop: told(() => api.stop()),
    }, api.about);
    this.exporting = new Exporting({
      onRun: async (what) => {
        await this.saving.flush();
        await api.exportAs(what);
      },
      onStop: told(() => api.stop()),
      address: api.download,
    });
    this.restoreSettings();
  }

  // --- The project. ---------------------------------------------------------

  /** @param {object} project as the server tells it */
  setProject(project) {
    const isFirst = project.video && !this.model.video;
    const before = this.model.objects.map(({ id }) => id).join();
    const marksBefore = this.model.marks;
    this.model.setProject(project);
    this.keepPending();
    document.body.dataset.state = this.model.video ? 'open' : 'empty';
    byId('empty').hidden = this.model.video !== null;
    byId('loading').hidden = true;
    if (!this.model.video) return;
    if (isFirst) this.openVideo();
    const now = this.model.objects.map(({ id }) => id).join();
    if (!isFirst && now !== before) this.reload();
    else if (!isFirst) this.reloadMarked(marksBefore);
    this.showObjects();
    this.showFacts();
    this.showJob(project.job);
  }

  openVideo() {
    const { video, aspect, objects } = this.model;
    const { width, height } = video;
    this.images.width = width > LARGE ? LARGE : 0;
    byId('name').textContent = video.name;
    byId('name').title = video.name;
    this.showKept(video.kept ?? video.frames, video.frames);
    byId('count').textContent = String(video.frames - 1);
    byId('frame').max = byId('until-frame').max = String(video.frames - 1);
    byId('timeline').setAttribute('aria-valuemax', String(video.frames - 1));
    document.title = `${video.name} · Studio`;
    this.stage.setPicture({ width, height, aspect });
    const last = place.restore(video.name);
    this.choose(this.model.object(last.object)?.id ?? objects[0]?.id ?? 0);
    this.timeline.setFacts(this.model.facts());
    this.go(last.frame ?? 0);
    if (!objects.length) this.addObject().catch(fail);
  }

  /** @param {number} done frames that are found at once @param {number} total */
  showKept(done, total) {
    const { width, height, fps } = this.model.video;
    const parts = [`${width}×${height}`];
    if (fps) parts.push(`${Number(fps.toFixed(2))} fps`);
    const share = Math.floor((100 * done) / total);
    if (done < total) parts.push(`${share}% ready for seeking`);
    byId('facts').textContent = parts.join(' · ');
  }

  /** The server's word does not hold for what it was not sent yet. */
  keepPending() {
    for (const [frame, { ids }] of this.saving.marks) {
      if (ids.length) this.model.marks.set(frame, ids);
      else this.model.marks.delete(frame);
    }
  }

  /** Masks may all be others: fetches them again. */
  reload() {
    this.images.masks.clear();
    if (!this.bench.using && this.model.video) this.load(this.frame);
  }

  /** Somebody else may have marked frames: another window. */
  reloadMarked(before) {
    const frames = new Set([...before.keys(), ...this.model.marks.keys()]);
    for (const frame of frames) {
      const [was, is] = [before, this.model.marks].map((m) => m.get(frame));
      if (String(was) === String(is) || this.saving.get(frame)) continue;
      this.images.masks.forget(frame);
      if (frame === this.frame) this.refresh(frame);
    }
  }

  /** @param {object} told marks, computed, stale */
  setMarks(told) {
    this.model.setMarks(told);
    this.keepPending();
    this.showFacts();
  }

  /** @param {object} told by an event: it may be of another window */
  marked(told) {
    this.setMarks(told);
    if (!document.hasFocus()) this.reload();
  }

  /** @param {number} frame @param {object} confidence it was just computed */
  computed(frame, confidence) {
    if (!this.model.video) return;
    this.model.setFrame(frame, confidence);
    this.images.masks.forget(frame);
    this.timeline.redraw();
    this.latest = frame;
    if (frame === this.frame) this.refresh(frame);
    else if (this.following) this.followLatest();
  }

  /** Shows a frame's mask anew, unless somebody is drawing on it. */
  refresh(frame) {
    if (this.bench.using || this.saving.get(frame)) this.outdated.add(frame);
    else if (frame === this.frame) this.load(frame);
  }

  followLatest() {
    if (this.loads || this.bench.using || this.latest === this.frame) return;
    this.go(this.latest).then(() => {
      if (this.following) this.followLatest();
    });
  }

  /** Of a run that was faster than the page, the last frame is shown, too. */
  stopFollowing() {
    if (this.following && !this.bench.using && this.latest !== this.frame)
      this.go(this.latest);
    this.following = false;
  }

  showFacts() {
    const { model } = this;
    const stale = model.stale.reduce((sum, is) => sum + is, 0);
    this.propagation.setFacts({ hasMarks: model.marks.size > 0, stale });
    this.timeline.setFacts(model.facts());
    this.showHere();
  }

  showHere() {
    if (!this.model.video) return;
    const ids = this.model.marks.get(this.frame) ?? [];
    showFrame(this.model, this.frame, ids);
    const state = byId('here').textContent;
    byId('timeline').setAttribute('aria-valuenow', String(this.frame));
    byId('timeline').setAttribute(
      'aria-valuetext', `frame ${this.frame}, ${state}`,
    );
  }

  /** @param {import('./ui/propagation.js').Job | null} job */
  showJob(job) {
    if (!job) {
      this.propagation.show(null);
      return;
    }
    if (job.kind === 'propagate') {
      this.propagation.show(job);
      if (job.state !== 'running') this.stopFollowing();
    }
    if (job.kind === 'export') this.exporting.show(job);
  }

  // --- Frames. --------------------------------------------------------------

  /** A person goes to a frame. @param {number} frame */
  seek(frame) {
    this.following = false;
    this.player.stop();
    return this.go(frame);
  }

  /** @param {number} frame @returns {Promise<void>} when it is seen */
  go(frame) {
    const { model } = this;
    if (!model.video) return Promise.resolve();
    const last = model.count - 1;
    this.frame = Math.max(0, Math.min(last, Math.round(frame) || 0));
    if (this.bench.using) this.bench.cancel();
    if (this.marker.frame !== this.frame) {
      this.bench.tool.cancel();
      this.marker.close();
    }
    byId('frame').value = String(this.frame);
    byId('time').textContent = clock(model.time(this.frame));
    this.timeline.setFrame(this.frame);
    this.keepPlace();
    if (this.images.hasBoth(this.frame)) {
      const [image, mask] = ['frames', 'masks'].map((kind) =>
        this.images[kind].peek(this.frame),
      );
      this.present(this.frame, image, mask);
      this.around();
      return Promise.resolve();
    }
    return this.load(this.frame);
  }

  async load(frame) {
    this.loads++;
    const late = setTimeout(() => (byId('waiting').hidden = false), PATIENCE);
    try {
      if (!this.player.isPlaying) {
        this.images.frames.only([frame]);
        this.images.masks.only([frame]);
      }
      const [image, mask] = await this.images.both(frame);
      if (this.frame === frame) this.present(frame, image, mask);
    } catch (error) {
      if (this.frame === frame) fail(error);
    } finally {
      this.loads--;
      clearTimeout(late);
      if (!this.loads) byId('waiting').hidden = true;
    }
    this.around();
  }

  /** Fetches the neighbours. */
  around() {
    if (this.player.isPlaying || this.loads) return;
    const near = [0, 1, -1, 2, -2].map((step) => this.frame + step);
    this.images.ahead(near.filter((i) => i >= 0 && i < this.model.count));
  }

  present(frame, image, mask) {
    if (this.bench.using && this.marker.frame === frame) return;
    this.stage.showFrame(image);
    const pending = this.saving.get(frame);
    const labels = pending?.labels ?? mask;
    const ids = pending?.ids ?? this.model.marks.get(frame) ?? [];
    this.outdated.delete(frame);
    this.marker.open(frame, labels && Uint8Array.from(labels), ids);
    this.showHere();
  }

  /** @returns {Promise<Uint8ClampedArray>} of the open frame, at its size */
  async pixels() {
    const { frame } = this;
    if (this.colours.frame !== frame) {
      const { width, height } = this.model.video;
      const image = await (this.images.width
        ? api.frame(frame, 0)
        : this.images.frames.want(frame));
      const pen = new OffscreenCanvas(width, height).getContext('2d');
      pen.drawImage(image, 0, 0, width, height);
      const rgba = pen.getImageData(0, 0, width, height).data;
      this.colours = { frame, rgba };
    }
    return this.colours.rgba;
  }

  /** @param {1 | -1} step */
  seekMark(step) {
    const frame = this.model.nextMark(this.frame, step);
    if (frame === undefined) say('No mark on this side.');
    else this.seek(frame);
  }

  /** @param {1 | -1} step */
  seekDoubtful(step) {
    const found = this.model.doubtful();
    const frame = nextDoubtful(found, this.frame, step);
    if (frame === undefined) say('No frame was computed yet: propagate first.');
    else this.seek(frame);
  }

  showPlaying(isPlaying) {
    const button = byId('play');
    button.replaceChildren(icon(isPlaying ? 'pause' : 'play'));
    button.setAttribute('aria-label', isPlaying ? 'Pause' : 'Play');
  }

  /** @param {number | null} frame under the pointer @param {number} x */
  preview(frame, x) {
    this.previewed = { frame, x };
    const box = byId('preview');
    box.hidden = frame === null;
    if (frame === null) return;
    const canvas = box.querySelector('canvas');
    const { aspect } = this.model.facts();
    canvas.height = Math.round(canvas.width / aspect);
    const image = this.images.thumbnail(frame);
    const pen = canvas.getContext('2d');
    if (image) pen.drawImage(image, 0, 0, canvas.width, canvas.height);
    const sure = this.model.sure[frame];
    const parts = [`frame ${frame}`];
    if (this.model.marks.has(frame)) parts.push('marked');
    else if (!Number.isNaN(sure)) parts.push(sure.toFixed(2));
    box.querySelector('span').textContent = parts.join(' · ');
    const { left, width } = byId('timeline').getBoundingClientRect();
    const half = box.offsetWidth / 2;
    const middle = Math.max(half, Math.min(width - half, x - left));
    box.style.left = `${middle + left - half}px`;
  }

  // --- Marks. ---------------------------------------------------------------

  changed(frame, labels, ids) {
    this.saving.add(frame, labels, ids);
    this.images.masks.forget(frame);
    if (ids.length) this.model.marks.set(frame, ids);
    else this.model.marks.delete(frame);
    const sorted = [...this.model.marks].sort(([a], [b]) => a - b);
    this.model.marks = new Map(sorted);
    this.showFacts();
  }

  saved(frame, answer) {
    this.images.masks.forget(frame);
    this.setMarks(answer);
    const isGone = !this.model.marks.has(frame);
    if (isGone || this.outdated.has(frame)) this.refresh(frame);
  }

  showUndo() {
    byId('undo').disabled = !this.marker.canUndo;
    byId('redo').disabled = !this.marker.canRedo;
  }

  // --- Objects. -------------------------------------------------------------

  /** @param {number} id */
  choose(id) {
    this.active = id;
    this.showObjects();
    this.keepPlace();
  }

  /** @param {number} place in the list, from 0 */
  chooseAt(place) {
    const object = this.model.objects[place];
    if (object) this.choose(object.id);
  }

  showObjects() {
    const { objects } = this.model;
    if (!this.model.object(this.active)) this.active = objects[0]?.id ?? 0;
    this.objects.show(objects, this.active);
    this.stage.setObjects(objects);
    this.marker.setObjects(objects, this.active);
    this.timeline.setFacts(this.model.facts());
    this.showHere();
  }

  async addObject() {
    const made = await api.addObject();
    if (!this.model.object(made.id)) {
      this.model.setObjects([...this.model.objects, made]);
    }
    this.choose(made.id);
  }

  /** @param {number} id @param {object} changes until: 'toggle': from here */
  async changeObject(id, changes) {
    const object = this.model.object(id);
    if (object && Object.keys(changes).length) {
      const told = { ...changes };
      if (told.until === 'toggle') {
        told.until = object.until === null ? this.frame : null;
      }
      const made = await api.changeObject(id, told);
      this.model.setObjects(
        this.model.objects.map((each) => (each.id === id ? made : each)),
      );
    }
    this.showObjects();
  }

  async deleteObject(id) {
    const object = this.model.object(id);
    if (!object) return;
    const dialog = byId('deleting');
    byId('deleting-title').textContent = `Delete “${object.name}”?`;
    dialog.returnValue = '';
    dialog.showModal();
    await new Promise((resolve) => {
      dialog.addEventListener('close', resolve, { once: true });
    });
    if (dialog.returnValue !== 'delete') return;
    await this.saving.flush();
    this.setMarks(await api.deleteObject(id));
  }

  hide(id) {
    const { hidden } = this.model;
    if (!hidden.delete(id)) hidden.add(id);
    this.model.setObjects(this.model.objects);
    this.showObjects();
  }

  // --- Propagation. ---------------------------------------------------------

  async propagate(direction, end, again) {
    const from = again && this.asked ? this.asked.from : this.frame;
    this.asked = { direction, from, to: end };
    this.following = byId('follow').checked;
    this.latest = this.frame;
    this.player.stop();
    await this.saving.flush();
    // How it goes is told by events: it may be done before this is answered.
    await api.propagate(this.asked);
  }

  // --- How it looks. --------------------------------------------------------

  showZoom() {
    const { scale } = this.stage.view;
    byId('zoom').textContent = `${Math.round(100 * scale)}%`;
    if (scale > 1.01 * this.stage.fitting && this.images.width) {
      // Closer than all of it: frames at their own size from now on.
      this.images.width = 0;
      this.images.frames.clear();
      this.load(this.frame);
    }
  }

  /** @param {object} how opacity, outlines, visible */
  show(how) {
    this.stage.setShown(how);
    const { outlines, visible, opacity } = this.stage.shown;
    byId('outlines').setAttribute('aria-pressed', String(outlines));
    byId('masks').setAttribute('aria-pressed', String(visible));
    byId('masks').replaceChildren(icon(visible ? 'eye' : 'hidden'));
    byId('opacity').value = String(Math.round(100 * opacity));
    this.keepSettings();
  }

  toggle(name) {
    this.show({ [name]: !this.stage.shown[name] });
  }

  keepPlace() {
    const { video } = this.model;
    if (!video) return;
    place.keep(video.name, { frame: this.frame, object: this.active });
  }

  keepSettings() {
    this.options?.update();
    if (!this.bench) return;
    const { settings, name, marker } = this.bench;
    const { outlines, opacity } = this.stage.shown;
    const { protect } = marker;
    place.keepSettings({ settings, tool: name, outlines, opacity, protect });
  }

  restoreSettings() {
    const { settings, tool, outlines = true, opacity = 0.45, protect = false } =
      place.settings();
    this.marker.protect = protect;
    this.bench.set({ ...settings, remove: false });
    if (tool in this.bench.tools) this.bench.choose(tool);
    this.show({ outlines, opacity });
  }

  /** Colours of the page are others. */
  themed() {
    this.timeline.redraw();
  }
}
