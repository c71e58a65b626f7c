/**
 * The integer network of coding mode 2: its parts, checked (FORMAT.md section 7A.2).
 *
 * No sum of a model that passes can reach 2^24, whatever the order of its terms.
 */

import { PackError } from "./errors";
import { UNITS } from "./frequencies";
import { LARGEST_HIDDEN, LARGEST_NECK, Network } from "./network";

const LARGEST_INPUT = 128;
const LARGEST_OFFSET = 12;
const CODEWORD_STEPS = 32;

/** A layer: (x weight + bias), divided by 2^shift and rounded. */
export interface Layer {
  /** By rows, one per input. */
  readonly weight: Int8Array;
  /** One per output. */
  readonly bias: Int32Array;
  readonly shift: number;
}

export interface Parts {
  /** (M, 2) dy, dx of each neighbour. */
  readonly offsets: Int8Array;
  /** (K, E) the tier's codebook. */
  readonly codewords: Float32Array;
  /** (2, E) embedding of an unknown neighbour and of one outside the map. */
  readonly special: Int8Array;
  /** (M E, H). */
  readonly first: Layer;
  /** (H, H) each, added to what it reads. */
  readonly blocks: readonly Layer[];
  /** (H, D). */
  readonly neck: Layer;
  /** (K, D - E) what the tier's words have besides their codewords. */
  readonly learned: Int8Array;
  /** (K,). */
  readonly logitBias: Int32Array;
}

/** Predicts each index of a map from its causal neighbours, for one tier. */
export class ContextModel {
  /** K. */
  readonly size: number;
  /** M pairs dy, dx. */
  readonly offsets: readonly (readonly [number, number])[];
  /** E. */
  readonly codewordSize: number;
  /** (K + 2, E): the words, unknown, outside. */
  readonly embedding: Int8Array;
  /** (K, D): word and learned part of each index. */
  readonly keys: Int8Array;
  private made?: Network;

  /** @throws PackError a part breaks 7A.2 */
  constructor(readonly parts: Parts) {
    const { offsets, codewords, special, first, blocks, neck, learned, logitBias } = parts;
    const size = (this.size = logitBias.length);
    const dim = (this.codewordSize = codewords.length / size);
    this.offsets = pairs(offsets);
    checkOffsets(this.offsets);
    const words = quantized(codewords);
    this.embedding = new Int8Array(words.length + special.length);
    this.embedding.set(words);
    this.embedding.set(special, words.length);
    checkLayer("first", first, LARGEST_INPUT);
    blocks.forEach((block, number) => checkLayer(`block ${number}`, block, LARGEST_HIDDEN));
    checkLayer("neck", neck, LARGEST_HIDDEN);
    const width = neck.bias.length;
    this.keys = new Int8Array(size * width);
    for (let i = 0; i < size; i++) {
      this.keys.set(words.subarray(i * dim, (i + 1) * dim), i * width);
      this.keys.set(learned.subarray(i * (width - dim), (i + 1) * (width - dim)), i * width + dim);
    }
    checkLogits(this.keys, width, logitBias);
  }

  /** The network, ready to run; made when it is first asked for. */
  get network(): Network {
    return (this.made ??= new Network(this));
  }
}

const pairs = (flat: Int8Array): [number, number][] =>
  Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]]);

/** Codewords in steps of 1/32, halves to even, within -127 to 127. */
function quantized(codewords: Float32Array): Int8Array {
  const words = new Int8Array(codewords.length);
  for (let at = 0; at < words.length; at++) {
    const steps = Math.min(127, Math.max(-127, codewords[at] * CODEWORD_STEPS));
    if (!Number.isFinite(codewords[at])) {
      throw new PackError("codewords are not finite");
    }
    const below = Math.floor(steps);
    const rest = steps - below;
    words[at] = rest > 0.5 || (rest === 0.5 && below & 1) ? below + 1 : below;
  }
  return words;
}

function checkOffsets(offsets: readonly (readonly [number, number])[]): void {
  for (const [dy, dx] of offsets) {
    const isCausal = dy < 0 ? dx < -2 * dy : dy === 0 && dx < 0;
    if (!isCausal || Math.max(Math.abs(dy), Math.abs(dx)) > LARGEST_OFFSET) {
      throw new PackError(
        `offset (${dy}, ${dx}) is not visited before its position, or is beyond ${LARGEST_OFFSET}`,
      );
    }
  }
}

function checkLayer(name: string, { weight, bias, shift }: Layer, largest: number): void {
  if (shift < 1) {
    throw new PackError(`${name}: shift 0, must be at least 1`);
  }
  const sums = columnSums(weight, bias.length);
  const worst = sums.reduce((most, sum, j) => Math.max(most, sum * largest + Math.abs(bias[j])), 0);
  checkBound(name, worst + 2 ** (shift - 1));
}

/** Sums of columns' absolute values; tiers share layers, of which each is added up once. */
const knownSums = new WeakMap<Int8Array, Float64Array>();
function columnSums(weight: Int8Array, nOutputs: number): Float64Array {
  let sums = knownSums.get(weight);
  if (!sums) {
    sums = new Float64Array(nOutputs);
    for (let row = 0; row < weight.length; row += nOutputs) {
      for (let j = 0; j < nOutputs; j++) {
        sums[j] += Math.abs(weight[row + j]);
      }
    }
    knownSums.set(weight, sums);
  }
  return sums;
}

function checkLogits(keys: Int8Array, width: number, bias: Int32Array): void {
  let worst = 0;
  for (let i = 0; i < bias.length; i++) {
    let sum = 0;
    for (let at = i * width; at < (i + 1) * width; at++) {
      sum += Math.abs(keys[at]);
    }
    worst = Math.max(worst, sum * LARGEST_NECK + Math.abs(bias[i]));
  }
  checkBound("logits", worst);
}

function checkBound(name: string, worst: number): void {
  if (worst >= UNITS) {
    throw new PackError(`${name}: sums reach ${worst}, must stay below 2**24`);
  }
}
