/** What is seen without a video: one is dropped or chosen, and sent. */

import { byId, setBar } from './dom.js';
import { dropped } from './dropped.js';

/**
 * @param {object} callbacks
 * @param {() => boolean} callbacks.canOpen whether there is no video yet
 * @param {(files: File[], onProgress: (share: number) => void) =>
 *   {done: Promise<object | null>, abort: () => void}} callbacks.upload
 * @param {(project: object) => void} callbacks.onOpen
 * @param {(error: Error) => void} callbacks.fail
 * @param {() => void} callbacks.onRefuse a video was dropped where one is
 */
export function setUp({ canOpen, upload, onOpen, fail, onRefuse }) {
  let abort = null;
  const dropping = byId('dropping');
  const [drop, sending] = ['.drop', '.sending'].map((name) =>
    byId('empty').querySelector(name),
  );

  async function send(files) {
    const [file] = files;
    if (!file || abort) return;
    if (!canOpen()) {
      onRefuse();
      return;
    }
    drop.hidden = true;
    sending.hidden = false;
    const more = files.length - 1;
    byId('sending-name').textContent =
      more ? `${file.name} and ${more} more` : file.name;
    const bytes = files.reduce((sum, each) => sum + each.size, 0);
    const size = megabytes(bytes);
    setBar(byId('sending-bar'), 0);
    const sent = upload(files, (share) => {
      setBar(byId('sending-bar'), share);
      byId('sending-text').textContent =
        share < 1
          ? `${megabytes(share * bytes)} of ${size} copied`
          : 'Looking at the video';
    });
    abort = sent.abort;
    try {
      const project = await sent.done;
      if (project) onOpen(project);
    } catch (error) {
      fail(error);
    } finally {
      abort = null;
      drop.hidden = false;
      sending.hidden = true;
      byId('file').value = '';
    }
  }

  byId('choose').addEventListener('click', () => byId('file').click());
  byId('file').addEventListener('change', (event) => {
    send([...event.target.files]);
  });
  byId('sending-stop').addEventListener('click', () => abort?.());
  addEventListener('dragover', (event) => {
    event.preventDefault();
    dropping.hidden = !event.dataTransfer.types.includes('Files');
  });
  addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) dropping.hidden = true;
  });
  addEventListener('drop', (event) => {
    event.preventDefault();
    dropping.hidden = true;
    dropped(event.dataTransfer).then(send, fail);
  });
}

/** @param {number} bytes @returns {string} */
function megabytes(bytes) {
  const mega = bytes / 1e6;
  return `${mega < 10 ? mega.toFixed(1) : Math.round(mega)} MB`;
}
