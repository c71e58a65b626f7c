/**
 * Range coding with 64 bits of state and words of 32 bits, both ways (FORMAT.md section 7.2).
 *
 * Numbers of 64 bits are held as two doubles of 32 bits each. Every product is of a number below
 * 2^40 and one of at most 2^24, taken apart so that no partial result reaches 2^53: all is exact.
 */

import { FormatError } from "./errors";
import { UNITS } from "./frequencies";

const WORD = 2 ** 32;

/** High and low word of scale * units; scale below 2^40, units at most 2^24 + 1. */
let high = 0;
let low = 0;
function multiply(scale: number, units: number): void {
  const top = Math.floor(scale / 2 ** 16); // below 2^24
  const upper = top * units; // below 2^49, in steps of 2^16
  const carry = Math.floor(upper / 2 ** 16);
  const rest = (upper - carry * 2 ** 16) * 2 ** 16 + (scale - top * 2 ** 16) * units; // < 2^42
  const more = Math.floor(rest / WORD);
  high = carry + more;
  low = rest - more * WORD;
}

/** Refuse a payload that no encoder writes for n indices, by its end and length. */
export function checkPayload(payload: Uint8Array, n: number): void {
  const size = payload.length;
  if ((size && payload[size - 1] === 0) || size > 3 * n + 1 || (n === 0 && size)) {
    throw new FormatError(
      `a payload of ${size} bytes for ${n} indices is not one that an encoder writes`,
    );
  }
}

/** Decodes one packet's indices. */
export class RangeDecoder {
  private at = 0;
  private codeHigh: number;
  private codeLow: number;
  private rangeHigh = WORD - 1;
  private rangeLow = WORD - 1;
  private scale = 0;

  /**
   * @param n how many indices the payload holds
   * @throws FormatError no encoder writes this payload
   */
  constructor(
    private readonly payload: Uint8Array,
    private readonly n: number,
  ) {
    checkPayload(payload, n);
    this.codeHigh = this.word();
    this.codeLow = this.word();
  }

  /** Bytes past the end read as 0. */
  private word(): number {
    const { payload, at } = this;
    this.at += 4;
    const bytes = (payload[at + 1] << 16) | (payload[at + 2] << 8) | payload[at + 3];
    return (payload[at] | 0) * 2 ** 24 + bytes; // in bit operations what is not there counts as 0
  }

  /** The unit, 0 to 2^24 - 1, in which the next index's cell lies; `take` must follow. */
  unit(): number {
    const scale = this.rangeHigh * 256 + Math.floor(this.rangeLow / 2 ** 24);
    this.scale = scale;
    const { codeHigh, codeLow } = this;
    // Two roundings of 2^-53 each: off by less than 2^-27, so by at most one once rounded down.
    let unit = Math.min(Math.floor((codeHigh * WORD + codeLow) / scale), UNITS);
    multiply(scale, unit);
    if (high > codeHigh || (high === codeHigh && low > codeLow)) {
      unit--;
    } else {
      multiply(scale, unit + 1);
      if (high < codeHigh || (high === codeHigh && low <= codeLow)) {
        unit++;
      }
    }
    if (unit >= UNITS) {
      throw this.outOfRange();
    }
    return unit;
  }

  /** Narrow to the cell in which `unit` was found. */
  take(left: number, size: number): void {
    multiply(this.scale, left);
    this.codeHigh -= high;
    this.codeLow -= low;
    if (this.codeLow < 0) {
      this.codeLow += WORD;
      this.codeHigh--;
    }
    multiply(this.scale, size);
    this.rangeHigh = high;
    this.rangeLow = low;
    if (high === 0) {
      this.codeHigh = this.codeLow;
      this.codeLow = this.word();
      this.rangeHigh = low;
      this.rangeLow = 0;
    }
  }

  outOfRange(): FormatError {
    return new FormatError(
      `a payload of ${this.payload.length} bytes for ${this.n} indices leaves ` +
        "the range coder's range",
    );
  }
}

/** Encodes one packet's indices, given by their cells. */
export class RangeEncoder {
  /** Words of T above the 64 bits that are held in `topHigh` and `topLow`. */
  private readonly words: number[] = [];
  private topHigh = 0;
  private topLow = 0;
  private rangeHigh = WORD - 1;
  private rangeLow = WORD - 1;

  /** Put the index that owns `size` units from `left` on. */
  put(left: number, size: number): void {
    const scale = this.rangeHigh * 256 + Math.floor(this.rangeLow / 2 ** 24);
    multiply(scale, left);
    this.add(high, low);
    multiply(scale, size);
    this.rangeHigh = high;
    this.rangeLow = low;
    if (high === 0) {
      this.words.push(this.topHigh);
      this.topHigh = this.topLow;
      this.topLow = 0;
      this.rangeHigh = low;
      this.rangeLow = 0;
    }
  }

  private add(more: number, less: number): void {
    this.topLow += less;
    this.topHigh += more;
    if (this.topLow >= WORD) {
      this.topLow -= WORD;
      this.topHigh++;
    }
    if (this.topHigh >= WORD) {
      this.topHigh -= WORD;
      let at = this.words.length - 1; // there is one: T + range never reaches 2^B
      while (this.words[at] === WORD - 1) {
        this.words[at--] = 0;
      }
      this.words[at]++;
    }
  }

  /** The shortest bytes in [T, T + range), of equally short ones those of the least value. */
  finish(): Uint8Array {
    const all = [...this.words, this.topHigh, this.topLow];
    const bytes = new Uint8Array(4 * all.length);
    const view = new DataView(bytes.buffer);
    all.forEach((word, i) => view.setUint32(4 * i, word));
    const range = (BigInt(this.rangeHigh) << 32n) | BigInt(this.rangeLow);
    // Byte by byte the end is rounded up to 0, as long as that stays below T + range.
    let added = 0n;
    let end = bytes.length;
    for (; end > 0; end--) {
      const last = bytes[end - 1];
      if (last !== 0) {
        added += BigInt(256 - last) << BigInt(8 * (bytes.length - end));
        if (added >= range) {
          break;
        }
        let at = end - 2;
        while (bytes[at] === 255) {
          bytes[at--] = 0;
        }
        bytes[at]++;
      }
    }
    return bytes.slice(0, end);
  }
}

/** Code indices in [0, K) with the cells of one table. */
export function encodeTable(indices: Int32Array, left: Int32Array): Uint8Array {
  const encoder = new RangeEncoder();
  for (const index of indices) {
    encoder.put(left[index], left[index + 1] - left[index]);
  }
  return encoder.finish();
}

/**
 * Read n indices that were coded with the cells of one table.
 *
 * @throws FormatError no encoder writes this payload
 */
export function decodeTable(payload: Uint8Array, n: number, left: Int32Array): Int32Array {
  const decoder = new RangeDecoder(payload, n);
  const indices = new Int32Array(n);
  for (let at = 0; at < n; at++) {
    const unit = decoder.unit();
    let index = 0; // of the last cell that begins at or before the unit
    let beyond = left.length - 1;
    while (beyond - index > 1) {
      const middle = (index + beyond) >> 1;
      if (left[middle] <= unit) {
        index = middle;
      } else {
        beyond = middle;
      }
    }
    indices[at] = index;
    decoder.take(left[index], left[index + 1] - left[index]);
  }
  return indices;
}
