/** What happens in the project, told to the page: it is in the page itself. */

/** @type {((event: object) => void)[]} */
const listeners = [];

/** @param {object} event */
export function tell(event) {
  for (const listener of listeners) listener(event);
}

/**
 * @param {object} handlers
 * @param {(event: object) => void} handlers.onEvent
 * @param {() => void} handlers.onOpen
 */
export function connect({ onEvent, onOpen }) {
  listeners.push(onEvent);
  onOpen();
  onEvent({
    type: 'project', video: null, objects: [], job: null, formats: [],
    marks: {}, computed: [], stale: [],
  });
}
