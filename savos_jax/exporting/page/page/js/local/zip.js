/** ZIP archives of files that are packed already: stored as they are. */

import { crc } from '../png.js';

const UTF8 = 1 << 11; // How names are encoded.
const DATE = (2026 - 1980) * 512 + 32 + 1; // Any: it has to be a date.

/** @param {[number, number][]} fields how many bytes, and the number
 *  @returns {Uint8Array} */
function header(fields) {
  const length = fields.reduce((sum, [bytes]) => sum + bytes, 0);
  const view = new DataView(new ArrayBuffer(length));
  let at = 0;
  for (const [bytes, value] of fields) {
    if (bytes === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += bytes;
  }
  return new Uint8Array(view.buffer);
}

/**
 * @param {{name: string, data: Uint8Array}[]} files
 * @returns {Blob} an archive, below 4 GB
 */
export function zip(files) {
  const parts = [];
  const entries = [];
  let offset = 0;
  for (const { name, data } of files) {
    const text = new TextEncoder().encode(name);
    const facts = [
      [2, 20], [2, UTF8], [2, 0], [2, 0], [2, DATE], [4, crc(data)],
      [4, data.length], [4, data.length], [2, text.length], [2, 0],
    ];
    const local = header([[4, 0x04034b50], ...facts]);
    parts.push(local, text, data);
    entries.push(
      header([
        [4, 0x02014b50], [2, 20], ...facts, [2, 0], [2, 0], [2, 0], [4, 0],
        [4, offset],
      ]),
      text,
    );
    offset += local.length + text.length + data.length;
  }
  const size = entries.reduce((sum, { length }) => sum + length, 0);
  const count = files.length;
  const end = header([
    [4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, size],
    [4, offset], [2, 0],
  ]);
  return new Blob([...parts, ...entries, end], { type: 'application/zip' });
}
