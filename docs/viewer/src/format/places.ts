/**
 * Where packets may begin in any bytes: at a header, at a known prefix, at one that was damaged.
 *
 * FORMAT.md section 4A. Prefixes are named by keys, strings of one character per byte, whose order
 * is that of the bytes.
 */

import { find } from "./bytes";
import {
  CODINGS,
  FORMAT_VERSION,
  HIGHEST_TIER,
  LOWEST_TIER,
  PACKET_HEAD_BYTES,
  PREFIX_BYTES,
} from "./layout";

/** Places of one pattern that are looked at: a file has 256 packets; this bounds memory. */
export const MOST_PLACES = 2 ** 16;

/** Offsets looked at that could begin a header; 7 MB of noise have as many. */
const MOST_HEADERS = 2 ** 17;

export const keyOf = (data: Uint8Array, offset: number): string =>
  String.fromCharCode(...data.subarray(offset, offset + PREFIX_BYTES));

export const toPrefix = (key: string): Uint8Array =>
  Uint8Array.from(key, (character) => character.charCodeAt(0));

/** Whether a packet with a valid header could begin here. */
export function isHeader(data: Uint8Array, at: number): boolean {
  return (
    at + PACKET_HEAD_BYTES <= data.length &&
    data[at] >> 4 === FORMAT_VERSION &&
    (data[at] & 15) >= LOWEST_TIER &&
    (data[at] & 15) <= HIGHEST_TIER &&
    ((data[at + 1] >> 4) & 7) < CODINGS.length &&
    (data[at + 4] | data[at + 5]) !== 0 &&
    (data[at + 6] | data[at + 7]) !== 0
  );
}

/**
 * Find prefixes without knowing any.
 *
 * @returns those that stand twice or more, most frequent first; and those that stand once, with
 *   their offsets. In large data only the first offsets in question are looked at.
 */
export function headers(data: Uint8Array): { repeated: string[]; singles: Map<string, number> } {
  const singles = new Map<string, number>();
  const again = new Map<string, number>();
  let n = 0;
  for (let at = 0; at + PACKET_HEAD_BYTES <= data.length && n < MOST_HEADERS; at++) {
    if (isHeader(data, at)) {
      const key = keyOf(data, at);
      n++;
      if (singles.has(key)) {
        again.set(key, (again.get(key) ?? 0) + 1);
      } else {
        singles.set(key, at);
      }
    }
  }
  for (const key of again.keys()) {
    singles.delete(key);
  }
  const repeated = [...again].sort(([, one], [, other]) => other - one).map(([key]) => key);
  return { repeated, singles };
}

/** The offsets of a pattern, ascending, at most `MOST_PLACES`. */
export function exact(data: Uint8Array, pattern: Uint8Array): number[] {
  const found: number[] = [];
  for (
    let at = find(data, pattern);
    at >= 0 && found.length < MOST_PLACES;
    at = find(data, pattern, at + 1)
  ) {
    found.push(at);
  }
  return found;
}

const BIT_COUNTS = new Uint8Array(256);
for (let byte = 1; byte < 256; byte++) {
  BIT_COUNTS[byte] = BIT_COUNTS[byte >> 1] + (byte & 1);
}

/** The offsets where at most `bits` bits differ from a pattern, ascending, not too many. */
export function near(data: Uint8Array, pattern: Uint8Array, bits: number): number[] {
  const found: number[] = [];
  for (let at = 0; at + pattern.length <= data.length && found.length < MOST_PLACES; at++) {
    let differing = 0;
    for (let k = 0; k < pattern.length && differing <= bits; k++) {
      differing += BIT_COUNTS[data[at + k] ^ pattern[k]];
    }
    if (differing <= bits) {
      found.push(at);
    }
  }
  return found;
}
