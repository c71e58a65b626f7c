/** The network's shortcuts change nothing: it is compared with section 7A.3 written out. */

import { expect, test } from "vitest";

import { PackError } from "../../src/format";
import { ContextModel } from "../../src/format/context";
import type { Layer, Parts } from "../../src/format/context";
import { Inputs, PackedMatrix, unpack } from "../../src/format/matrices";
import { EXP } from "../../src/format/network";
import { randomFrom } from "./files";

type Random = (below: number) => number;

const clip = (value: number, low: number, high: number): number =>
  Math.min(high, Math.max(low, value));

/** 7A.3 and 7A.4, as they stand there. */
function cells(model: ContextModel, neighbours: readonly number[]): number[] {
  const { parts, codewordSize: dim, size } = model;
  const run = (x: readonly number[], layer: Layer, low: number, high: number): number[] =>
    Array.from(layer.bias, (bias, j) => {
      const sum = x.reduce(
        (all, value, i) => all + value * layer.weight[i * layer.bias.length + j],
        bias,
      );
      return clip(Math.floor((sum + 2 ** (layer.shift - 1)) / 2 ** layer.shift), low, high);
    });
  const x = neighbours.flatMap((value) => [
    ...model.embedding.subarray(value * dim, (value + 1) * dim),
  ]);
  let hidden = run(x, parts.first, 0, 255);
  for (const block of parts.blocks) {
    const added = run(hidden, block, 0, 255);
    hidden = hidden.map((value, j) => Math.min(255, value + added[j]));
  }
  const query = run(hidden, parts.neck, -127, 127);
  const width = query.length;
  const logits = Array.from(parts.logitBias, (bias, i) =>
    query.reduce((sum, value, j) => sum + value * model.keys[i * width + j], bias),
  );
  const most = Math.max(...logits);
  const weights = logits.map((z) => EXP[Math.min((most - z) >> 4, 575)]);
  const sum = weights.reduce((all, weight) => all + weight, 0);
  const ratio = ((2n ** 24n - BigInt(size) - 2n) << 20n) / BigInt(sum);
  const left = [1];
  for (const weight of weights) {
    left.push(left[left.length - 1] + 1 + Number((BigInt(weight) * ratio) >> 20n));
  }
  return left;
}

function layer(random: Random, nInputs: number, nOutputs: number, kind: number): Layer {
  const largest = 1 + random(127);
  const weight = new Int8Array(nInputs * nOutputs).map(() =>
    kind ? random(2 * largest + 1) - largest : random(4) ? largest : -largest,
  );
  const bias = new Int32Array(nOutputs).map(() => random(2 ** 16) - 2 ** 15);
  return { weight, bias, shift: 1 + random(12) };
}

function parts(random: Random): Parts {
  const size = 8 << random(3);
  const [m, dim, hidden] = [1 + random(6), 1 + random(5), 1 + random(70)];
  const width = dim + random(4);
  const kind = random(2);
  return {
    offsets: Int8Array.from({ length: 2 * m }, (_, at) => (at % 2 ? -1 - random(12) : 0)),
    codewords: new Float32Array(size * dim).map(() => (random(400) - 200) / 64),
    special: new Int8Array(2 * dim).map(() => random(256) - 128),
    first: layer(random, m * dim, hidden, kind),
    blocks: Array.from({ length: random(3) }, () => layer(random, hidden, hidden, kind)),
    neck: layer(random, hidden, width, kind),
    learned: new Int8Array(size * (width - dim)).map(() => random(256) - 128),
    logitBias: new Int32Array(size).map(() => random(2 ** 14) - 2 ** 13),
  };
}

test("cells are those of the document, for models of any shape", () => {
  const random = randomFrom(1);
  for (let turn = 0; turn < 60; turn++) {
    const model = new ContextModel(parts(random));
    for (let position = 0; position < 8; position++) {
      const neighbours = model.offsets.map(() => random(model.size + 2));
      const left = cells(model, neighbours);
      model.network.predict(Int32Array.from(neighbours));
      for (let index = 0; index < model.size; index++) {
        model.network.look(index);
        const { left: begin, size } = model.network;
        expect([begin, begin + size]).toEqual([left[index], left[index + 1]]);
        expect(model.network.find(begin + random(size))).toBe(index);
      }
      expect(model.network.find(left[model.size])).toBe(-1);
    }
  }
}, 30_000);

test("two sums of a double stay apart up to the bound of 2^24", () => {
  // 517 inputs of 255 with weights of 127, and what is missing to 2^24 - 1 as the bias.
  const n = 517;
  const rest = 2 ** 24 - 1 - n * 255 * 127;
  for (const [one, other] of [
    [1, 1],
    [1, -1],
    [-1, 1],
    [-1, -1],
  ]) {
    const weight = new Int8Array(2 * n).map((_, at) => 127 * (at % 2 ? other : one));
    const matrix = new PackedMatrix(weight, Float64Array.of(rest * one, rest * other));
    const inputs = new Inputs(n);
    for (let i = 0; i < n; i++) {
      inputs.push(i, 255);
    }
    const sums = matrix.start.slice();
    matrix.add(inputs, sums);
    const numbers = new Int32Array(2);
    unpack(sums, numbers);
    expect([...numbers]).toEqual([(2 ** 24 - 1) * one, (2 ** 24 - 1) * other]);
  }
});

test("a model one beyond the bound is refused", () => {
  const n = 517;
  const model = (bias: number): ContextModel =>
    new ContextModel({
      offsets: Int8Array.of(0, -1),
      codewords: new Float32Array(8),
      special: new Int8Array(2),
      first: { weight: new Int8Array(n), bias: new Int32Array(n), shift: 1 },
      blocks: [],
      neck: { weight: new Int8Array(n).fill(127), bias: Int32Array.of(bias), shift: 1 },
      learned: new Int8Array(0),
      logitBias: new Int32Array(8),
    });
  const rest = 2 ** 24 - 1 - n * 255 * 127 - 1; // with half a unit of the shift
  expect(model(rest).size).toBe(8);
  expect(() => model(rest + 1)).toThrow(PackError);
  expect(() => model(-rest - 1)).toThrow("sums reach 16777216, must stay below 2**24");
});
