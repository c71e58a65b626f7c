import { expect, test } from "vitest";

import { nearest } from "../../src/worker/nearest";

test("the nearest codeword is found, of equals the lowest", () => {
  const dim = 6;
  const words = Float32Array.from({ length: 50 * dim }, (_, at) => Math.fround(Math.sin(at * at + 1)));
  words.set(words.subarray(3 * dim, 4 * dim), 40 * dim); // 40 is 3 once more
  const n = 60;
  const latents = Float32Array.from({ length: dim * n }, (_, at) => Math.fround(Math.cos(3 * at)));
  latents.set(words.subarray(40 * dim, 41 * dim));
  const found = nearest(latents, words, dim);
  expect(found[0]).toBe(3);
  for (let at = 0; at < n; at++) {
    const far = Array.from({ length: 50 }, (_, word) => {
      let sum = 0;
      for (let d = 0; d < dim; d++) sum += (latents[at * dim + d] - words[word * dim + d]) ** 2;
      return sum;
    });
    expect(found[at]).toBe(far.indexOf(Math.min(...far)));
  }
});
