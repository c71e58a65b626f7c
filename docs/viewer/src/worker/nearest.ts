/** The exact search for the nearest codeword, as `vqcodec/nets/quantizer.py` makes it. */

/**
 * For every latent vector the codeword at the least squared distance; of equals, the lowest index.
 *
 * @param latents (n, D) by rows, finite
 * @param codewords (K, D) by rows
 * @returns (n,) in [0, K)
 */
export function nearest(latents: Float32Array, codewords: Float32Array, dim: number): Int32Array {
  const n = latents.length / dim;
  const size = codewords.length / dim;
  const found = new Int32Array(n);
  let last = 0;
  for (let at = 0; at < n; at++) {
    const vector = latents.subarray(at * dim, (at + 1) * dim);
    // The neighbour's word first: the nearer the first guess, the sooner the others are dropped.
    let best = last;
    let least = distance(vector, codewords, last * dim, Infinity);
    for (let word = 0, start = 0; word < size; word++, start += dim) {
      const found = distance(vector, codewords, start, least);
      if (found < least || (found === least && word < best)) {
        least = found;
        best = word;
      }
    }
    found[at] = last = best;
  }
  return found;
}

/** Squared distance, or anything above `limit` as soon as that is passed. */
function distance(vector: Float32Array, words: Float32Array, start: number, limit: number): number {
  let sum = 0;
  for (let d = 0; d < vector.length; d += 4) {
    for (let part = d; part < d + 4 && part < vector.length; part++) {
      const difference = vector[part] - words[start + part];
      sum += difference * difference;
    }
    if (sum > limit) return sum;
  }
  return sum;
}
