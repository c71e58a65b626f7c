import { expect, test } from "vitest";

import { encodeIndexMap, write } from "../../src/format";
import type { Header } from "../../src/format";
import { nearest } from "../../src/worker/nearest";
import { cheapest } from "../../src/worker/rdo";
import { packIn, randomFrom } from "../format/files";

const pack = packIn("models/photo-3");
const { weightsId, stride } = pack;
const TIER = 3;
const tables = pack.tables.get(TIER)!;
const header: Header = { tier: TIER, coding: "context", nPackets: 1, weightsId, width: 320, height: 240, stride };
const below = randomFrom(7);
const dim = tables.codewordSize;
const latents = new Float32Array(20 * 15 * dim);
for (let at = 0; at < 300; at++) {
  const word = below(tables.codebookSize); // somewhere between two words
  const other = below(tables.codebookSize);
  for (let d = 0; d < dim; d++) {
    latents[at * dim + d] =
      0.6 * tables.codewords[word * dim + d] + 0.4 * tables.codewords[other * dim + d];
  }
}

const size = (indices: Int32Array): number =>
  write(header, encodeIndexMap(indices, header, tables)).length;

function distance(indices: Int32Array): number {
  let sum = 0;
  indices.forEach((index, at) => {
    for (let d = 0; d < dim; d++) {
      sum += (latents[at * dim + d] - tables.codewords[index * dim + d]) ** 2;
    }
  });
  return sum;
}

test("bits that are worth nothing leave the nearest words", () => {
  expect(cheapest(latents, header, tables, 0)).toEqual(nearest(latents, tables.codewords, dim));
});

test("the more a bit is worth, the smaller the file, and the farther the words", () => {
  const maps = [0, 0.5, 2, 100].map((weight) => cheapest(latents, header, tables, weight));
  const sizes = maps.map(size);
  const distances = maps.map(distance);
  expect(sizes).toEqual([...sizes].sort((one, other) => other - one));
  expect(sizes[3]).toBeLessThan(0.5 * sizes[0]);
  expect(distances).toEqual([...distances].sort((one, other) => one - other));
});

test("several packets know too little of each other to choose", () => {
  expect(() => cheapest(latents, { ...header, nPackets: 4 }, tables)).toThrow(RangeError);
  expect(() => cheapest(latents, { ...header, coding: "fixed" }, tables)).toThrow(RangeError);
});
