/** The files, tables and the context model that docs/FORMAT.md works through, read from it. */

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

import {
  PACKET_LAYOUTS,
  codebookSize,
  decodeIndexMap,
  encodeIndexMap,
  parse,
  payloadsOf,
  protect,
  receive,
  write,
} from "../../src/format";
import type { Header, TierTables } from "../../src/format";
import { ContextModel } from "../../src/format/context";
import { recover } from "../../src/format/fec";
import { cellsOf } from "../../src/format/frequencies";
import { EXP } from "../../src/format/network";
import { decodeTable, encodeTable } from "../../src/format/rangecoder";
import { fromHex, toHex } from "./files";

const TEXT = readFileSync(fileURLToPath(new URL("../../../FORMAT.md", import.meta.url)), "utf-8");
const PART = TEXT.slice(TEXT.indexOf("**A context model**"));
const TABLE = Uint16Array.of(40000, 16000, 8000, 1000, 400, 100, 35, 1);
const TABLES: TierTables = {
  ...{ tier: 1, codebookSize: 8, frequencies: TABLE, codewordSize: 2 },
  codewords: new Float32Array(16),
};

const header = (fields: Partial<Header>): Header => ({
  ...{ tier: 1, coding: "fixed", nPackets: 1, weightsId: 0x1234, width: 1, height: 1, stride: 16 },
  ...fields,
});

/** Lines of the indented block that follows a heading. */
const indented = (heading: string): string[] =>
  TEXT.slice(TEXT.indexOf(heading))
    .split("\n\n")
    .find((part) => part.startsWith("    "))!
    .split("\n");

test.each([
  ["**The smallest legal file**", header({}), [5]],
  ["**The smallest file of stride 8", header({ width: 9, stride: 8 }), [5, 2]],
] as const)("%s", (heading, head, indices) => {
  const lines = indented(heading).map((line) => line.slice(4).split("  ")[0]);
  const data = fromHex(lines.join(" "));
  expect(data.length).toBe(17);
  const payloads = encodeIndexMap(Int32Array.from(indices), head, TABLES);
  expect(toHex(write(head, payloads))).toBe(toHex(data));
  const pack = {
    name: "p",
    weightsId: 0x1234,
    stride: head.stride,
    tables: new Map([[1, TABLES]]),
  };
  const received = receive(data, () => pack);
  expect(received.header).toEqual(head);
  expect([...received.indices]).toEqual(indices);
});

