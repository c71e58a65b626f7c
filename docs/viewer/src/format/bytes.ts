/** Byte strings: search, compare, join. */

/** Where `pattern` stands at or after `from`, or -1. */
export function find(data: Uint8Array, pattern: Uint8Array, from = 0): number {
  const last = data.length - pattern.length;
  let at = data.indexOf(pattern[0], from);
  while (at >= 0 && at <= last) {
    if (holds(data, pattern, at)) {
      return at;
    }
    at = data.indexOf(pattern[0], at + 1);
  }
  return -1;
}

/** Whether `pattern` stands at `at`. */
export function holds(data: Uint8Array, pattern: Uint8Array, at: number): boolean {
  if (at + pattern.length > data.length) {
    return false;
  }
  for (let k = 0; k < pattern.length; k++) {
    if (data[at + k] !== pattern[k]) {
      return false;
    }
  }
  return true;
}

export const startsWith = (data: Uint8Array, start: Uint8Array): boolean => holds(data, start, 0);

export const equal = (one: Uint8Array, other: Uint8Array): boolean =>
  one.length === other.length && holds(one, other, 0);

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Length of the longest, 0 if there is none. */
export const longest = (parts: readonly Uint8Array[]): number =>
  parts.reduce((most, part) => Math.max(most, part.length), 0);
