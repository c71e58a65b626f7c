/** Rate-distortion optimised quantisation, as `vqcodec/rdo.py` has it. */

import { chooseIndexMap } from "../format";
import type { Header, TierTables } from "../format";

/** Squared distance that is worth one bit: Python's default. */
const WEIGHT = 0.15;

/**
 * Choose an index map: at each position the word of least distance + weight * bits, given all
 * choices before; of equals, the lowest index.
 *
 * @param latents (h, w, D), finite
 * @param header of the file to be written: one packet, coding "context"
 * @returns (h, w) in [0, K)
 */
export function cheapest(
  latents: Float32Array,
  header: Header,
  { codewords, codewordSize: dim, ...tables }: TierTables,
  weight = WEIGHT,
): Int32Array {
  const squares = new Float64Array(tables.codebookSize);
  codewords.forEach((value, at) => (squares[Math.floor(at / dim)] += value * value));
  return chooseIndexMap(header, { codewords, codewordSize: dim, ...tables }, (position, sizes) => {
    const vector = latents.subarray(position * dim, (position + 1) * dim);
    let best = 0;
    let least = Infinity;
    // |latent|^2 and the 24 bits of a whole interval are the same for every word.
    for (let word = 0, start = 0; word < sizes.length; word++, start += dim) {
      let product = 0;
      for (let d = 0; d < dim; d++) product += vector[d] * codewords[start + d];
      const cost = squares[word] - 2 * product - weight * Math.log2(sizes[word]);
      if (cost < least) {
        least = cost;
        best = word;
      }
    }
    return best;
  });
}
