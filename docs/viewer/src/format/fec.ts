/**
 * Forward error correction: parity payloads, and lost payloads rebuilt from them.
 *
 * FORMAT.md section 5A. Payloads are the rows of a table whose columns are codewords of a
 * Reed-Solomon code. What is rebuilt is checked as far as it can be; a parity packet is as hostile
 * as any other.
 */

import { equal, longest } from "./bytes";
import { addMultiple, combine, invert, power } from "./field";
import { payloadBytes } from "./fixedlength";
import { MAX_CODEWORD } from "./layout";
import { codebookSize, numIndices } from "./packets";
import type { Header } from "./packets";

type Payloads = ReadonlyMap<number, Uint8Array>;

/**
 * Make the payloads of a file's parity packets, `nParity` of them, each of one byte more than the
 * longest data payload.
 *
 * @throws RangeError fewer than 2 data packets, no parity packet, or more than 255 together
 */
export function protect(payloads: readonly Uint8Array[], nParity: number): Uint8Array[] {
  const nPackets = payloads.length;
  if (
    nPackets < 2 ||
    !Number.isInteger(nParity) ||
    nParity < 1 ||
    nPackets + nParity > MAX_CODEWORD
  ) {
    throw new RangeError(
      `${nPackets}+${nParity} packets: parity needs 2 data packets or more, and all ` +
        `packets together are at most ${MAX_CODEWORD}`,
    );
  }
  const size = longest(payloads);
  return parityMatrix(nPackets, nParity).map((factors) => {
    const row = new Uint8Array(1 + size);
    row[0] = nParity;
    row.set(combine(factors, payloads, size), 1);
    return row;
  });
}

/** M rows of P factors with which each data symbol enters each check symbol. */
function parityMatrix(nPackets: number, nParity: number): Uint8Array[] {
  // g(x) = (x - 1)(x - a) ... without its leading 1, highest power first.
  let generator = new Uint8Array(0);
  for (let root = 0; root < nParity; root++) {
    const next = new Uint8Array(root + 1);
    next.set(generator);
    addMultiple(next, power(root), new Uint8Array([1, ...generator]));
    generator = next;
  }
  // Packet i is the coefficient of x^(P + M - 1 - i): its column is that power modulo g.
  const rows = Array.from({ length: nParity }, () => new Uint8Array(nPackets));
  let rest: Uint8Array = generator.slice(); // x^M modulo g
  for (let packet = nPackets - 1; packet >= 0; packet--) {
    rest.forEach((value, j) => (rows[j][packet] = value));
    const shifted = new Uint8Array(nParity);
    shifted.set(rest.subarray(1));
    addMultiple(shifted, rest[0], generator);
    rest = shifted;
  }
  return rows;
}

/**
 * Rebuild lost data payloads where enough packets are there.
 *
 * @param payloads of intact packets by packet index, data and parity, any subset
 * @returns data payloads by packet index: the given ones as they are, and all others if at least P
 *   packets are usable, do not contradict each other, and give what an encoder can have put in
 */
export function recover(header: Header, payloads: Payloads): Map<number, Uint8Array> {
  const { nPackets } = header;
  const data = new Map<number, Uint8Array>();
  const lost: number[] = [];
  for (let index = 0; index < nPackets; index++) {
    const payload = payloads.get(index);
    if (payload) {
      data.set(index, payload);
    } else {
      lost.push(index);
    }
  }
  const parity = lost.length ? usableParity(header, payloads, data) : undefined;
  if (!parity || parity.rows.size < lost.length) {
    return data;
  }
  const { nParity, size } = parity;
  const matrix = parityMatrix(nPackets, nParity);
  const known = [...data.keys()];
  const numbers = [...parity.rows.keys()].sort((a, b) => a - b);
  // What is left of each check symbol when the known data's share is taken off.
  const shares = numbers.map((number) => {
    const share = combine(pick(matrix[number], known), [...data.values()], size);
    addMultiple(share, 1, parity.rows.get(number)!);
    return share;
  });
  const enough = numbers.slice(0, lost.length);
  const solution = invert(enough.map((number) => pick(matrix[number], lost)));
  const table = solution.map((row) => combine(row, shares.slice(0, lost.length), size));
  const isFitting = numbers.every(
    (number, i) =>
      i < lost.length || equal(combine(pick(matrix[number], lost), table, size), shares[i]),
  );
  const rebuilt = table.map((row, i) => withoutPadding(header, lost[i], row));
  // All came from the same packets: if one is impossible, none is to be trusted.
  if (isFitting && rebuilt.every((payload) => payload !== undefined)) {
    lost.forEach((index, i) => data.set(index, rebuilt[i]!));
  }
  return data;
}

const pick = (row: Uint8Array, columns: readonly number[]): Uint8Array =>
  Uint8Array.from(columns, (column) => row[column]);

interface Parity {
  nParity: number;
  size: number;
  /** Check symbols by number from 0. */
  rows: Map<number, Uint8Array>;
}

/** The largest group of parity packets that agree; of equal ones that with the lowest index. */
function usableParity(header: Header, payloads: Payloads, data: Payloads): Parity | undefined {
  const { nPackets, coding } = header;
  const claims = [...payloads]
    .filter(([index, row]) => {
      const nAll = nPackets + (row[0] ?? 0);
      return nPackets > 1 && index >= nPackets && index < nAll && nAll <= MAX_CODEWORD;
    })
    .sort(([one], [other]) => one - other);
  if (!claims.length) {
    return undefined;
  }
  let high = 0;
  for (let index = 0; index < nPackets; index++) {
    high = Math.max(high, sizeOf(header, index));
  }
  const there = longest([...data.values()]);
  const low = coding === "fixed" ? Math.max(there, high) : there;
  const groups = new Map<string, Parity>();
  for (const [index, row] of claims) {
    const size = row.length - 1;
    if (low <= size && size <= high) {
      const key = `${row[0]} ${size}`;
      const group = groups.get(key) ?? { nParity: row[0], size, rows: new Map() };
      groups.set(key, group);
      group.rows.set(index - nPackets, row.subarray(1));
    }
  }
  let best: Parity | undefined;
  for (const group of groups.values()) {
    best = best && best.rows.size >= group.rows.size ? best : group;
  }
  return best;
}

/** Bytes of a data packet's payload: exactly in fixed coding, at most in the others. */
function sizeOf(header: Header, index: number): number {
  const n = numIndices(header, index);
  if (header.coding === "fixed") {
    return payloadBytes(n, codebookSize(header.tier));
  }
  return n ? 3 * n + 1 : 0;
}

/** Cut a rebuilt row to its payload; undefined where no payload of this packet looks like it. */
function withoutPadding(header: Header, index: number, row: Uint8Array): Uint8Array | undefined {
  const size = sizeOf(header, index);
  let end = row.length;
  while (end > 0 && row[end - 1] === 0) {
    end--;
  }
  if (end > size) {
    return undefined;
  }
  // Range-coded payloads never end in a zero byte.
  return row.slice(0, header.coding === "fixed" ? size : end);
}
