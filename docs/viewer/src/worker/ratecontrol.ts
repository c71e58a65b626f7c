/** The largest tier whose whole file is not larger than a target: `vqcodec/ratecontrol.py`. */

import { VqcError } from "../format";

/** Even the smallest tier's file is larger than was asked for. */
export class TargetError extends VqcError {
  override readonly kind = "TargetError" as never;
}

/**
 * Make the file of the largest tier that fits.
 *
 * @param target bytes that the file may have
 * @param tiers to choose from, ascending
 * @param make turns a tier into its whole file; no tier is made twice
 * @param atMost bytes that a tier's file has at most, as far as is known without making it
 */
export async function largestWithin<File extends { length: number }>(
  target: number,
  tiers: readonly number[],
  make: (tier: number) => Promise<File>,
  atMost: (tier: number) => number,
): Promise<File> {
  const files = new Map<number, File>();
  // tiers[low] fits and tiers[high] does not: steps that double, then halves.
  let low = tiers.filter((tier) => atMost(tier) <= target).length - 1;
  let high = tiers.length;
  for (let step = 1; high - low > 1; step *= 2) {
    const at = Math.min(low + step, Math.floor((low + high) / 2));
    const file = await make(tiers[at]);
    files.set(at, file);
    if (file.length <= target) low = at;
    else high = at;
  }
  const smallest = files.get(0);
  if (low < 0) {
    const size = smallest?.length ?? 0;
    throw new TargetError(
      `tier ${tiers[0]} takes ${size.toLocaleString("en")} bytes, more than the target of ` +
        `${target.toLocaleString("en")}. Scale the image down or allow more.`,
      { expected: target, found: size },
    );
  }
  return files.get(low) ?? (await make(tiers[low]));
}
