/** Begins: connects the editor with the server. */

import { keysOf, listenToButtons } from './commands.js';
import { Editor } from './editor.js';
import * as api from './server/api.js';
import { connect } from './server/events.js';
import { byId } from './ui/dom.js';
import * as keys from './ui/keys.js';
import * as opening from './ui/opening.js';
import * as theme from './ui/theme.js';
import { fail } from './ui/toasts.js';

const PATIENCE = 1200; // Milliseconds until it is told that nobody answers.

const editor = new Editor();

const tells = {
  project: (event) => editor.setProject(event),
  marks: (event) => editor.marked(event),
  kept: ({ done, total }) => editor.showKept(done, total),
  frame: (event) => editor.computed(event.frame, event.confidence),
  job: (event) => editor.showJob(event),
  error: ({ error }) => {
    if (!byId('exporting').open) fail(new Error(error));
  },
};

let away = 0;
let opened = false;

/** Says above all that the server is away, as it says itself if it can. */
async function showAway() {
  let text;
  try {
    await api.project();
    return; // It is there again.
  } catch (error) {
    text = error.message;
  }
  const kept = editor.saving.isEmpty
    ? ''
    : '\nWhat you drew is kept in this page and sent as soon as it answers: ' +
      'leave the page open.';
  byId('banner').textContent = text + kept;
  byId('banner').hidden = false;
  byId('loading').hidden = true;
}

connect({
  onEvent: (event) => tells[event.type]?.(event),
  onOpen: () => {
    clearTimeout(away);
    away = 0;
    byId('banner').hidden = true;
    editor.saving.now();
    if (opened) editor.reload();
    opened = true;
  },
  onClose: () => {
    away ||= setTimeout(() => {
      showAway();
      away = 0;
    }, opened ? PATIENCE : 0);
  },
});

listenToButtons(editor);
keys.listen(keysOf(editor), (key) => editor.bench.key(key));
theme.setUp(() => editor.themed());
opening.setUp({
  canOpen: () => editor.model.video === null,
  upload: api.upload,
  onOpen: (project) => editor.setProject(project),
  onRefuse: () => fail(new Error(api.about.refusal)),
  fail,
});
addEventListener('beforeunload', (event) => {
  if (!editor.saving.isEmpty) event.preventDefault();
});
document.addEventListener('visibilitychange', () => editor.saving.now());

// For tests, and for who wants to look.
window.studio = editor;
