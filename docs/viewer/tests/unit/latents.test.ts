import { expect, test } from "vitest";

import { place } from "../../src/worker/latents";

test("a tile's planes become rows of the map, and what is no number 0", () => {
  const map = new Float32Array(3 * 4 * 2).fill(9); // h, w, D
  const planes = Float32Array.of(1, 2, 3, NaN, 10, 20, Infinity, 40); // D planes of 2 x 2
  place(map, 4, { top: 1, left: 2, bottom: 3, right: 4 }, planes);
  const at = (y: number, x: number): number[] => [...map.subarray((y * 4 + x) * 2, (y * 4 + x) * 2 + 2)];
  expect([at(1, 2), at(1, 3), at(2, 2), at(2, 3)]).toEqual([
    [1, 10],
    [2, 20],
    [3, 0],
    [0, 40],
  ]);
  expect(map.filter((value) => value === 9)).toHaveLength(16);
});
