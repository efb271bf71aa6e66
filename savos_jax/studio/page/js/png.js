/**
 * PNGs of labels, 8 bits a pixel, read and written to the bit: a canvas may
 * alter what it is asked for (colour management, protection of privacy).
 */

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

/** @param {Uint8Array} bytes @returns {number} CRC-32 */
export function crc(bytes) {
  let c = 0xffffffff;
  for (const byte of bytes) c = CRC[(c ^ byte) & 255] ^ (c >>> 8);
  return ~c >>> 0;
}

/** @param {string} type @param {Uint8Array} data @returns {Uint8Array} */
function chunk(type, data) {
  const bytes = new Uint8Array(12 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  for (let k = 0; k < 4; k++) bytes[4 + k] = type.charCodeAt(k);
  bytes.set(data, 8);
  view.setUint32(8 + data.length, crc(bytes.subarray(4, 8 + data.length)));
  return bytes;
}

/**
 * @param {BlobPart} data
 * @param {CompressionStream | DecompressionStream} stream
 * @returns {Promise<Uint8Array>}
 */
async function through(data, stream) {
  const piped = new Blob([data]).stream().pipeThrough(stream);
  return new Uint8Array(await new Response(piped).arrayBuffer());
}

/**
 * @param {Uint8Array} labels
 * @param {number} width
 * @param {number} height
 * @param {Uint8Array} [palette] red, green and blue of each label
 * @returns {Promise<Blob>} greyscale, or indexed where there is a palette
 */
export async function encode(labels, width, height, palette) {
  const rows = new Uint8Array((width + 1) * height);
  for (let y = 0; y < height; y++) {
    const row = labels.subarray(y * width, (y + 1) * width);
    rows.set(row, y * (width + 1) + 1);
  }
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header[8] = 8;
  if (palette) header[9] = 3;
  const packed = await through(rows, new CompressionStream('deflate'));
  return new Blob(
    [
      Uint8Array.from(SIGNATURE),
      chunk('IHDR', header),
      ...(palette ? [chunk('PLTE', palette)] : []),
      chunk('IDAT', packed),
      chunk('IEND', new Uint8Array()),
    ],
    { type: 'image/png' },
  );
}

/**
 * @param {ArrayBuffer} buffer a PNG, greyscale or indexed, 8 bits a pixel
 * @returns {Promise<{width: number, height: number, labels: Uint8Array}>}
 */
export async function decode(buffer) {
  const bytes = new Uint8Array(buffer);
  const view = new DataView(buffer);
  const isPng = SIGNATURE.every((byte, k) => bytes[k] === byte);
  if (!isPng || bytes[24] !== 8 || ![0, 3].includes(bytes[25]) || bytes[28]) {
    throw new Error('not a PNG of labels');
  }
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  const parts = [];
  for (let at = 8; at < bytes.length; ) {
    const length = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (type === 'IDAT') parts.push(bytes.subarray(at + 8, at + 8 + length));
    at += 12 + length;
  }
  const stream = new DecompressionStream('deflate');
  const rows = await through(new Blob(parts), stream);
  return { width, height, labels: unfiltered(rows, width, height) };
}

/**
 * @param {Uint8Array} rows each with its filter in front
 * @param {number} width
 * @param {number} height
 * @returns {Uint8Array}
 */
function unfiltered(rows, width, height) {
  const out = new Uint8Array(width * height);
  let above = new Uint8Array(width);
  for (let y = 0; y < height; y++) {
    const filter = rows[y * (width + 1)];
    const row = rows.subarray(y * (width + 1) + 1, (y + 1) * (width + 1));
    const here = out.subarray(y * width, (y + 1) * width);
    FILTERS[filter](row, here, above);
    above = here;
  }
  return out;
}

/** By number: what adds to a row what a PNG's filter took from it. */
const FILTERS = [
  (row, here) => here.set(row),
  (row, here) => {
    for (let x = 0; x < row.length; x++) here[x] = row[x] + (here[x - 1] ?? 0);
  },
  (row, here, above) => {
    for (let x = 0; x < row.length; x++) here[x] = row[x] + above[x];
  },
  (row, here, above) => {
    for (let x = 0; x < row.length; x++) {
      here[x] = row[x] + (((here[x - 1] ?? 0) + above[x]) >> 1);
    }
  },
  (row, here, above) => {
    for (let x = 0; x < row.length; x++) {
      here[x] = row[x] + paeth(here[x - 1] ?? 0, above[x], above[x - 1] ?? 0);
    }
  },
];

/** The neighbour that is nearest to a plane through all three. */
function paeth(left, up, corner) {
  const guess = left + up - corner;
  const a = Math.abs(guess - left);
  const b = Math.abs(guess - up);
  const c = Math.abs(guess - corner);
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}
