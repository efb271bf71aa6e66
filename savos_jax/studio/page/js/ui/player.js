/** Plays frames in their time; none is left out, so it may be slower. */

const AHEAD = 24; // Frames that are fetched before they are due.

export class Player {
  /**
   * @param {object} host
   * @param {() => number} host.frame where one is
   * @param {() => number} host.count of frames
   * @param {(frame: number) => number} host.seconds until the next one is due
   * @param {(frames: number[]) => void} host.ahead fetches them
   * @param {(frame: number) => boolean} host.isThere whether it can be shown
   * @param {(frame: number) => void} host.show at once
   * @param {(isPlaying: boolean) => void} host.onState
   */
  constructor(host) {
    this.host = host;
    this.isPlaying = false;
  }

  toggle() {
    if (this.isPlaying) this.stop();
    else this.start();
  }

  start() {
    const { host } = this;
    if (this.isPlaying || host.count() < 2) return;
    if (host.frame() >= host.count() - 1) host.show(0);
    this.isPlaying = true;
    this.due = performance.now();
    host.onState(true);
    requestAnimationFrame((now) => this.step(now));
  }

  stop() {
    if (!this.isPlaying) return;
    this.isPlaying = false;
    this.host.onState(false);
  }

  step(now) {
    if (!this.isPlaying) return;
    const { host } = this;
    const frame = host.frame();
    const last = host.count() - 1;
    if (frame >= last) {
      this.stop();
      return;
    }
    const length = Math.min(AHEAD, last - frame);
    host.ahead(Array.from({ length }, (_, k) => frame + 1 + k));
    if (now >= this.due && host.isThere(frame + 1)) {
      // Being late is not made up for.
      const wait = 1000 * host.seconds(frame + 1);
      this.due = Math.max(this.due + wait, now);
      host.show(frame + 1);
    }
    requestAnimationFrame((next) => this.step(next));
  }
}
