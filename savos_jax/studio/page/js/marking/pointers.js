/**
 * Mouse, pen and touch. One pointer uses the tool; two fingers, the middle
 * button, or the hand move and zoom. Once a pen was seen, one finger moves.
 */

/**
 * @typedef {object} Handlers
 * @property {(at: [number, number], event: PointerEvent) => void} down
 * @property {(path: {at: [number, number], pressure: number}[],
 *   event: PointerEvent) => void} move all places since the last call
 * @property {(event: PointerEvent) => void} up
 * @property {() => void} cancel what was begun was none
 * @property {(at: [number, number] | null, event: PointerEvent) => void} hover
 * @property {(dx: number, dy: number) => void} pan
 * @property {(factor: number, x: number, y: number) => void} zoom about a
 *   place in the window
 * @property {(notches: number, event: WheelEvent) => boolean} wheel returns
 *   whether it was used; else it zooms
 * @property {() => boolean} isHand whether one pointer moves the picture
 */

/** @typedef {{x: number, y: number}} Place */

const LINE = 16; // Pixels a line of a wheel.
const NOTCH = 100; // Pixels a notch of it.

/**
 * @param {HTMLElement} element
 * @param {Handlers} handlers
 */
export function listen(element, handlers) {
  /** @type {Map<number, Place>} */
  const fingers = new Map();
  /** @type {'none' | 'tool' | 'pan' | 'pinch'} */
  let doing = 'none';
  let penSeen = false;
  let used = -1; // The pointer of the tool.

  const at = (event) =>
    /** @type {[number, number]} */ ([event.clientX, event.clientY]);
  const place = (event) => ({ x: event.clientX, y: event.clientY });

  element.addEventListener('pointerdown', (event) => {
    if (event.pointerType === 'pen') penSeen = true;
    if (event.target.closest?.('button, input')) return;
    element.focus({ preventScroll: true });
    element.classList.add('used'); // No ring for who does not use Tab.
    event.preventDefault();
    element.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, place(event));
    if (event.pointerType === 'touch' && fingers.size === 2) {
      if (doing === 'tool') handlers.cancel();
      doing = 'pinch';
    } else if (doing === 'none') {
      const moves =
        event.button === 1 ||
        handlers.isHand() ||
        (penSeen && event.pointerType === 'touch');
      doing = moves ? 'pan' : 'tool';
      used = event.pointerId;
      if (doing === 'tool') handlers.down(at(event), event);
    }
    element.classList.toggle('panning', doing === 'pan');
  });

  element.addEventListener('pointermove', (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) {
      handlers.hover(at(event), event);
      return;
    }
    const now = place(event);
    if (doing === 'pinch') {
      pinch(event.pointerId, before, now);
    } else if (doing === 'pan') {
      handlers.pan(now.x - before.x, now.y - before.y);
    } else if (doing === 'tool' && event.pointerId === used) {
      const all = event.getCoalescedEvents?.() ?? [];
      const path = (all.length ? all : [event]).map((each) => ({
        at: at(each),
        pressure: each.pointerType === 'pen' ? each.pressure : 1,
      }));
      handlers.move(path, event);
    }
    fingers.set(event.pointerId, now);
  });

  /** Two fingers: their middle moves, their distance zooms. */
  function pinch(id, before, now) {
    const other = [...fingers].find(([key]) => key !== id)?.[1];
    if (!other) return;
    const far = (p) => Math.hypot(p.x - other.x, p.y - other.y) || 1;
    handlers.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
    const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
    handlers.zoom(far(now) / far(before), middle.x, middle.y);
  }

  const end = (event) => {
    if (!fingers.delete(event.pointerId)) return;
    if (doing === 'tool' && event.pointerId === used) {
      if (event.type === 'pointerup') handlers.up(event);
      else handlers.cancel();
      doing = 'none';
    }
    if (!fingers.size) doing = 'none';
    if (doing === 'none') element.classList.remove('panning');
  };
  element.addEventListener('pointerup', end);
  element.addEventListener('pointercancel', end);
  element.addEventListener('pointerleave', (event) => {
    if (!fingers.has(event.pointerId)) handlers.hover(null, event);
  });
  element.addEventListener('blur', () => element.classList.remove('used'));
  element.addEventListener('contextmenu', (event) => event.preventDefault());

  element.addEventListener(
    'wheel',
    (event) => {
      event.preventDefault();
      const unit = [1, LINE, element.clientHeight][event.deltaMode];
      const notches = ((event.deltaY || event.deltaX) * unit) / NOTCH;
      if (handlers.wheel(notches, event)) return;
      if (event.shiftKey) {
        handlers.pan(-notches * NOTCH, 0);
        return;
      }
      // The pinch of a touchpad comes as small steps with Ctrl.
      const factor = Math.exp(-notches * (event.ctrlKey ? 1 : 0.2));
      handlers.zoom(factor, event.clientX, event.clientY);
    },
    { passive: false },
  );
}
