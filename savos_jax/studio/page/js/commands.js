/** What buttons and keys do. */

import { fillHoles } from './marking/tools.js';
import { byId } from './ui/dom.js';

const FAR = 10; // Frames that Shift and an arrow go.
const STEP = 1.25; // Of zooming.

/**
 * @param {import('./editor.js').Editor} editor
 * @returns {Record<string, import('./ui/keys.js').Key[]>}
 */
export function keysOf(editor) {
  const { bench, marker, stage } = editor;
  const by = (step) => () => editor.seek(editor.frame + step);
  const tool = (name) => () => bench.choose(name);
  const one = (key, says, does, more = {}) => ({
    keys: [key], says, does, ...more,
  });
  const numbers = Array.from({ length: 9 }, (_, k) => ({
    keys: [String(k + 1)], does: () => editor.chooseAt(k),
  }));
  numbers[0].says = 'Choose an object';
  numbers[0].shown = ['1', '…', '9'];
  return {
    Frames: [
      one('ArrowLeft', 'One back', by(-1)),
      one('ArrowRight', 'One on', by(1)),
      one('Shift+ArrowLeft', 'Ten back', by(-FAR)),
      one('Shift+ArrowRight', 'Ten on', by(FAR)),
      one('Home', 'First', () => editor.seek(0)),
      one('End', 'Last', () => editor.seek(Infinity)),
      one(' ', 'Play, pause', () => editor.player.toggle()),
      one(',', 'Mark before', () => editor.seekMark(-1)),
      one('.', 'Next mark', () => editor.seekMark(1)),
      one('n', 'Next doubtful frame', () => editor.seekDoubtful(1)),
      one('Shift+n', 'The one before', () => editor.seekDoubtful(-1)),
    ],
    'This frame': [
      one('Ctrl+z', 'Undo', () => marker.undo()),
      one('Ctrl+Shift+z', 'Redo', () => marker.redo()),
      one('Ctrl+y', 'Redo', () => marker.redo()),
      one('m', 'Accept what is seen', () => marker.accept()),
      one('Delete', 'Object not visible', () => marker.clear()),
      one('Shift+Delete', 'Unmark it', () => marker.unmark()),
    ],
    Tools: [
      one('b', 'Brush', tool('brush')),
      one('e', 'Eraser', tool('eraser')),
      one('l', 'Polygon and lasso', tool('lasso')),
      one('r', 'Rectangle that snaps', tool('rectangle')),
      one('f', 'Region of a colour', tool('flood')),
      one('h', 'Move', tool('hand')),
      one('g', 'Fill holes', () => fillHoles(marker)),
      one('x', 'Remove in place of paint', () =>
        bench.set({ remove: !bench.settings.remove })),
      one('k', 'Protect other objects', () => {
        marker.protect = !marker.protect;
        bench.set({});
      }),
      one('[', 'Smaller brush', () => bench.resize(-1)),
      one(']', 'Larger brush', () => bench.resize(1)),
      { keys: [], shown: ['Alt wheel'], says: 'Size of the brush' },
      { keys: [], shown: ['Enter'], says: 'Close the polygon' },
      { keys: [], shown: ['Backspace'], says: 'Its last corner away' },
      { keys: [], shown: ['Esc'], says: 'Give it up' },
    ],
    Objects: [
      ...numbers,
      one('a', 'Add one', () => byId('add').click()),
      one('F2', 'Rename it', () => press('.active .name', 'dblclick')),
      one('t', 'It ends here', () => press('.active [data-key^=until]')),
      one('Shift+h', 'Hide it', () => editor.hide(editor.active)),
    ],
    Propagate: [
      one('p', 'Propagate, go on', () => editor.propagation.run()),
      one('Shift+p', 'Other direction', () => editor.propagation.turn()),
      one('s', 'Stop', () => {
        if (editor.propagation.isRunning) byId('stop').click();
      }),
    ],
    View: [
      one('+', 'Closer', () => stage.zoom(STEP), { keys: ['+', '='] }),
      one('-', 'Farther', () => stage.zoom(1 / STEP)),
      one('0', 'All of the frame', () => stage.fit()),
      { keys: [], shown: ['wheel'], says: 'Zoom at the pointer' },
      { keys: [], shown: ['middle button'], says: 'Move' },
      one('v', 'Show the masks', () => editor.toggle('visible')),
      one('o', 'Outlines', () => editor.toggle('outlines')),
      one('d', 'Dark or light', () => byId('theme').click()),
      one('Ctrl+e', 'Export', () => editor.exporting.open(editor.model)),
      one('?', 'These keys', () => byId('keys').showModal()),
    ],
  };
}

/** Does what a click on the active object's row does. */
function press(selector, type = 'click') {
  const event = new MouseEvent(type, { bubbles: true });
  byId('objects').querySelector(selector)?.dispatchEvent(event);
}

/** @param {import('./editor.js').Editor} editor */
export function listenToButtons(editor) {
  const { marker, stage } = editor;
  const clicks = {
    undo: () => marker.undo(),
    redo: () => marker.redo(),
    masks: () => editor.toggle('visible'),
    outlines: () => editor.toggle('outlines'),
    zoom: () => stage.fit(),
    'zoom-in': () => stage.zoom(STEP),
    'zoom-out': () => stage.zoom(1 / STEP),
    help: () => byId('keys').showModal(),
    export: () => editor.exporting.open(editor.model),
    accept: () => marker.accept(),
    clear: () => marker.clear(),
    unmark: () => marker.unmark(),
    first: () => editor.seek(0),
    back: () => editor.seek(editor.frame - 1),
    play: () => editor.player.toggle(),
    forth: () => editor.seek(editor.frame + 1),
    last: () => editor.seek(Infinity),
    'mark-back': () => editor.seekMark(-1),
    'mark-forth': () => editor.seekMark(1),
    doubt: () => editor.seekDoubtful(1),
  };
  for (const [id, call] of Object.entries(clicks)) {
    byId(id).addEventListener('click', call);
  }
  byId('frame').addEventListener('change', (event) => {
    editor.seek(Number(event.target.value));
    event.target.blur(); // Keys are the editor's again.
  });
  byId('opacity').addEventListener('input', (event) => {
    editor.show({ opacity: event.target.value / 100 });
  });
}
