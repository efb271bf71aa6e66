/**
 * What is looked at: a frame, its labels over it, and what a tool shows while
 * it is used. The frame and the labels lie on a sheet that is moved and scaled
 * as a whole; the tool's lines are drawn in the stage's own pixels.
 */

import { colour, look } from './colours.js';
import { fit, kept, toPicture, toStage, zoomAt } from './view.js';

/** @typedef {import('./diff.js').Box} Box */

const SHARP = 3; // Screen pixels a pixel from which pixels are shown as such.

export class Stage {
  /**
   * @param {HTMLElement} element gets the canvases
   * @param {{onView?: () => void}} [callbacks] onView: it was zoomed or moved
   */
  constructor(element, { onView = () => {} } = {}) {
    this.element = element;
    this.onView = onView;
    this.sheet = document.createElement('div');
    this.sheet.className = 'sheet';
    this.frame = document.createElement('canvas');
    this.mask = document.createElement('canvas');
    this.lines = document.createElement('canvas');
    this.lines.className = 'lines';
    this.sheet.append(this.frame, this.mask);
    element.append(this.sheet, this.lines);
    this.pen = this.mask.getContext('2d');
    this.picture = { width: 0, height: 0, aspect: 1 };
    this.objects = [];
    this.shown = { opacity: 0.5, outlines: true, visible: true };
    /** @type {Uint8Array | null} */
    this.labels = null;
    this.isFit = true;
    this.bounds = element.getBoundingClientRect();
    this.view = fit({ width: 1, height: 1, aspect: 1 }, this.bounds);
    this.look = look([], { opacity: 0, thickness: 0 });
    new ResizeObserver(() => this.resized()).observe(element);
  }

  /** @param {{width: number, height: number, aspect: number}} picture */
  setPicture(picture) {
    this.picture = picture;
    for (const canvas of [this.frame, this.mask]) {
      canvas.width = picture.width;
      canvas.height = picture.height;
      canvas.style.width = `${picture.width}px`;
      canvas.style.height = `${picture.height}px`;
    }
    this.resized();
    this.fit();
  }

  resized() {
    const ratio = window.devicePixelRatio;
    this.bounds = this.element.getBoundingClientRect();
    this.lines.width = Math.round(this.bounds.width * ratio);
    this.lines.height = Math.round(this.bounds.height * ratio);
    if (this.isFit) this.fit();
    else this.moved(this.view);
  }

  /** The scale at which all of the picture is seen. */
  get fitting() {
    return fit(this.picture, this.bounds).scale;
  }

  fit() {
    if (!this.picture.width) return;
    this.moved(fit(this.picture, this.bounds));
    this.isFit = true;
  }

  /**
   * @param {number} factor
   * @param {number} [x] on the stage: what is there stays; its middle if unset
   * @param {number} [y]
   */
  zoom(factor, x = this.bounds.width / 2, y = this.bounds.height / 2) {
    this.moved(zoomAt(this.view, factor, x, y, this.fitting));
  }

  /** @param {number} dx stage pixels @param {number} dy */
  pan(dx, dy) {
    const { left, top } = this.view;
    this.moved({ ...this.view, left: left + dx, top: top + dy });
  }

  /** @param {import('./view.js').View} view */
  moved(view) {
    if (!this.picture.width) return;
    this.isFit = false;
    this.view = kept(view, this.picture, this.bounds);
    const { scale, left, top, aspect } = this.view;
    this.sheet.style.transform =
      `translate(${left}px, ${top}px) scale(${scale * aspect}, ${scale})`;
    this.sheet.classList.toggle('sharp', scale >= SHARP);
    this.restyle();
    this.onView();
  }

  /** @param {number} x @param {number} y @returns {[number, number]} */
  toPicture(x, y) {
    return toPicture(this.view, x - this.bounds.left, y - this.bounds.top);
  }

  /** @param {CanvasImageSource & {width: number, height: number}} image */
  showFrame(image) {
    const pen = this.frame.getContext('2d', { alpha: false });
    if (
      this.frame.width !== image.width || this.frame.height !== image.height
    ) {
      this.frame.width = image.width;
      this.frame.height = image.height;
    }
    pen.drawImage(image, 0, 0);
  }

  /** @param {Uint8Array | null} labels kept, and looked at again by `touch` */
  showLabels(labels) {
    this.labels = labels;
    this.touch();
  }

  /** @param {Box} [box] where labels are others; all of them if unset */
  touch(box) {
    const { width, height } = this.picture;
    if (!width) return;
    const t = this.look.thickness;
    const part = box
      ? {
          x0: Math.max(0, box.x0 - t),
          y0: Math.max(0, box.y0 - t),
          x1: Math.min(width, box.x1 + t),
          y1: Math.min(height, box.y1 + t),
        }
      : { x0: 0, y0: 0, x1: width, y1: height };
    if (part.x1 <= part.x0 || part.y1 <= part.y0) return;
    if (!this.labels) {
      this.pen.clearRect(0, 0, width, height);
      return;
    }
    const image = colour(this.labels, width, height, part, this.look);
    this.pen.putImageData(image, part.x0, part.y0);
  }

  /** @param {{id: number, color: string, hidden?: boolean}[]} objects */
  setObjects(objects) {
    this.objects = objects;
    this.restyle(true);
  }

  /** @param {{opacity?: number, outlines?: boolean, visible?: boolean}} how */
  setShown(how) {
    this.shown = { ...this.shown, ...how };
    this.mask.hidden = !this.shown.visible;
    this.restyle(true);
  }

  /** @param {boolean} [always] else only where the lines' thickness is another */
  restyle(always = false) {
    const { opacity, outlines } = this.shown;
    // About a pixel and a half of the screen.
    const thick = Math.max(1, Math.min(8, Math.round(1.5 / this.view.scale)));
    const thickness = outlines ? thick : 0;
    if (!always && thickness === this.look.thickness) return;
    const seen = this.objects.filter((each) => !each.hidden);
    this.look = look(seen, { opacity, thickness });
    this.touch();
  }

  /**
   * Draws a tool's lines anew.
   *
   * @param {(pen: CanvasRenderingContext2D,
   *   at: (point: [number, number]) => [number, number]) => void} draw in the
   *   stage's pixels; at: from the picture to these
   */
  drawLines(draw) {
    const pen = this.lines.getContext('2d');
    const ratio = window.devicePixelRatio;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, this.bounds.width, this.bounds.height);
    draw(pen, ([x, y]) => toStage(this.view, x, y));
  }
}
