/**
 * The network of a context model at work: neighbours of a position in, cells of the coder out.
 *
 * FORMAT.md sections 7A.3 and 7A.4. Two facts about models that were trained make it fast: few
 * hidden numbers are not 0 (a tenth or so), and the shares of a neighbour's embedding in the first
 * layer are the same wherever it stands at that offset.
 */

import type { ContextModel, Layer } from "./context";
import { UNITS } from "./frequencies";
import { Inputs, PackedMatrix, unpack } from "./matrices";

export const LARGEST_HIDDEN = 255;
export const LARGEST_NECK = 127;

const RATIO = 2 ** 20;
const LAST_ENTRY = 575;

/** Shares of neighbours that are kept take at most so many bytes. */
const MOST_KEPT_BYTES = 2 ** 25;

/** EXP[e] = (floor(2^(17 - e/32)) + 1) >> 1, each root confirmed in integers. */
export const EXP = Int32Array.from({ length: LAST_ENTRY + 1 }, (_, e) => {
  if (e > 544) {
    return 0;
  }
  const power = 1n << BigInt(544 - e);
  let root = BigInt(Math.round(2 ** (17 - e / 32)));
  while (root ** 32n > power) {
    root--;
  }
  while ((root + 1n) ** 32n <= power) {
    root++;
  }
  return Number((root + 1n) >> 1n);
});

/** A layer ready to run, with memory for its sums. */
class Stage {
  readonly matrix: PackedMatrix;
  readonly sums: Float64Array;
  readonly nOutputs: number;
  private readonly shift: number;
  private readonly numbers: Int32Array;

  constructor({ weight, bias, shift }: Layer) {
    const half = 2 ** (shift - 1);
    this.matrix = new PackedMatrix(
      weight,
      Float64Array.from(bias, (value) => value + half),
    );
    this.shift = shift;
    this.nOutputs = bias.length;
    this.sums = new Float64Array(this.matrix.nPairs);
    this.numbers = new Int32Array(2 * this.matrix.nPairs);
  }

  begin(): void {
    this.sums.set(this.matrix.start);
  }

  /** Divide, round and clip the sums; the result lies here until the next call. */
  finish(low: number, high: number): Int32Array {
    const { numbers, shift, nOutputs } = this;
    unpack(this.sums, numbers);
    for (let j = 0; j < nOutputs; j++) {
      numbers[j] = Math.min(high, Math.max(low, numbers[j] >> shift));
    }
    return numbers;
  }
}

/** A network ready to run. Its memory is used again by each prediction. */
export class Network {
  /** Of the cell that `find` or `look` came upon last. */
  left = 0;
  size = 0;

  private readonly first: Stage;
  private readonly blocks: readonly Stage[];
  private readonly neck: Stage;
  private readonly keys: PackedMatrix;
  private readonly embedded: Inputs;
  private readonly inputs: Inputs;
  private readonly hidden: Int32Array;
  private readonly products: Float64Array;
  /** Logits, then frequencies. */
  private readonly weights: Int32Array;
  private ratio = 0;
  /** Neighbour and value -> where its share in the sums of the first layer lies in `kept`. */
  private readonly shares = new Map<number, number>();
  private readonly kept: Float64Array;
  private readonly wanted: Int32Array;

  constructor(private readonly model: ContextModel) {
    const { first, blocks, neck, logitBias } = model.parts;
    this.first = new Stage(first);
    this.blocks = blocks.map((block) => new Stage(block));
    this.neck = new Stage(neck);
    const { nOutputs: width } = this.neck;
    const turned = new Int8Array(model.keys.length); // (D, K)
    model.keys.forEach((value, at) => {
      turned[(at % width) * model.size + Math.floor(at / width)] = value;
    });
    this.keys = new PackedMatrix(turned, Float64Array.from(logitBias));
    this.hidden = new Int32Array(this.first.nOutputs);
    this.embedded = new Inputs(model.codewordSize);
    this.inputs = new Inputs(Math.max(this.first.nOutputs, width));
    this.products = new Float64Array(this.keys.nPairs);
    this.weights = new Int32Array(2 * this.keys.nPairs);
    const nOffsets = model.offsets.length;
    this.wanted = new Int32Array((nOffsets + 3) & ~3); // in fours
    // Room for all there are, or for what memory is spent on, or for those of one position at least.
    const nPairs = this.first.matrix.nPairs;
    const nWanted = this.wanted.length;
    const nKept = Math.min(
      nOffsets * (model.size + 2) + 1 + nWanted,
      Math.max(Math.floor(MOST_KEPT_BYTES / (8 * nPairs)), 2 * nWanted + 1),
    );
    this.kept = new Float64Array(nKept * nPairs);
  }

