/** What the server tells by itself; the connection is made again when it ends. */

const FIRST = 400; // Milliseconds until it is tried again.
const LONGEST = 4000;

/**
 * @param {object} handlers
 * @param {(event: object) => void} handlers.onEvent
 * @param {() => void} handlers.onOpen
 * @param {() => void} handlers.onClose called at every try that fails, too
 */
export function connect({ onEvent, onOpen, onClose }) {
  let wait = FIRST;
  const open = () => {
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    const socket = new WebSocket(`${scheme}://${location.host}/api/events`);
    socket.onopen = () => {
      wait = FIRST;
      onOpen();
    };
    socket.onmessage = ({ data }) => onEvent(JSON.parse(data));
    socket.onclose = () => {
      onClose();
      setTimeout(open, wait);
      wait = Math.min(LONGEST, wait * 1.6);
    };
  };
  open();
}
