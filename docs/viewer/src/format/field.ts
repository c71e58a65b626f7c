/** Arithmetic of GF(256) with the polynomial 11d, and small matrices over it (FORMAT.md 5A). */

const EXP = new Uint8Array(510);
const LOG = new Uint8Array(256);
for (let power = 0, value = 1; power < 255; power++) {
  EXP[power] = EXP[power + 255] = value;
  LOG[value] = power;
  value = value & 0x80 ? ((value << 1) ^ 0x11d) & 0xff : value << 1;
}

export const multiply = (a: number, b: number): number => (a && b ? EXP[LOG[a] + LOG[b]] : 0);

export const inverse = (a: number): number => EXP[255 - LOG[a]];

/** The generator to the power of n >= 0. */
export const power = (n: number): number => EXP[n % 255];

/** target += factor * row, in place. */
export function addMultiple(target: Uint8Array, factor: number, row: Uint8Array): void {
  if (factor === 0) {
    return;
  }
  const log = LOG[factor];
  for (let k = 0; k < row.length; k++) {
    if (row[k]) {
      target[k] ^= EXP[log + LOG[row[k]]];
    }
  }
}

/** The sum of factors times rows, each row of `size` bytes or fewer. */
export function combine(
  factors: Uint8Array,
  rows: readonly Uint8Array[],
  size: number,
): Uint8Array {
  const sum = new Uint8Array(size);
  rows.forEach((row, i) => addMultiple(sum, factors[i], row));
  return sum;
}

/** Invert a square matrix, given and returned as rows, that has an inverse (Gauss-Jordan). */
export function invert(matrix: readonly Uint8Array[]): Uint8Array[] {
  const n = matrix.length;
  const both = matrix.map((row, i) => {
    const wide = new Uint8Array(2 * n);
    wide.set(row);
    wide[n + i] = 1;
    return wide;
  });
  for (let at = 0; at < n; at++) {
    let pivot = at;
    while (both[pivot][at] === 0) {
      pivot++;
    }
    [both[at], both[pivot]] = [both[pivot], both[at]];
    const factor = inverse(both[at][at]);
    const row = both[at].map((value) => multiply(factor, value));
    both[at] = row;
    both.forEach((other, i) => {
      if (i !== at) {
        addMultiple(other, other[at], row);
      }
    });
  }
  return both.map((row) => row.subarray(n));
}
