/**
 * Does the length of a range-coded payload fit what came out of it?
 *
 * For payloads whose end was found by trying (FORMAT.md section 4A); a wrong one decodes to noise.
 */

import { FormatError } from "./errors";

/** Refuse a payload of `size` bytes that no encoder writes for n indices of so many bits. */
export function checkLength(size: number, n: number, idealBits: number): void {
  const excess = 8 * size - idealBits;
  if (!(-16 <= excess && excess <= 24 + 0.01 * idealBits + n / 128)) {
    throw new FormatError(
      `a payload of ${size} bytes for ${n} indices that take ${(idealBits / 8).toFixed(0)}: ` +
        "its end was taken for another",
    );
  }
}
