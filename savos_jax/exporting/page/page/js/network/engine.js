/** Runs the exported network by ONNX Runtime: on the GPU, or the CPU. */

import { cells, regionOf } from './focus.js';
import { fetched } from './weights.js';

const NETWORK = new URL('../../../network/', import.meta.url);
const LIBRARY = new URL('../../../onnxruntime-web/', import.meta.url);
const MOST_THREADS = 8;
const SMALL = { height: 64, width: 64 }; // What is tried on a GPU.

/**
 * @typedef {object} Loaded
 * @property {object} told savos.json
 * @property {import('./tracker.js').Network} network
 * @property {string} engine what runs it, for people
 */

/**
 * @param {(bytes: number, total: number) => void} onProgress
 * @returns {Promise<{told: object, graphs: Record<string, Uint8Array>,
 *   weights: Uint8Array}>}
 */
async function files(onProgress) {
  const response = await fetch(new URL('savos.json', NETWORK));
  if (!response.ok) throw new Error('The network is not on the server.');
  const told = await response.json();
  const get = (name, onBytes = () => {}) =>
    fetched(new URL(name, NETWORK), told.checksum, onBytes);
  const [reference, step, weights] = await Promise.all([
    get(told.functions.reference.file),
    get(told.functions.step.file),
    get(told.weights, onProgress),
  ]);
  return { told, graphs: { reference, step }, weights };
}

/** @param {string} asked 'gpu', 'cpu' or '': whichever there is */
async function adapterOf(asked) {
  if (asked === 'cpu') return null;
  try {
    const adapter = await navigator.gpu?.requestAdapter();
    if (!adapter) return null;
    const { isFallbackAdapter, architecture } = adapter.info;
    // A GPU that is a program is slower than no GPU.
    const isProgram = isFallbackAdapter || architecture === 'swiftshader';
    return isProgram && asked !== 'gpu' ? null : adapter;
  } catch {
    return null;
  }
}

/** @param {'webgpu' | 'wasm'} provider @param {number} threads */
async function library(provider, threads) {
  const ort = await import(new URL(`ort.${provider}.min.mjs`, LIBRARY).href);
  ort.env.wasm.wasmPaths = LIBRARY.href;
  ort.env.wasm.numThreads = threads;
  return ort;
}

/** @returns {Promise<import('./tracker.js').Network>} */
async function networkOf(ort, provider, { told, graphs, weights }) {
  const session = (name) =>
    ort.InferenceSession.create(graphs[name], {
      executionProviders: [provider],
      externalData: [{ path: told.weights, data: weights }],
      logSeverityLevel: 3, // What is wrong, we say.
    });
  const reference = await session('reference');
  const step = await session('step');
  const tensor = (data, ...dims) => new ort.Tensor('float32', data, dims);
  const indices = (first, count) =>
    new ort.Tensor('int32', cells(first, count), [count]);
  const release = (tensors) => {
    for (const each of Object.values(tensors)) each.dispose();
  };
  return {
    async reference(frame, mask, { height, width }) {
      const found = await reference.run({
        frame: tensor(frame, 1, height, width, 3),
        mask: tensor(mask, 1, height, width),
      });
      const kept = {};
      for (const [name, { data, dims }] of Object.entries(found)) {
        kept[name] = { data: Float32Array.from(data), dims };
      }
      release(found);
      return kept;
    },
    async step(frame, guidance, kept, { height, width }, region) {
      const state = Object.entries(kept).map(([name, { data, dims }]) => [
        name, tensor(data, ...dims),
      ]);
      const found = await step.run({
        frame: tensor(frame, 1, height, width, 3),
        guidance: tensor(guidance, 1, height, width),
        rows: indices(region.top, region.rows),
        columns: indices(region.left, region.columns),
        ...Object.fromEntries(state),
      });
      const probability = Float32Array.from(found.probability.data);
      release(found);
      return probability;
    },
  };
}

/** Throws where a network does not do what it should on a small frame. */
async function tried(network) {
  const area = SMALL.height * SMALL.width;
  const frame = new Float32Array(3 * area).fill(0.5);
  const mask = new Float32Array(area).fill(1);
  const reference = await network.reference(frame, mask, SMALL);
  const region = regionOf(mask, SMALL, 0);
  const found = await network.step(frame, mask, reference, SMALL, region);
  const areProbabilities = found.every((p) => p >= 0 && p <= 1);
  if (!areProbabilities) throw new Error('no probabilities');
}

/** @param {GPUAdapter} adapter @returns {string} */
function gpuName({ info }) {
  const name = info?.description || info?.vendor || '';
  return name ? `GPU (WebGPU, ${name})` : 'GPU (WebGPU)';
}

/** @param {number} threads @param {string} reason why not on the GPU */
function cpuName(threads, reason) {
  const plural = threads > 1 ? 's' : '';
  const parts = [`CPU (WebAssembly), ${threads} thread${plural}`];
  if (!self.crossOriginIsolated) {
    parts.push('one alone, as the server sends no headers for more');
  }
  if (reason) parts.push(reason);
  return parts.join(' · ');
}

/**
 * @param {{engine?: string, threads?: number}} asked engine: 'gpu' or 'cpu'
 * @param {(bytes: number, total: number) => void} onProgress
 * @returns {Promise<Loaded>}
 */
export async function load({ engine = '', threads = 0 }, onProgress) {
  const [all, adapter] = await Promise.all([
    files(onProgress), adapterOf(engine),
  ]);
  let reason = engine === 'gpu' ? 'there is no WebGPU here' : '';
  if (adapter) {
    try {
      const ort = await library('webgpu', 1);
      const network = await networkOf(ort, 'webgpu', all);
      await tried(network);
      return { told: all.told, network, engine: gpuName(adapter) };
    } catch (error) {
      console.warn(error);
      reason = 'the GPU failed';
    }
  }
  const cores = Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1);
  const used = self.crossOriginIsolated ? threads || cores : 1;
  const ort = await library('wasm', used);
  const network = await networkOf(ort, 'wasm', all);
  return { told: all.told, network, engine: cpuName(used, reason) };
}
