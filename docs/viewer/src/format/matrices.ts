/**
 * Exact products of small integers, two columns of a matrix in one double.
 *
 * Every sum stays below 2^24 (FORMAT.md 7A.2, checked when a model is made), in parts and in whole.
 * A double holds 53 bits, so the sums of two columns travel together as low + high * 2^27: the
 * whole stays below 2^52, nothing is ever rounded, and the two come apart again exactly. This
 * halves the work, which V8 does one number at a time.
 */

const APART = 2 ** 27;

/** A matrix to multiply rows with, by what is not 0 in them. */
export class PackedMatrix {
  /** Doubles of a row of sums. */
  readonly nPairs: number;
  /** A row of sums to begin with: the bias. */
  readonly start: Float64Array;
  private readonly rows: Float64Array[];

  /**
   * @param weight (I, O) by rows
   * @param bias (O,)
   */
  constructor(weight: Int8Array, bias: Float64Array) {
    const nOutputs = bias.length;
    const nPairs = (this.nPairs = Math.ceil(nOutputs / 2));
    const nInputs = weight.length / nOutputs;
    this.start = new Float64Array(nPairs);
    pack(bias, 0, nOutputs, this.start);
    // Rows that lie a multiple of 4096 bytes apart would push each other out of the cache.
    const pitch = nPairs + 24;
    const all = new Float64Array(nInputs * pitch);
    this.rows = Array.from({ length: nInputs }, (_, i) => {
      const row = all.subarray(i * pitch, i * pitch + nPairs);
      pack(weight, i * nOutputs, nOutputs, row);
      return row;
    });
  }

  /**
   * Add the inputs' shares to a row of sums.
   *
   * @param first row of the matrix to which input 0 belongs
   */
  add(inputs: Inputs, sums: Float64Array, first = 0): void {
    const { rows, nPairs } = this;
    const { values, places } = inputs;
    const nInputs = inputs.close();
    for (let k = 0; k < nInputs; k += 8) {
      const a = values[k];
      const b = values[k + 1];
      const c = values[k + 2];
      const d = values[k + 3];
      const e = values[k + 4];
      const f = values[k + 5];
      const g = values[k + 6];
      const h = values[k + 7];
      const rowA = rows[first + places[k]];
      const rowB = rows[first + places[k + 1]];
      const rowC = rows[first + places[k + 2]];
      const rowD = rows[first + places[k + 3]];
      const rowE = rows[first + places[k + 4]];
      const rowF = rows[first + places[k + 5]];
      const rowG = rows[first + places[k + 6]];
      const rowH = rows[first + places[k + 7]];
      for (let j = 0; j < nPairs; j++) {
        const one = a * rowA[j] + b * rowB[j] + (c * rowC[j] + d * rowD[j]);
        const other = e * rowE[j] + f * rowF[j] + (g * rowG[j] + h * rowH[j]);
        sums[j] += one + other;
      }
    }
  }
}

/** Integers to multiply a matrix with: those that are not 0, each with its place. */
export class Inputs {
  readonly values: Float64Array;
  readonly places: Int32Array;
  private n = 0;

  constructor(most: number) {
    this.values = new Float64Array(most + 7);
    this.places = new Int32Array(most + 7);
  }

  clear(): void {
    this.n = 0;
  }

  push(place: number, value: number): void {
    if (value !== 0) {
      this.values[this.n] = value;
      this.places[this.n++] = place;
    }
  }

  /** Fill up with zeros to a multiple of eight; how many there are then. */
  close(): number {
    const { n } = this;
    const end = (n + 7) & ~7;
    this.values.fill(0, n, end);
    this.places.fill(0, n, end);
    return end;
  }
}

/** Two numbers to a double: n of them, from `from` on. */
function pack(numbers: Int8Array | Float64Array, from: number, n: number, row: Float64Array): void {
  for (let j = 0; j < n; j++) {
    row[j >> 1] += j & 1 ? numbers[from + j] * APART : numbers[from + j];
  }
}

/** Take the sums of doubles apart; a low one lies within 2^24 of 0, an eighth of a step. */
export function unpack(sums: Float64Array, numbers: Int32Array): void {
  for (let pair = 0, at = 0; pair < sums.length; pair++, at += 2) {
    const high = Math.floor(sums[pair] / APART + 0.5);
    numbers[at] = sums[pair] - high * APART;
    numbers[at + 1] = high;
  }
}
