/** Indices in ceil(log2 K) bits each, most significant bit first (FORMAT.md section 6). */

import { FormatError, TruncatedError } from "./errors";

/** ceil(log2 size) for a codebook of `size` words, at least 2. */
export const bitsPerIndex = (size: number): number => 32 - Math.clz32(size - 1);

/** The exact payload size of n indices, in bytes. */
export const payloadBytes = (n: number, size: number): number =>
  Math.ceil((n * bitsPerIndex(size)) / 8);

/** Write indices in [0, size); spare bits of the last byte are 0. */
export function encodeFixed(indices: Int32Array, size: number): Uint8Array {
  const payload = new Uint8Array(payloadBytes(indices.length, size));
  const bits = bitsPerIndex(size);
  let held = 0; // fewer than 8 + 14 bits wait to be written
  let nHeld = 0;
  let at = 0;
  for (const index of indices) {
    held = ((held & 0xff) << bits) | index;
    nHeld += bits;
    while (nHeld >= 8) {
      nHeld -= 8;
      payload[at++] = held >> nHeld;
    }
  }
  if (nHeld) {
    payload[at] = held << (8 - nHeld);
  }
  return payload;
}

/**
 * Read n indices in [0, size).
 *
 * @throws TruncatedError the payload is too short
 * @throws FormatError it is too long, its spare bits are not 0, or a value is beyond the codebook
 */
export function decodeFixed(payload: Uint8Array, n: number, size: number): Int32Array {
  const expected = payloadBytes(n, size);
  const bits = bitsPerIndex(size);
  if (payload.length !== expected) {
    const Kind = payload.length < expected ? TruncatedError : FormatError;
    throw new Kind(
      `a payload of ${payload.length} bytes, ${n} indices of ${bits} bits take ${expected}`,
      { expected, found: payload.length },
    );
  }
  const indices = new Int32Array(n);
  let held = 0;
  let nHeld = 0;
  let at = 0;
  let largest = 0;
  for (let i = 0; i < n; i++) {
    while (nHeld < bits) {
      held = ((held & 0x3fff) << 8) | payload[at++];
      nHeld += 8;
    }
    nHeld -= bits;
    indices[i] = (held >> nHeld) & ((1 << bits) - 1);
    largest = Math.max(largest, indices[i]);
  }
  if (held & ((1 << nHeld) - 1)) {
    throw new FormatError("spare bits at the end of a payload are not 0");
  }
  if (largest >= size) {
    throw new FormatError(`index ${largest} in a codebook of ${size}`);
  }
  return indices;
}
