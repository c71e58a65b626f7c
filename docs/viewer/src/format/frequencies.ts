/** Frequency tables of coding mode 1, and the cells that follow from them (FORMAT.md 7.1). */

/** Units of the range coder's interval. */
export const UNITS = 2 ** 24;

const FREQUENCY_SUM = 2 ** 16;
const LARGEST_FREQUENCY = FREQUENCY_SUM - 2 ** 11;

/** What is wrong with a frequency table; undefined if nothing is. */
export function faultOfTable(frequencies: Uint16Array): string | undefined {
  let sum = 0;
  let largest = 0;
  for (const frequency of frequencies) {
    sum += frequency;
    largest = Math.max(largest, frequency);
  }
  if (sum !== FREQUENCY_SUM || frequencies.includes(0)) {
    return "a frequency table has no zero and sums to 65536";
  }
  if (largest > LARGEST_FREQUENCY) {
    return `a frequency table has no entry above ${LARGEST_FREQUENCY}`;
  }
  return undefined;
}

/** left[0] ... left[K]; index i owns the units from left[i] to left[i + 1]. */
export function cellsOf(frequencies: Uint16Array): Int32Array {
  const size = frequencies.length;
  const left = new Int32Array(size + 1);
  let below = 0;
  for (let i = 0; i < size; i++) {
    left[i] = Math.floor((below * (UNITS - size)) / 2 ** 16) + i; // below 2^40: exact
    below += frequencies[i];
  }
  left[size] = UNITS;
  return left;
}

/** The ideal code length of indices under a table, in bits. */
export function idealBits(indices: Int32Array, frequencies: Uint16Array): number {
  let bits = 0;
  for (const index of indices) {
    bits -= Math.log2(frequencies[index] / FREQUENCY_SUM);
  }
  return bits;
}