test("the table's cells and payloads", () => {
  const left = cellsOf(TABLE);
  const told = /left = ([\d ]+)\./.exec(TEXT)![1].split(" ").map(Number);
  expect([...left]).toEqual(told);
  const rows = [
    ...TEXT.matchAll(/^\| ([0-7](?: [0-7])*) \| (\(empty\)|[0-9a-f ]+?)(?: \(.*)? \|$/gm),
  ];
  expect(rows.length).toBe(4);
  for (const [, indices, payload] of rows) {
    const symbols = Int32Array.from(indices.split(" "), Number);
    const bytes = payload === "(empty)" ? new Uint8Array() : fromHex(payload);
    expect(toHex(encodeTable(symbols, left))).toBe(toHex(bytes));
    expect([...decodeTable(bytes, symbols.length, left)]).toEqual([...symbols]);
  }
  for (let value = 0xdb; value <= 0xf9; value++) {
    expect([...decodeTable(Uint8Array.of(value), 1, left)]).toEqual([2]);
  }
});

test("two packets and parity", () => {
  const heads = header({ coding: "table", nPackets: 2, width: 70, height: 40 });
  const data = fromHex(indented("**Two packets**").join(" "));
  const parity = fromHex(indented("**Parity**").join(" "));
  const indices = Int32Array.of(0, 1, 0, 0, 2, 0, 0, 1, 0, 0, 3, 0, 0, 0, 1);
  const payloads = encodeIndexMap(indices, heads, TABLES);
  const whole = write(heads, payloads, protect(payloads, 2));
  expect(toHex(whole)).toBe(`${toHex(data)} ${toHex(parity)}`);
  expect([...decodeIndexMap(payloadsOf(parse(data)), heads, TABLES)]).toEqual([...indices]);
  const { packets } = parse(whole);
  for (let one = 0; one < 4; one++) {
    for (let other = 0; other < one; other++) {
      const two = new Map([packets[one], packets[other]].map((p) => [p.index, p.payload]));
      expect(recover(heads, two)).toEqual(new Map(payloads.map((payload, i) => [i, payload])));
    }
  }
});

const array = (key: string): number[] => {
  const found = new RegExp(`^    ${key.replaceAll(".", "\\.")} +(\\[.*\\])$`, "m").exec(PART)!;
  return (JSON.parse(found[1]) as number[][]).flat();
};

const shifts = array("shifts");
const MODEL = new ContextModel({
  offsets: Int8Array.from(array("offsets")),
  codewords: Float32Array.from(array("codewords")),
  special: Int8Array.from(array("special")),
  first: {
    weight: Int8Array.from(array("first.weight")),
    bias: Int32Array.from(array("1.bias")),
    shift: shifts[0],
  },
  blocks: [
    {
      weight: Int8Array.from(array("block.0.weight")),
      bias: Int32Array.from(array("block.0.bias")),
      shift: shifts[1],
    },
  ],
  neck: {
    weight: Int8Array.from(array("neck.weight")),
    bias: Int32Array.from(array("neck.bias")),
    shift: shifts[2],
  },
  learned: Int8Array.from(array("1.learned")),
  logitBias: Int32Array.from(array("1.logit_bias")),
});

test.each([
  [0, [9, 9]],
  [1, [4, 6]],
])("the context model's cells, column %i", (column, neighbours) => {
  const row = new RegExp("^\\| left \\|(.*)\\|$", "m").exec(PART)![1].split("|")[column];
  const left = row.trim().split(" ").map(Number);
  const { network } = MODEL;
  network.predict(Int32Array.from(neighbours));
  for (let index = 0; index < 8; index++) {
    network.look(index);
    expect([network.left, network.size]).toEqual([left[index], left[index + 1] - left[index]]);
    for (const unit of [left[index], left[index + 1] - 1]) {
      expect(network.find(unit)).toBe(index);
    }
  }
  expect([network.find(0), network.find(left[8]), network.find(2 ** 24 - 1)]).toEqual([-1, -1, -1]);
  expect([...MODEL.embedding.subarray(8, 10)]).toEqual([8, 10]);
});

test("the context model's file", () => {
  const head = header({ coding: "context", width: 64, height: 48 });
  const indices = Int32Array.of(5, 6, 2, 0, 4, 6, 2, 5, 2, 7, 2, 3);
  const tables = { ...TABLES, context: MODEL };
  const data = fromHex(indented("64 x 48 pixels, tier 1, context").join(" "));
  expect(toHex(write(head, encodeIndexMap(indices, head, tables)))).toBe(toHex(data));
  expect([...decodeIndexMap(payloadsOf(parse(data)), head, tables)]).toEqual([...indices]);
});

test("layouts, tiers and the table of powers", () => {
  const row = (name: string): number[] => {
    const found = [...TEXT.matchAll(new RegExp(`^\\| ${name} \\|(.*)\\|$`, "gm"))];
    const widest = found.map(([, cells]) => cells.split("|")).sort((a, b) => b.length - a.length);
    return widest[0].map(Number);
  };
  expect(PACKET_LAYOUTS.map(([count]) => count)).toEqual(row("P"));
  expect(PACKET_LAYOUTS.map(([, step]) => step)).toEqual(row("s"));
  expect(row("tier").map(codebookSize)).toEqual(row("K"));
  expect([EXP[0], EXP[32], EXP[544], EXP[545], EXP.length]).toEqual([65536, 32768, 1, 0, 576]);
});