  /**
   * Predict a position.
   *
   * @param neighbours (M,) the index at each offset; K where it is unknown, K + 1 outside
   */
  predict(neighbours: Int32Array): void {
    const { first, blocks, neck, inputs, hidden } = this;
    this.addShares(neighbours);
    hidden.set(first.finish(0, LARGEST_HIDDEN).subarray(0, hidden.length));
    for (const block of blocks) {
      this.run(block, hidden);
      const added = block.finish(0, LARGEST_HIDDEN);
      for (let j = 0; j < hidden.length; j++) {
        hidden[j] = Math.min(LARGEST_HIDDEN, hidden[j] + added[j]);
      }
    }
    this.run(neck, hidden);
    const query = neck.finish(-LARGEST_NECK, LARGEST_NECK);
    inputs.clear();
    for (let j = 0; j < neck.nOutputs; j++) {
      inputs.push(j, query[j]);
    }
    this.products.set(this.keys.start);
    this.keys.add(inputs, this.products);
    unpack(this.products, this.weights);
    this.weigh();
  }

  private run(stage: Stage, hidden: Int32Array): void {
    const { inputs } = this;
    inputs.clear();
    for (let j = 0; j < hidden.length; j++) {
      inputs.push(j, hidden[j]);
    }
    stage.begin();
    stage.matrix.add(inputs, stage.sums);
  }

  /** Sums of the first layer. */
  private addShares(neighbours: Int32Array): void {
    const { wanted, kept, first } = this;
    const { nPairs } = first.matrix;
    if (kept.length - (this.shares.size + 1) * nPairs < wanted.length * nPairs) {
      this.shares.clear();
    }
    neighbours.forEach((value, m) => (wanted[m] = this.share(m, value)));
    first.begin();
    const { sums } = first;
    for (let m = 0; m < wanted.length; m += 4) {
      const a = wanted[m];
      const b = wanted[m + 1];
      const c = wanted[m + 2];
      const d = wanted[m + 3];
      for (let j = 0; j < nPairs; j++) {
        sums[j] += kept[a + j] + kept[b + j] + (kept[c + j] + kept[d + j]);
      }
    }
  }

  /** Where the share of neighbour m lies when its value is this; the first in `kept` is 0. */
  private share(m: number, value: number): number {
    const { embedding, codewordSize: dim, size } = this.model;
    const { matrix } = this.first;
    const key = m * (size + 2) + value;
    let at = this.shares.get(key);
    if (at === undefined) {
      at = (this.shares.size + 1) * matrix.nPairs;
      this.embedded.clear();
      for (let e = 0; e < dim; e++) {
        this.embedded.push(e, embedding[value * dim + e]);
      }
      const share = this.kept.subarray(at, at + matrix.nPairs).fill(0);
      matrix.add(this.embedded, share, m * dim);
      this.shares.set(key, at);
    }
    return at;
  }

  /** Turn logits to frequencies. */
  private weigh(): void {
    const { weights } = this;
    const { size } = this.model;
    let most = weights[0];
    for (let i = 1; i < size; i++) {
      most = Math.max(most, weights[i]);
    }
    let sum = 0;
    for (let i = 0; i < size; i++) {
      const frequency = EXP[Math.min((most - weights[i]) >> 4, LAST_ENTRY)];
      weights[i] = frequency;
      sum += frequency;
    }
    // Numbers below 2^44: the quotient is exact, rounded down, and so are products with it.
    this.ratio = Math.floor(((UNITS - size - 2) * RATIO) / sum) / RATIO;
  }

  /** The index in whose cell a unit lies, of the position that was predicted; -1 for none. */
  find(unit: number): number {
    const { weights, ratio } = this;
    const { size: end } = this.model;
    let left = 1;
    for (let index = 0; index < end && unit >= left; index++) {
      const size = 1 + Math.floor(weights[index] * ratio);
      if (unit < left + size) {
        this.left = left;
        this.size = size;
        return index;
      }
      left += size;
    }
    return -1;
  }

  /** What every index's cell has of the units, (K,), of the position that was predicted. */
  sizes(into: Float64Array): void {
    const { weights, ratio } = this;
    for (let i = 0; i < into.length; i++) {
      into[i] = 1 + Math.floor(weights[i] * ratio);
    }
  }

  /** Look up the cell of an index of the position that was predicted. */
  look(index: number): void {
    const { weights, ratio } = this;
    let left = 1;
    for (let i = 0; i < index; i++) {
      left += 1 + Math.floor(weights[i] * ratio);
    }
    this.left = left;
    this.size = 1 + Math.floor(weights[index] * ratio);
  }
}
